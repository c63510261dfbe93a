#pragma once

// For programs beside the server: which schema does a database have, before anything migrates it?

#include <filesystem>
#include <string_view>

#include "core/error.h"

namespace gantry::state {

/// The schema version of the database that `state.url` and the data directory mean (as
/// Db::open_url); 0 when there is no database, or nothing in it. Nothing is changed. Errors:
/// those of opening it.
[[nodiscard]] Result<int> read_schema_version(std::string_view url,
                                              const std::filesystem::path& directory);

}  // namespace gantry::state
