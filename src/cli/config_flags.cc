#include "cli/config_flags.h"

#include <cstdio>

#include <fmt/core.h>

namespace gantry::cli {

Result<server::LoadedConfig> load_config(const ConfigFlags& flags) {
  server::ConfigSources sources{
      .file = std::nullopt, .environment = server::process_environment(), .flags = flags.shortcuts};
  if (!flags.config.empty()) sources.file = flags.config;
  for (const std::string& assignment : flags.assignments) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos)
      return fail(Code::InvalidArgument, fmt::format("--set: \"{}\" is not KEY=VALUE", assignment));
    sources.flags.push_back({.flag = "--set",
                             .key = assignment.substr(0, equals),
                             .value = assignment.substr(equals + 1)});
  }
  return server::load_config(sources);
}

void print_error(std::string_view message) {
  fmt::print(stderr, "gantry: {}\n", message);
}

}  // namespace gantry::cli
