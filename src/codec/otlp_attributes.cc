#include "codec/otlp_attributes.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_message.hpp>

#include "core/json_writer.h"
#include "core/number_format.h"

namespace gantry::codec {

namespace {

using protozero::pbf_wire_type;

/// Deeper values become null: no label is worth a stack.
constexpr int kDepthMax = 32;

void append_json_value(std::string& out, std::string_view any_value, int depth);

void append_json_list(std::string& out, std::string_view list, int depth) {
  out.push_back('[');
  protozero::pbf_message<otlp::ValueList> message(list);
  bool is_first = true;
  while (message.next(otlp::ValueList::Values, pbf_wire_type::length_delimited)) {
    if (!is_first) out.push_back(',');
    is_first = false;
    append_json_value(out, message.get_view(), depth + 1);
  }
  out.push_back(']');
}

void append_json_map(std::string& out, std::string_view list, int depth) {
  std::vector<OtlpAttribute> members;
  read_attributes(list, members);
  std::ranges::stable_sort(members, {}, &OtlpAttribute::key);
  out.push_back('{');
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0) out.push_back(',');
    core::append_json_string(out, members[i].key);
    out.push_back(':');
    append_json_value(out, members[i].value, depth + 1);
  }
  out.push_back('}');
}

/// Everything but strings, as text.
void append_plain(std::string& out, const AnyValueView& value, int depth) {
  switch (value.kind) {
    case otlp::AnyValue::StringValue:
      out.append(value.bytes);
      return;
    case otlp::AnyValue::BoolValue:
      out += value.integer != 0 ? "true" : "false";
      return;
    case otlp::AnyValue::IntValue:
      out += std::to_string(value.integer);
      return;
    case otlp::AnyValue::DoubleValue:
      core::append_float_api(out, value.number);
      return;
    case otlp::AnyValue::ArrayValue:
      append_json_list(out, value.bytes, depth);
      return;
    case otlp::AnyValue::KvlistValue:
      append_json_map(out, value.bytes, depth);
      return;
    case otlp::AnyValue::BytesValue:
      append_base64(out, value.bytes);
      return;
  }
}

void append_json_value(std::string& out, std::string_view any_value, int depth) {
  const AnyValueView value = read_any_value(any_value);
  const bool is_text =
      value.kind == otlp::AnyValue::StringValue || value.kind == otlp::AnyValue::BytesValue;
  // JSON has no NaN and no infinity.
  const bool is_special =
      value.kind == otlp::AnyValue::DoubleValue && !(value.number - value.number == 0);
  if (value.kind == otlp::AnyValue{} || depth > kDepthMax) {
    out += "null";
  } else if (is_text || is_special) {
    std::string text;
    append_plain(text, value, depth);
    core::append_json_string(out, text);
  } else {
    append_plain(out, value, depth);
  }
}

}  // namespace

AnyValueView read_any_value(std::string_view bytes) {
  AnyValueView value;
  protozero::pbf_message<otlp::AnyValue> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(otlp::AnyValue::StringValue, pbf_wire_type::length_delimited):
      case tag_and_type(otlp::AnyValue::ArrayValue, pbf_wire_type::length_delimited):
      case tag_and_type(otlp::AnyValue::KvlistValue, pbf_wire_type::length_delimited):
      case tag_and_type(otlp::AnyValue::BytesValue, pbf_wire_type::length_delimited):
        value.kind = message.tag();
        value.bytes = message.get_view();
        break;
      case tag_and_type(otlp::AnyValue::BoolValue, pbf_wire_type::varint):
        value.kind = otlp::AnyValue::BoolValue;
        value.integer = message.get_bool() ? 1 : 0;
        break;
      case tag_and_type(otlp::AnyValue::IntValue, pbf_wire_type::varint):
        value.kind = otlp::AnyValue::IntValue;
        value.integer = message.get_int64();
        break;
      case tag_and_type(otlp::AnyValue::DoubleValue, pbf_wire_type::fixed64):
        value.kind = otlp::AnyValue::DoubleValue;
        value.number = message.get_double();
        break;
      default:
        message.skip();
    }
  }
  return value;
}

OtlpAttribute read_attribute(std::string_view key_value) {
  OtlpAttribute attribute;
  protozero::pbf_message<otlp::KeyValue> message(key_value);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(otlp::KeyValue::Key, pbf_wire_type::length_delimited):
        attribute.key = message.get_view();
        break;
      case tag_and_type(otlp::KeyValue::Value, pbf_wire_type::length_delimited):
        attribute.value = message.get_view();
        break;
      default:
        message.skip();
    }
  }
  return attribute;
}

void read_attributes(std::string_view fields, std::vector<OtlpAttribute>& attributes) {
  protozero::pbf_reader reader(fields);
  while (reader.next()) {
    if (reader.wire_type() == pbf_wire_type::length_delimited) {
      attributes.push_back(read_attribute(reader.get_view()));
    } else {
      reader.skip();
    }
  }
}

std::string_view attribute_text(std::string_view any_value, core::Arena& arena) {
  const AnyValueView value = read_any_value(any_value);
  if (value.kind == otlp::AnyValue::StringValue) return value.bytes;
  std::string text;
  append_plain(text, value, 0);
  return arena.copy(text);
}

void append_base64(std::string& out, std::string_view bytes) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = (bits << 8U) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out.push_back(j <= count ? kAlphabet[(bits >> (18 - 6 * j)) & 63U] : '=');
    }
  }
}

void append_hex(std::string& out, std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kDigits[byte >> 4U]);
    out.push_back(kDigits[byte & 15U]);
  }
}

Result<std::vector<std::string>> attribute_texts(std::string_view any_value) {
  core::Arena arena;
  std::vector<std::string> texts;
  try {
    const AnyValueView value = read_any_value(any_value);
    if (value.kind != otlp::AnyValue::ArrayValue) {
      texts.emplace_back(attribute_text(any_value, arena));
      return texts;
    }
    protozero::pbf_message<otlp::ValueList> list(value.bytes);
    while (list.next(otlp::ValueList::Values, pbf_wire_type::length_delimited)) {
      texts.emplace_back(attribute_text(list.get_view(), arena));
    }
  } catch (const protozero::exception& e) {
    return fail(Code::InvalidArgument, fmt::format("not an attribute value: {}", e.what()));
  }
  return texts;
}

}  // namespace gantry::codec
