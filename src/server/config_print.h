#pragma once

// A Config as text: for `gantry check-config`, the status API and the documentation.

#include <string>
#include <utility>
#include <vector>

#include "server/config.h"

namespace gantry::server {

/// YAML that `apply_yaml` reads back to the same Config. User and password of a URL are masked.
[[nodiscard]] std::string format_config_yaml(const Config& config);

/// Every key with its value, in the table's order.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> list_config(const Config& config);

/// docs/configuration.md.
[[nodiscard]] std::string format_settings_markdown();

}  // namespace gantry::server
