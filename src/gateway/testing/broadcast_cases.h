#pragma once

// The cases of what a call becomes at a destination: tests/broadcast.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gateway/generation.h"
#include "gateway/generation_trace.h"
#include "telemetry/span_batch.h"

namespace gantry::gateway::testing {

/// A file of tests/broadcast, or nothing when there is none of that name.
[[nodiscard]] std::optional<nlohmann::json> read_broadcast_json(std::string_view name);

/// The names of the case files, in order.
[[nodiscard]] std::vector<std::string> broadcast_case_names();

/// With the bytes behind it that a JSON reader may read.
[[nodiscard]] std::string padded(std::string_view text);

/// What the gateway knows of the case's call when it is over, as its readers read it.
[[nodiscard]] Generation generation_of(const nlohmann::json& broadcast_case);

[[nodiscard]] TraceOptions options_of(const nlohmann::json& broadcast_case);

/// In the shape of the cases' `expect`: resource, scope and spans, values as {"type","value"}.
[[nodiscard]] nlohmann::json expectation_form(const telemetry::SpanBatch& batch);

/// What is not as expected, one line for each thing. Spans are matched by their ids; the values of
/// content attributes are compared as JSON, doubles to 1e-12, conditions (`match`) are checked.
[[nodiscard]] std::vector<std::string> differences(const nlohmann::json& expected,
                                                   const nlohmann::json& actual);

}  // namespace gantry::gateway::testing

/// Binds the file's JSON to `variable`.
#define GANTRY_BROADCAST_JSON(variable, name)                                         \
  const auto variable##_file = ::gantry::gateway::testing::read_broadcast_json(name); \
  ASSERT_TRUE(variable##_file) << "no tests/broadcast/" << (name);                    \
  const nlohmann::json& variable = *variable##_file
