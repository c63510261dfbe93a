#pragma once

// A value of a configuration file, whatever language the file is written in.

#include <cstdint>
#include <string>
#include <vector>

namespace gantry::gateway {

struct SettingNode {
  enum class Kind : std::uint8_t { Null, Scalar, List, Map };

  Kind kind = Kind::Null;
  std::string text;                ///< Of a Scalar, as written.
  std::vector<SettingNode> items;  ///< Of a List or Map, in order.
  std::string key;                 ///< Of an item of a Map.
  std::string place;               ///< For errors: "gantry.yaml:12:7". "": not known.
};

}  // namespace gantry::gateway
