#include "cli/check_config.h"

#include <cstdio>

#include <fmt/core.h>

#include "server/config_print.h"

namespace gantry::cli {

int check_config(const ConfigFlags& flags) {
  const auto loaded = load_config(flags);
  if (!loaded) {
    print_error(loaded.error().message);
    return 1;
  }
  for (const std::string& warning : loaded->warnings) print_error(warning);
  fmt::print("{}", server::format_config_yaml(loaded->config));
  return 0;
}

}  // namespace gantry::cli
