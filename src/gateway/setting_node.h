#pragma once

// A value of a configuration file, whatever language the file is written in.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gantry::gateway {

struct SettingNode {
  enum class Kind : std::uint8_t { Null, Scalar, List, Map };

  Kind kind = Kind::Null;
  std::string text;                                           ///< Of a Scalar, as written.
  std::vector<SettingNode> items;                             ///< Of a List.
  std::vector<std::pair<std::string, SettingNode>> members;   ///< Of a Map, in order.
  std::string place;  ///< For errors: "gantry.yaml:12:7". "": not known.

  /// Null if there is none of that name.
  [[nodiscard]] const SettingNode* find(std::string_view name) const {
    for (const auto& [key, value] : members) {
      if (key == name) return &value;
    }
    return nullptr;
  }
};

}  // namespace gantry::gateway
