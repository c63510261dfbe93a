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

/// Keys of two maps whose values differ, or that only one of them has, in the order of `before` and
/// then of `after`. Where a value stands in its file makes no difference.
[[nodiscard]] std::vector<std::string> differing_keys(const SettingNode& before,
                                                      const SettingNode& after);

}  // namespace gantry::gateway
