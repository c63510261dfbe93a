#include "cli/version.h"

#include <fmt/core.h>

#include "core/version.h"

namespace gantry::cli {

int print_version() {
  fmt::print("gantry {} (revision {}, answers as Prometheus {})\n", core::version(),
             core::revision(), core::prometheus_compatible_version());
  return 0;
}

}  // namespace gantry::cli
