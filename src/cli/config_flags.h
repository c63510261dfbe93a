#pragma once

// The flags that `serve` and `check-config` share, and how they become a Config.

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "server/config_load.h"

namespace gantry::cli {

struct ConfigFlags {
  std::string config;                        ///< --config; "": none.
  std::vector<server::FlagValue> shortcuts;  ///< --data, --listen, …
  std::vector<std::string> assignments;      ///< --set KEY=VALUE
};

/// File, environment of this process, flags. Errors: InvalidArgument, as load_config.
[[nodiscard]] Result<server::LoadedConfig> load_config(const ConfigFlags& flags);

/// "gantry: …" on standard error.
void print_error(std::string_view message);

}  // namespace gantry::cli
