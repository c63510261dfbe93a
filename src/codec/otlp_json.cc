#include "codec/otlp_json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <protozero/pbf_writer.hpp>
#include <simdjson.h>

#include "codec/otlp_json_schema.h"
#include "core/number_format.h"

namespace gantry::codec {

namespace {

namespace ondemand = simdjson::ondemand;
using Writer = protozero::basic_pbf_writer<std::string>;

/// Of messages in messages; only nested attribute values can get there.
constexpr std::size_t kDepthMax = 64;

std::string_view trim(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

/// Decimal text, exactly; a fraction or an exponent only if the value is an integer all the same.
template <std::integral T>
std::optional<T> parse_integer(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  if (text.find_first_of(".eE") == std::string_view::npos) return std::nullopt;
  const std::optional<double> number = core::parse_float(text);
  if (!number || std::trunc(*number) != *number) return std::nullopt;
  // Both limits as doubles: the upper one rounds up, so it is excluded.
  constexpr auto kLeast = static_cast<double>(std::numeric_limits<T>::min());
  const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);
  if (*number < kLeast || *number >= beyond) return std::nullopt;
  return static_cast<T>(*number);
}

std::optional<double> parse_double(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) {
    return std::nullopt;
  }
  return core::parse_float(text);
}

std::optional<std::string> parse_hex(std::string_view text) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

std::optional<std::string> parse_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned bit_count = 0;
  for (const char c : text) {
    std::uint32_t digit = 0;
    if (c >= 'A' && c <= 'Z') {
      digit = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<std::uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '-') {
      digit = 62;
    } else if (c == '/' || c == '_') {
      digit = 63;
    } else {
      return std::nullopt;
    }
    bits = (bits << 6U) | digit;
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      bytes.push_back(static_cast<char>((bits >> bit_count) & 0xffU));
    }
  }
  return bytes;
}

/// Reads JSON values by the schema's tables and writes fields. The error names the path.
class Transcoder {
 public:
  /// `out` is the string that every writer given here writes to.
  explicit Transcoder(std::string& out) : out_(out) {}

  bool message(ondemand::object& object, const JsonMessage& schema, Writer& writer);

  [[nodiscard]] std::string error_text() const;

  bool fail_with(std::string_view why) {
    if (why_.empty()) why_ = why;
    return false;
  }

  bool fail_with(simdjson::error_code code) { return fail_with(simdjson::error_message(code)); }

 private:
  struct Step {
    std::string_view name;
    std::int64_t index = -1;
  };

  bool field(ondemand::value value, const JsonField& field, Writer& writer);
  bool text_field(ondemand::value& value, const JsonField& field, Writer& writer);
  bool number_field(ondemand::value& value, const JsonField& field, Writer& writer);
  bool bool_field(ondemand::value& value, const JsonField& field, Writer& writer);
  bool submessage(ondemand::value& value, const JsonField& field, Writer& writer);
  bool message_list(ondemand::value& value, const JsonField& field, Writer& writer);

  /// The characters of a number, or the content of a string.
  bool scalar_text(ondemand::value& value, std::string_view what, std::string_view& text);

  template <class T, class Parse>
  bool number_list(ondemand::value& value, std::string_view what, Parse parse,
                   std::vector<T>& numbers);

  template <std::integral T, class Write>
  bool integer(std::string_view text, Write write) {
    const std::optional<T> number = parse_integer<T>(text);
    if (!number) return fail_with("not an integer of this field's range");
    write(*number);
    return true;
  }

  /// Where a field's bytes are in `out_`; empty when it was not seen.
  struct Written {
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  using WrittenFields = std::array<Written, kJsonFieldsMax>;

  void take_back(WrittenFields& written, std::size_t field);

  std::string& out_;
  std::vector<Step> path_;
  std::string why_;
};

std::string Transcoder::error_text() const {
  std::string text;
  for (const Step& step : path_) {
    if (step.name.empty()) continue;
    if (!text.empty()) text.push_back('.');
    text.append(step.name);
    if (step.index >= 0) text += fmt::format("[{}]", step.index);
  }
  return text.empty() ? why_ : text + ": " + why_;
}

bool Transcoder::scalar_text(ondemand::value& value, std::string_view what,
                             std::string_view& text) {
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return fail_with(error);
  if (type == ondemand::json_type::number) {
    text = trim(value.raw_json_token());
    return true;
  }
  if (type != ondemand::json_type::string) return fail_with(what);
  if (const auto error = value.get_string().get(text)) return fail_with(error);
  return true;
}

bool Transcoder::text_field(ondemand::value& value, const JsonField& field, Writer& writer) {
  std::string_view text;
  if (const auto error = value.get_string().get(text)) {
    return error == simdjson::INCORRECT_TYPE ? fail_with("not a string") : fail_with(error);
  }
  if (field.kind == JsonKind::String) {
    writer.add_string(field.number, text);
    return true;
  }
  if (field.kind == JsonKind::Bytes) {
    const auto bytes = parse_base64(text);
    if (!bytes) return fail_with("not base64");
    writer.add_bytes(field.number, *bytes);
    return true;
  }
  const auto id = parse_hex(text);
  if (!id || (!id->empty() && id->size() != field.id_bytes)) {
    return fail_with(fmt::format("not {} hexadecimal digits", field.id_bytes * 2));
  }
  writer.add_bytes(field.number, *id);
  return true;
}

bool Transcoder::bool_field(ondemand::value& value, const JsonField& field, Writer& writer) {
  bool flag = false;
  if (const auto error = value.get_bool().get(flag)) {
    return error == simdjson::INCORRECT_TYPE ? fail_with("not a boolean") : fail_with(error);
  }
  writer.add_bool(field.number, flag);
  return true;
}

bool Transcoder::number_field(ondemand::value& value, const JsonField& field, Writer& writer) {
  if (field.kind == JsonKind::Enum) {
    ondemand::json_type type{};
    if (const auto error = value.type().get(type)) return fail_with(error);
    if (type != ondemand::json_type::number) {
      return fail_with("enums are integers in OTLP/JSON, never names");
    }
  }
  std::string_view text;
  if (!scalar_text(value, "not a number", text)) return false;
  const std::uint32_t number = field.number;
  switch (field.kind) {
    case JsonKind::Enum:
      return integer<std::int32_t>(text, [&](auto v) { writer.add_enum(number, v); });
    case JsonKind::Int64:
      return integer<std::int64_t>(text, [&](auto v) { writer.add_int64(number, v); });
    case JsonKind::Uint32:
      return integer<std::uint32_t>(text, [&](auto v) { writer.add_uint32(number, v); });
    case JsonKind::Fixed32:
      return integer<std::uint32_t>(text, [&](auto v) { writer.add_fixed32(number, v); });
    case JsonKind::Sint32:
      return integer<std::int32_t>(text, [&](auto v) { writer.add_sint32(number, v); });
    case JsonKind::Fixed64:
      return integer<std::uint64_t>(text, [&](auto v) { writer.add_fixed64(number, v); });
    case JsonKind::Sfixed64:
      return integer<std::int64_t>(text, [&](auto v) { writer.add_sfixed64(number, v); });
    default: {
      const std::optional<double> parsed = parse_double(text);
      if (!parsed) return fail_with("not a number that a double can hold");
      writer.add_double(number, *parsed);
      return true;
    }
  }
}

template <class T, class Parse>
bool Transcoder::number_list(ondemand::value& value, std::string_view what, Parse parse,
                             std::vector<T>& numbers) {
  ondemand::array array;
  if (const auto error = value.get_array().get(array)) {
    return error == simdjson::INCORRECT_TYPE ? fail_with("not a list") : fail_with(error);
  }
  std::int64_t& index = path_.back().index;
  index = -1;
  for (auto item : array) {
    ++index;
    ondemand::value element;
    if (const auto error = item.get(element)) return fail_with(error);
    std::string_view text;
    if (!scalar_text(element, what, text)) return false;
    const std::optional<T> number = parse(text);
    if (!number) return fail_with(what);
    numbers.push_back(*number);
  }
  index = -1;
  return true;
}

bool Transcoder::submessage(ondemand::value& value, const JsonField& field, Writer& writer) {
  ondemand::object object;
  if (const auto error = value.get_object().get(object)) {
    return error == simdjson::INCORRECT_TYPE ? fail_with("not an object") : fail_with(error);
  }
  if (path_.size() > kDepthMax) return fail_with("nested too deeply");
  const std::size_t begin = out_.size();
  {
    Writer nested(writer, field.number);
    if (!message(object, *field.message, nested)) return false;
  }
  // The writer leaves empty messages out; here they are present, and may be a list's element.
  if (out_.size() == begin) writer.add_message(field.number, std::string_view());
  return true;
}

bool Transcoder::message_list(ondemand::value& value, const JsonField& field, Writer& writer) {
  ondemand::array array;
  if (const auto error = value.get_array().get(array)) {
    return error == simdjson::INCORRECT_TYPE ? fail_with("not a list") : fail_with(error);
  }
  path_.back().index = -1;
  const std::size_t depth = path_.size();
  for (auto item : array) {
    ++path_[depth - 1].index;
    ondemand::value element;
    if (const auto error = item.get(element)) return fail_with(error);
    bool is_null = false;
    if (const auto error = element.is_null().get(is_null)) return fail_with(error);
    if (!is_null && !submessage(element, field, writer)) return false;
  }
  path_.back().index = -1;
  return true;
}

bool Transcoder::field(ondemand::value value, const JsonField& field, Writer& writer) {
  switch (field.kind) {
    case JsonKind::String:
    case JsonKind::Bytes:
    case JsonKind::HexId:
      return text_field(value, field, writer);
    case JsonKind::Bool:
      return bool_field(value, field, writer);
    case JsonKind::Enum:
    case JsonKind::Int64:
    case JsonKind::Uint32:
    case JsonKind::Fixed32:
    case JsonKind::Sint32:
    case JsonKind::Fixed64:
    case JsonKind::Sfixed64:
    case JsonKind::Double:
      return number_field(value, field, writer);
    case JsonKind::Fixed64List:
    case JsonKind::Uint64List: {
      std::vector<std::uint64_t> numbers;
      if (!number_list(value, "not an unsigned integer", parse_integer<std::uint64_t>, numbers)) {
        return false;
      }
      if (field.kind == JsonKind::Fixed64List) {
        writer.add_packed_fixed64(field.number, numbers.begin(), numbers.end());
      } else {
        writer.add_packed_uint64(field.number, numbers.begin(), numbers.end());
      }
      return true;
    }
    case JsonKind::DoubleList: {
      std::vector<double> numbers;
      if (!number_list(value, "not a number", parse_double, numbers)) return false;
      writer.add_packed_double(field.number, numbers.begin(), numbers.end());
      return true;
    }
    case JsonKind::Message:
      return submessage(value, field, writer);
    case JsonKind::MessageList:
      return message_list(value, field, writer);
  }
  return fail_with("unknown kind");
}

/// A repeated key: what the earlier one wrote does not count.
void Transcoder::take_back(WrittenFields& written, std::size_t field) {
  const auto [begin, end] = written[field];
  out_.erase(begin, end - begin);
  written[field] = {};
  for (Written& other : written) {
    if (other.begin >= end && other.end > other.begin) {
      other.begin -= end - begin;
      other.end -= end - begin;
    }
  }
}

bool Transcoder::message(ondemand::object& object, const JsonMessage& schema, Writer& writer) {
  WrittenFields written{};
  path_.emplace_back();
  const std::size_t step = path_.size() - 1;
  for (auto item : object) {
    ondemand::field member;
    if (const auto error = std::move(item).get(member)) return fail_with(error);
    std::string_view key;
    if (const auto error = member.unescaped_key().get(key)) return fail_with(error);
    std::size_t i = 0;
    while (i < schema.fields.size() && schema.fields[i].name != key) ++i;
    if (i == schema.fields.size()) continue;
    path_[step] = {.name = schema.fields[i].name};
    if (written[i].end > written[i].begin) take_back(written, i);
    bool is_null = false;
    if (const auto error = member.value().is_null().get(is_null)) return fail_with(error);
    if (is_null) continue;
    const std::size_t begin = out_.size();
    if (!field(member.value(), schema.fields[i], writer)) return false;
    written[i] = {.begin = begin, .end = out_.size()};
  }
  path_.pop_back();
  return true;
}

const JsonMessage& schema_of(OtlpJsonMessage message) {
  switch (message) {
    case OtlpJsonMessage::MetricsRequest:
      return metrics_request_schema();
    case OtlpJsonMessage::TracesRequest:
      return traces_request_schema();
  }
  return metrics_request_schema();
}

}  // namespace

Result<void> otlp_json_to_protobuf(OtlpJsonMessage message, std::string_view json,
                                   std::string& out) {
  static thread_local ondemand::parser parser;
  out.clear();
  Transcoder transcoder(out);
  const auto transcode = [&] {
    ondemand::document document;
    const simdjson::padded_string_view padded(json.data(), json.size(),
                                              json.size() + simdjson::SIMDJSON_PADDING);
    if (const auto error = parser.iterate(padded).get(document)) return transcoder.fail_with(error);
    ondemand::object object;
    if (const auto error = document.get_object().get(object)) {
      return error == simdjson::INCORRECT_TYPE ? transcoder.fail_with("not an object")
                                               : transcoder.fail_with(error);
    }
    Writer writer(out);
    if (!transcoder.message(object, schema_of(message), writer)) return false;
    // Out of bounds is what simdjson says at the end.
    return document.current_location().error() == simdjson::OUT_OF_BOUNDS ||
           transcoder.fail_with("bytes after the JSON value");
  };
  if (transcode()) return {};
  out.clear();
  return fail(Code::InvalidArgument,
              fmt::format("body is not an OTLP/JSON request: {}", transcoder.error_text()));
}

}  // namespace gantry::codec
