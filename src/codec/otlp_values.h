#pragma once

// OTLP's AnyValue to and from telemetry::AttributeValue.

#include <cstdint>
#include <string>
#include <string_view>

#include "core/arena.h"
#include "core/json_writer.h"
#include "telemetry/span_batch.h"

namespace gantry::codec {

/// What had to be done to a value so that it can be kept and sent on.
enum class ValueState : std::uint8_t {
  AsSent,
  Repaired,  ///< Text that is not UTF-8 now has U+FFFD where the bad bytes were.
  TooDeep,   ///< Lists in lists beyond kValueDepthMax; there is no value.
};

inline constexpr int kValueDepthMax = 32;

/// `text` itself, or a copy in `arena` with U+FFFD for what is not UTF-8: readers of protobuf
/// refuse a whole message for one such string.
[[nodiscard]] std::string_view valid_text(std::string_view text, core::Arena& arena,
                                          ValueState& state);

/// Replaces `value`, whose text is then a view into the message or into `arena`. Throws protozero's
/// exceptions for a value that is malformed at any depth.
[[nodiscard]] ValueState read_attribute_value(std::string_view any_value, core::Arena& arena,
                                              telemetry::AttributeValue& value);

/// Appends the AnyValue message.
void append_attribute_value(std::string& out, const telemetry::AttributeValue& value);

/// Appends protobuf JSON: {"intValue":"200"}, {"arrayValue":{"values":[{"stringValue":"a"}]}}; {}
/// for nothing. `value` must have been read by read_attribute_value, or be as it leaves one.
void append_attribute_value_json(core::JsonWriter& json, const telemetry::AttributeValue& value);

}  // namespace gantry::codec
