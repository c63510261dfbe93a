#pragma once

// The single values of the section `gateway`, as read_gateway_settings knows them: for the printed
// configuration and the documentation. The lists `providers`, `models` and `tokenizers` are not
// among them.

#include <span>
#include <string>
#include <string_view>

#include "gateway/gateway_settings.h"

namespace gantry::gateway {

struct GatewaySetting {
  std::string_view key;   ///< "max_queue"
  std::string_view type;  ///< "whole number"
  std::string_view help;  ///< One sentence or two.
  /// As it is written; "" for what is absent.
  std::string (*format)(const GatewaySettings&);
};

/// In the order of the documentation.
[[nodiscard]] std::span<const GatewaySetting> gateway_setting_list();

}  // namespace gantry::gateway
