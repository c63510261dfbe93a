#include "codec/otlp_json_printer.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>

#include "codec/otlp_attributes.h"
#include "codec/otlp_json_schema.h"
#include "core/json_writer.h"

namespace gantry::codec {
namespace {

using protozero::pbf_reader;

void write_double(core::JsonWriter& json, double value) {
  if (std::isnan(value))
    json.string("NaN");
  else if (std::isinf(value))
    json.string(value > 0 ? "Infinity" : "-Infinity");
  else
    json.number(value);
}

void write_message(core::JsonWriter& json, const JsonMessage& schema, std::string_view bytes);

/// The value of the field that `at` is at.
void write_value(core::JsonWriter& json, const JsonField& field, pbf_reader& at) {
  switch (field.kind) {
    case JsonKind::String:
      json.string(at.get_view());
      return;
    case JsonKind::Bytes: {
      std::string text;
      append_base64(text, at.get_view());
      json.string(text);
      return;
    }
    case JsonKind::HexId: {
      std::string text;
      append_hex(text, at.get_view());
      json.string(text);
      return;
    }
    case JsonKind::Bool:
      json.boolean(at.get_bool());
      return;
    case JsonKind::Enum:
      json.integer(at.get_enum());
      return;
    case JsonKind::Int64:
      json.string(fmt::to_string(at.get_int64()));
      return;
    case JsonKind::Uint32:
      json.integer(at.get_uint32());
      return;
    case JsonKind::Fixed32:
      json.integer(at.get_fixed32());
      return;
    case JsonKind::Sint32:
      json.integer(at.get_sint32());
      return;
    case JsonKind::Fixed64:
      json.string(fmt::to_string(at.get_fixed64()));
      return;
    case JsonKind::Sfixed64:
      json.string(fmt::to_string(at.get_sfixed64()));
      return;
    case JsonKind::Double:
      write_double(json, at.get_double());
      return;
    case JsonKind::Fixed64List:
      for (const std::uint64_t value : at.get_packed_fixed64()) json.string(fmt::to_string(value));
      return;
    case JsonKind::Uint64List:
      for (const std::uint64_t value : at.get_packed_uint64()) json.string(fmt::to_string(value));
      return;
    case JsonKind::DoubleList:
      for (const double value : at.get_packed_double()) write_double(json, value);
      return;
    case JsonKind::Message:
    case JsonKind::MessageList:
      write_message(json, *field.message, at.get_view());
      return;
  }
}

protozero::pbf_wire_type wire_type(JsonKind kind) {
  switch (kind) {
    case JsonKind::Bool:
    case JsonKind::Enum:
    case JsonKind::Int64:
    case JsonKind::Uint32:
    case JsonKind::Sint32:
      return protozero::pbf_wire_type::varint;
    case JsonKind::Fixed32:
      return protozero::pbf_wire_type::fixed32;
    case JsonKind::Fixed64:
    case JsonKind::Sfixed64:
    case JsonKind::Double:
      return protozero::pbf_wire_type::fixed64;
    case JsonKind::String:
    case JsonKind::Bytes:
    case JsonKind::HexId:
    case JsonKind::Fixed64List:
    case JsonKind::Uint64List:
    case JsonKind::DoubleList:
    case JsonKind::Message:
    case JsonKind::MessageList:
      return protozero::pbf_wire_type::length_delimited;
  }
  return protozero::pbf_wire_type::unknown;
}

bool is_list(JsonKind kind) {
  return kind == JsonKind::MessageList || kind == JsonKind::Fixed64List ||
         kind == JsonKind::Uint64List || kind == JsonKind::DoubleList;
}

/// A message's fields come in any order, JSON's lists in one piece.
void write_message(core::JsonWriter& json, const JsonMessage& schema, std::string_view bytes) {
  json.begin_object();
  for (const JsonField& field : schema.fields) {
    pbf_reader message(bytes);
    bool is_open = false;
    std::string_view last;
    while (true) {
      const std::string_view before = message.data();
      if (!message.next()) break;
      if (message.tag() != field.number || message.wire_type() != wire_type(field.kind)) {
        message.skip();
      } else if (is_list(field.kind)) {
        if (!is_open) json.key(field.name).begin_array();
        is_open = true;
        write_value(json, field, message);
      } else {
        last = before;
        message.skip();
      }
    }
    if (is_open) json.end_array();
    if (last.empty()) continue;
    pbf_reader at(last);
    at.next();
    json.key(field.name);
    write_value(json, field, at);
  }
  json.end_object();
}

}  // namespace

Result<void> append_otlp_json(OtlpJsonMessage message, std::string_view protobuf,
                              std::string& out) {
  const JsonMessage& schema = message == OtlpJsonMessage::MetricsRequest ? metrics_request_schema()
                                                                         : traces_request_schema();
  core::JsonWriter json(out);
  try {
    write_message(json, schema, protobuf);
  } catch (const protozero::exception& error) {
    return fail(Code::InvalidArgument, fmt::format("not an OTLP message: {}", error.what()));
  }
  return {};
}

}  // namespace gantry::codec
