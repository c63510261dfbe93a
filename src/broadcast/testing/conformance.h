#pragma once

// What tests/broadcast says of destinations: decisions, verdicts and requests, as tables.

#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace gantry::broadcast::testing {

/// A file of tests/broadcast, or nothing when there is none of that name.
[[nodiscard]] std::optional<nlohmann::json> read_conformance_json(std::string_view name);

}  // namespace gantry::broadcast::testing

/// Binds the file's JSON to `variable`.
#define GANTRY_BROADCAST_JSON(variable, name)                                             \
  const auto variable##_file = ::gantry::broadcast::testing::read_conformance_json(name); \
  ASSERT_TRUE(variable##_file) << "no tests/broadcast/" << (name);                        \
  const nlohmann::json& variable = *variable##_file
