#pragma once

#include "cli/config_flags.h"

namespace gantry::cli {

/// Runs the server until SIGTERM or SIGINT; SIGHUP reloads. A second SIGTERM or SIGINT ends the
/// process at once, which loses nothing that was acknowledged. Returns the exit status.
[[nodiscard]] int serve(const ConfigFlags& flags);

}  // namespace gantry::cli
