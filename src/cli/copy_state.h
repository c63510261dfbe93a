#pragma once

#include <string>

#include "cli/config_flags.h"

namespace gantry::cli {

/// Copies the SQLite state database of a data directory that no server uses into the PostgreSQL
/// database `url`, or that of `state.url` when it is "". Returns the exit status.
int copy_state(const ConfigFlags& flags, const std::string& url);

}  // namespace gantry::cli
