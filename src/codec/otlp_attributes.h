#pragma once

// Attributes in their wire form: KeyValue fields one after the other, whatever their field number.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/otlp_fields.h"
#include "core/arena.h"
#include "core/error.h"

namespace gantry::codec {

/// One attribute; `value` is the AnyValue message.
struct OtlpAttribute {
  std::string_view key;
  std::string_view value;
};

/// The member of an AnyValue's oneof that counts: the last one set.
struct AnyValueView {
  otlp::AnyValue kind{};   ///< 0: nothing set.
  std::string_view bytes;  ///< Of strings, bytes, arrays and lists.
  std::int64_t integer = 0;
  double number = 0;
};

/// Throws protozero's exceptions.
[[nodiscard]] AnyValueView read_any_value(std::string_view any_value);

/// One KeyValue message. Throws protozero's exceptions.
[[nodiscard]] OtlpAttribute read_attribute(std::string_view key_value);

/// Appends the attributes of `fields`. Duplicate keys are kept. Throws protozero's exceptions.
void read_attributes(std::string_view fields, std::vector<OtlpAttribute>& attributes);

/// An AnyValue as a label value: strings as they are (a view into the message), integers, booleans
/// and doubles as decimals, bytes as base64, arrays and key-value lists as compact JSON with sorted
/// keys. Nothing set is "". Throws protozero's exceptions.
[[nodiscard]] std::string_view attribute_text(std::string_view any_value, core::Arena& arena);

/// The texts of an AnyValue as a condition compares them: of an array each element's, of anything
/// else its attribute_text. Errors: InvalidArgument for bytes that are no AnyValue.
[[nodiscard]] Result<std::vector<std::string>> attribute_texts(std::string_view any_value);

/// Standard base64 with padding.
void append_base64(std::string& out, std::string_view bytes);

/// Lower-case hexadecimal.
void append_hex(std::string& out, std::string_view bytes);

}  // namespace gantry::codec
