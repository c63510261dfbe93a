#pragma once

namespace gantry::cli {

/// Prints "gantry 0.1.0 (revision …)". Returns the exit status.
[[nodiscard]] int print_version();

}  // namespace gantry::cli
