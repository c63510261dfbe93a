#pragma once

// Copies of a state database made from outside of the server: a backup beside it, and all rows from
// SQLite to PostgreSQL when one machine has become too few.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "state/db.h"

namespace gantry::state {

/// As Db::backup, of a file that another process may have open: it stays as it is, with whatever
/// schema it has. Errors: also NotFound (no such database), AlreadyExists (`to`: nothing is
/// overwritten), FailedPrecondition (not Gantry's).
[[nodiscard]] Result<void> backup_file(const std::filesystem::path& database,
                                       const std::filesystem::path& to);

struct CopiedTable {
  std::string name;
  std::int64_t row_count = 0;
};

/// Refuses a PostgreSQL database that a Gantry or another program uses, and changes nothing in it.
/// Errors: as Db::open_postgres; FailedPrecondition (it has rows in `organisations`, or tables that
/// are not Gantry's).
[[nodiscard]] Result<void> check_copy_target(std::string_view url);

/// Copies every table of `from`, which is SQLite, into `to`, which is PostgreSQL and has the same
/// schema version, in one transaction: on disk and counted when it returns, or nothing of
/// it is there. Rows that migrations made are replaced; any other row in `to` refuses it. Errors:
/// FailedPrecondition (`to` is not empty, or of another schema), DataLoss (fewer rows arrived than
/// left), those of the databases.
[[nodiscard]] Result<std::vector<CopiedTable>> copy_database(Db& from, Db& to);

}  // namespace gantry::state
