#include "codec/otlp_values.h"

#include <algorithm>
#include <cmath>

#include <protozero/pbf_message.hpp>
#include <protozero/pbf_writer.hpp>

#include "codec/otlp_attributes.h"
#include "codec/otlp_fields.h"
#include "core/utf8.h"

namespace gantry::codec {
namespace {

using protozero::pbf_message;
using protozero::pbf_wire_type;
using telemetry::AttributeValue;
using Writer = protozero::basic_pbf_writer<std::string>;

template <class Field>
std::uint32_t number(Field field) {
  return static_cast<std::uint32_t>(field);
}

std::string repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  for (std::size_t position = 0; position < text.size();)
    core::append_utf8(out, core::next_code_point(text, position));
  return out;
}

ValueState worst(ValueState a, ValueState b) {
  return std::max(a, b);
}

ValueState check_text(std::string_view text) {
  return core::is_valid_utf8(text) ? ValueState::AsSent : ValueState::Repaired;
}

ValueState check_value(std::string_view any_value, int depth);

ValueState check_key_value(std::string_view key_value, int depth) {
  const OtlpAttribute attribute = read_attribute(key_value);
  return worst(check_text(attribute.key), check_value(attribute.value, depth));
}

/// Of an ArrayValue or a KeyValueList, which number their elements alike.
template <class Check>
ValueState check_list(std::string_view list, int depth, Check check) {
  ValueState state = ValueState::AsSent;
  pbf_message<otlp::ValueList> message(list);
  while (message.next()) {
    if (message.tag_and_type() ==
        tag_and_type(otlp::ValueList::Values, pbf_wire_type::length_delimited)) {
      state = worst(state, check(message.get_view(), depth + 1));
    } else {
      message.skip();
    }
  }
  return state;
}

/// Every member that is set, not only the one that counts: other readers look at all of them.
ValueState check_value(std::string_view any_value, int depth) {
  if (depth > kValueDepthMax) return ValueState::TooDeep;
  ValueState state = ValueState::AsSent;
  pbf_message<otlp::AnyValue> message(any_value);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(otlp::AnyValue::StringValue, pbf_wire_type::length_delimited):
        state = worst(state, check_text(message.get_view()));
        break;
      case tag_and_type(otlp::AnyValue::ArrayValue, pbf_wire_type::length_delimited):
        state = worst(state, check_list(message.get_view(), depth, check_value));
        break;
      case tag_and_type(otlp::AnyValue::KvlistValue, pbf_wire_type::length_delimited):
        state = worst(state, check_list(message.get_view(), depth, check_key_value));
        break;
      default:
        message.skip();
    }
  }
  return state;
}

void write_repaired(Writer& writer, std::string_view any_value);

void write_repaired_key_value(Writer& writer, std::string_view key_value) {
  const OtlpAttribute attribute = read_attribute(key_value);
  writer.add_string(number(otlp::KeyValue::Key), repaired(attribute.key));
  std::string value;
  {
    Writer nested(value);
    write_repaired(nested, attribute.value);
  }
  writer.add_message(number(otlp::KeyValue::Value), value);
}

template <class Write>
std::string repaired_list(std::string_view list, Write write) {
  std::string out;
  Writer writer(out);
  pbf_message<otlp::ValueList> message(list);
  while (message.next(otlp::ValueList::Values, pbf_wire_type::length_delimited)) {
    std::string element;
    {
      Writer nested(element);
      write(nested, message.get_view());
    }
    writer.add_message(number(otlp::ValueList::Values), element);
  }
  return out;
}

void write_repaired(Writer& writer, std::string_view any_value) {
  const AnyValueView value = read_any_value(any_value);
  const std::uint32_t field = number(value.kind);
  switch (value.kind) {
    case otlp::AnyValue::StringValue:
      writer.add_string(field, repaired(value.bytes));
      return;
    case otlp::AnyValue::BoolValue:
      writer.add_bool(field, value.integer != 0);
      return;
    case otlp::AnyValue::IntValue:
      writer.add_int64(field, value.integer);
      return;
    case otlp::AnyValue::DoubleValue:
      writer.add_double(field, value.number);
      return;
    case otlp::AnyValue::ArrayValue:
      writer.add_message(field, repaired_list(value.bytes, write_repaired));
      return;
    case otlp::AnyValue::KvlistValue:
      writer.add_message(field, repaired_list(value.bytes, write_repaired_key_value));
      return;
    case otlp::AnyValue::BytesValue:
      writer.add_bytes(field, value.bytes);
      return;
  }
}

void append_double_json(core::JsonWriter& json, double value) {
  if (std::isnan(value)) {
    json.string("NaN");
  } else if (std::isinf(value)) {
    json.string(value > 0 ? "Infinity" : "-Infinity");
  } else {
    json.number(value);
  }
}

void append_any_value_json(core::JsonWriter& json, std::string_view any_value);

void append_key_value_json(core::JsonWriter& json, std::string_view key_value) {
  const OtlpAttribute attribute = read_attribute(key_value);
  json.begin_object();
  if (!attribute.key.empty()) json.key("key").string(attribute.key);
  json.key("value");
  append_any_value_json(json, attribute.value);
  json.end_object();
}

template <class Append>
void append_list_json(core::JsonWriter& json, std::string_view list, Append append) {
  json.begin_object();
  pbf_message<otlp::ValueList> message(list);
  bool has_values = false;
  while (message.next(otlp::ValueList::Values, pbf_wire_type::length_delimited)) {
    if (!has_values) json.key("values").begin_array();
    has_values = true;
    append(json, message.get_view());
  }
  if (has_values) json.end_array();
  json.end_object();
}

void append_any_value_json(core::JsonWriter& json, std::string_view any_value) {
  const AnyValueView value = read_any_value(any_value);
  json.begin_object();
  switch (value.kind) {
    case otlp::AnyValue::StringValue:
      json.key("stringValue").string(value.bytes);
      break;
    case otlp::AnyValue::BoolValue:
      json.key("boolValue").boolean(value.integer != 0);
      break;
    case otlp::AnyValue::IntValue:
      json.key("intValue").string(std::to_string(value.integer));
      break;
    case otlp::AnyValue::DoubleValue:
      append_double_json(json.key("doubleValue"), value.number);
      break;
    case otlp::AnyValue::ArrayValue:
      append_list_json(json.key("arrayValue"), value.bytes, append_any_value_json);
      break;
    case otlp::AnyValue::KvlistValue:
      append_list_json(json.key("kvlistValue"), value.bytes, append_key_value_json);
      break;
    case otlp::AnyValue::BytesValue: {
      std::string text;
      append_base64(text, value.bytes);
      json.key("bytesValue").string(text);
      break;
    }
  }
  json.end_object();
}

}  // namespace

std::string_view valid_text(std::string_view text, core::Arena& arena, ValueState& state) {
  if (core::is_valid_utf8(text)) return text;
  state = worst(state, ValueState::Repaired);
  return arena.copy(repaired(text));
}

ValueState read_attribute_value(std::string_view any_value, core::Arena& arena,
                                AttributeValue& value) {
  value = {};
  const AnyValueView view = read_any_value(any_value);
  ValueState state = ValueState::AsSent;
  switch (view.kind) {
    case otlp::AnyValue::StringValue:
      value.kind = AttributeValue::Kind::String;
      value.text = valid_text(view.bytes, arena, state);
      return state;
    case otlp::AnyValue::BoolValue:
      value.kind = AttributeValue::Kind::Bool;
      value.boolean = view.integer != 0;
      return state;
    case otlp::AnyValue::IntValue:
      value.kind = AttributeValue::Kind::Int;
      value.integer = view.integer;
      return state;
    case otlp::AnyValue::DoubleValue:
      value.kind = AttributeValue::Kind::Double;
      value.number = view.number;
      return state;
    default:
      break;
  }
  state = check_value(any_value, 0);
  if (state == ValueState::AsSent) {
    value.text = any_value;
  } else if (state == ValueState::Repaired) {
    std::string encoded;
    Writer writer(encoded);
    write_repaired(writer, any_value);
    value.text = arena.copy(encoded);
  }
  return state;
}

void append_attribute_value(std::string& out, const AttributeValue& value) {
  Writer writer(out);
  switch (value.kind) {
    case AttributeValue::Kind::String:
      writer.add_string(number(otlp::AnyValue::StringValue), value.text);
      return;
    case AttributeValue::Kind::Bool:
      writer.add_bool(number(otlp::AnyValue::BoolValue), value.boolean);
      return;
    case AttributeValue::Kind::Int:
      writer.add_int64(number(otlp::AnyValue::IntValue), value.integer);
      return;
    case AttributeValue::Kind::Double:
      writer.add_double(number(otlp::AnyValue::DoubleValue), value.number);
      return;
    case AttributeValue::Kind::Encoded:
      out.append(value.text);
      return;
  }
}

void append_attribute_value_json(core::JsonWriter& json, const AttributeValue& value) {
  if (value.kind == AttributeValue::Kind::Encoded) {
    append_any_value_json(json, value.text);
    return;
  }
  json.begin_object();
  switch (value.kind) {
    case AttributeValue::Kind::String:
      json.key("stringValue").string(value.text);
      break;
    case AttributeValue::Kind::Bool:
      json.key("boolValue").boolean(value.boolean);
      break;
    case AttributeValue::Kind::Int:
      json.key("intValue").string(std::to_string(value.integer));
      break;
    case AttributeValue::Kind::Double:
      append_double_json(json.key("doubleValue"), value.number);
      break;
    case AttributeValue::Kind::Encoded:
      break;
  }
  json.end_object();
}

}  // namespace gantry::codec
