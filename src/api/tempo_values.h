#pragma once

// How Tempo's API shows values, whatever the encoding of its answers.

#include <string>
#include <string_view>

#include "traceql/engine.h"

namespace gantry::api {

/// What search answers as the root's service while the root is missing.
inline constexpr std::string_view kRootNotReceived = "<root span not yet received>";

/// A value of a tag list, bare: `1.5s`, `error`, `GET`.
[[nodiscard]] std::string tag_value_text(const traceql::Static& value);

/// "string", "int", "float", "bool", "duration", "keyword".
[[nodiscard]] std::string_view tag_value_type(traceql::StaticType type);

/// Series without one are not answered.
[[nodiscard]] bool has_sample(const traceql::MetricsSeries& series);

}  // namespace gantry::api
