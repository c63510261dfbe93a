#pragma once

// The published Broadcast vectors, for tests that compare with them when they are there.

#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace gantry::broadcast::testing {

/// conformance/broadcast/<name>, or nothing when the directory is not there. The directory comes
/// from the environment variable GANTRY_CONFORMANCE_DIR, else from the build.
[[nodiscard]] std::optional<nlohmann::json> read_conformance_json(std::string_view name);

}  // namespace gantry::broadcast::testing

/// Binds the file's JSON to `variable`, or skips the test saying what is missing.
#define GANTRY_BROADCAST_JSON(variable, name)                                              \
  const auto variable##_file = ::gantry::broadcast::testing::read_conformance_json(name);  \
  if (!variable##_file) {                                                                  \
    GTEST_SKIP() << "no " << (name) << ": set GANTRY_CONFORMANCE_DIR to the test vectors"; \
  }                                                                                        \
  const nlohmann::json& variable = *variable##_file
