#pragma once

#include "cli/config_flags.h"

namespace gantry::cli {

/// Prints the effective configuration as YAML. Returns the exit status.
[[nodiscard]] int check_config(const ConfigFlags& flags);

}  // namespace gantry::cli
