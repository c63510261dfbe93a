#pragma once

// Attributes of spans as label values.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/arena.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

/// Texts as they are, other values as decimals, base64 or JSON. A view into the value or `arena`.
[[nodiscard]] std::string_view attribute_text(const telemetry::AttributeValue& value,
                                              core::Arena& arena);

/// The first attribute of that key.
[[nodiscard]] std::optional<std::string_view> find_text(
    std::span<const telemetry::SpanAttribute> attributes, std::string_view key, core::Arena& arena);

/// Anything outside [a-zA-Z0-9_] becomes an underscore, so does a digit in front (Prometheus'
/// strutil.SanitizeLabelName).
[[nodiscard]] std::string sanitized_label_name(std::string_view key);

}  // namespace gantry::pipeline
