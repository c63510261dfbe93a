#pragma once

// From file, environment and flags to a Config, strictly: an unknown or ill-typed key is an error
// that says where it is and which known key is nearest.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "server/config.h"

namespace gantry::server {

/// One setting from a flag.
struct FlagValue {
  std::string flag;  ///< As typed, for messages: "--listen".
  std::string key;   ///< "server.listen"
  std::string value;
};

struct ConfigSources {
  std::optional<std::filesystem::path> file;                     ///< YAML
  std::vector<std::pair<std::string, std::string>> environment;  ///< All variables; others than
                                                                 ///< GANTRY_… are ignored.
  std::vector<FlagValue> flags;
};

struct LoadedConfig {
  Config config;
  std::vector<std::string> warnings;  ///< GANTRY_… variables that are no setting.
};

/// Defaults, then file, environment, flags, then `validate`. Errors: InvalidArgument with the
/// place: "gantry.yaml:12:7: storage: unknown key \"retentoin\", did you mean \"retention\"?".
[[nodiscard]] Result<LoadedConfig> load_config(const ConfigSources& sources);

/// One step of it: `name` stands for the file in messages.
[[nodiscard]] Result<void> apply_yaml(Config& config, std::string_view text, std::string_view name);

/// What no single setting can know: pairs of files, addresses, the URL. Errors: InvalidArgument
/// naming the keys.
[[nodiscard]] Result<void> validate(const Config& config);

/// The variables of this process.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> process_environment();

}  // namespace gantry::server
