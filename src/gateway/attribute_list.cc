#include "codec/message_builder.h"
#include "codec/otlp_fields.h"
#include "codec/otlp_values.h"
#include "gateway/attribute_list_internal.h"

namespace gantry::gateway {

using telemetry::AttributeValue;

AttributeValue& AttributeList::add(std::string_view key, AttributeValue::Kind kind) {
  AttributeValue& value = batch_.attributes.emplace_back().value;
  codec::ValueState state{};
  batch_.attributes.back().key = codec::valid_text(key, batch_.arena, state);
  value.kind = kind;
  return value;
}

void AttributeList::add_string(std::string_view key, std::string_view text) {
  codec::ValueState state{};
  add(key, AttributeValue::Kind::String).text = codec::valid_text(text, batch_.arena, state);
}

void AttributeList::add_bool(std::string_view key, bool value) {
  add(key, AttributeValue::Kind::Bool).boolean = value;
}

void AttributeList::add_int(std::string_view key, std::int64_t value) {
  add(key, AttributeValue::Kind::Int).integer = value;
}

void AttributeList::add_double(std::string_view key, double value) {
  add(key, AttributeValue::Kind::Double).number = value;
}

void AttributeList::add_strings(std::string_view key, std::span<const std::string> texts) {
  using codec::otlp::AnyValue;
  using codec::otlp::ValueList;
  std::string encoded;
  {
    codec::MessageBuilder<AnyValue> any_value(encoded);
    codec::MessageBuilder<ValueList> list(any_value, AnyValue::ArrayValue);
    for (const std::string& text : texts) {
      codec::ValueState state{};
      codec::MessageBuilder<AnyValue> element(list, ValueList::Values);
      element.add_string(AnyValue::StringValue, codec::valid_text(text, batch_.arena, state));
    }
  }
  add(key, AttributeValue::Kind::Encoded).text = batch_.arena.copy(encoded);
}

}  // namespace gantry::gateway
