#pragma once

// The little that differs in the SQL of README.md between SQLite and PostgreSQL.

#include <string>
#include <string_view>

namespace gantry::state {

/// `?` becomes $1, $2, …, but not inside quotes or comments.
[[nodiscard]] std::string to_numbered_placeholders(std::string_view sql);

/// A migration in PostgreSQL's words: INTEGER, BLOB, TEXT, INTEGER PRIMARY KEY and STRICT.
[[nodiscard]] std::string to_postgres_schema(std::string_view sql);

}  // namespace gantry::state
