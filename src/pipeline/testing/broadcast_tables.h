#pragma once

// What tests/broadcast says of sampling and filter rules, as tables.

#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace gantry::pipeline::testing {

/// A file of tests/broadcast, or nothing when there is none of that name.
[[nodiscard]] std::optional<nlohmann::json> read_broadcast_table(std::string_view name);

}  // namespace gantry::pipeline::testing

/// Binds the file's JSON to `variable`.
#define GANTRY_BROADCAST_JSON(variable, name)                                           \
  const auto variable##_file = ::gantry::pipeline::testing::read_broadcast_table(name); \
  ASSERT_TRUE(variable##_file) << "no tests/broadcast/" << (name);                      \
  const nlohmann::json& variable = *variable##_file
