#pragma once

#include <string>

#include "cli/config_flags.h"

namespace gantry::cli {

/// Copies the SQLite state database, also beside a running server, to `output`: a file that is not
/// there yet, or a directory, which gets a file named by the time. Returns the exit status.
int backup(const ConfigFlags& flags, const std::string& output);

}  // namespace gantry::cli
