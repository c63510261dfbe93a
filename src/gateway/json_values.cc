#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "gateway/json_values_internal.h"

namespace gantry::gateway {

namespace ondemand = simdjson::ondemand;

namespace {

/// A parser takes about six times the bytes of the largest text that it has seen.
constexpr std::size_t kParserBytesKept = 4 << 20;

std::string_view trimmed(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

bool is_number(ondemand::value& value) {
  ondemand::json_type type{};
  return value.type().get(type) == simdjson::SUCCESS && type == ondemand::json_type::number;
}

}  // namespace

Result<void> read_json_object(
    std::string_view what, std::string_view text,
    const std::function<simdjson::error_code(std::string_view, ondemand::value&)>& on_member) {
  thread_local ondemand::parser parser;
  if (parser.capacity() > kParserBytesKept) parser = ondemand::parser();

  const auto invalid = [what](simdjson::error_code error) {
    return fail(Code::InvalidArgument,
                fmt::format("{}: not valid JSON: {}", what, simdjson::error_message(error)));
  };
  const simdjson::padded_string_view padded(text.data(), text.size(),
                                            text.size() + simdjson::SIMDJSON_PADDING);
  ondemand::document document;
  if (const auto error = parser.iterate(padded).get(document)) return invalid(error);
  ondemand::json_type type{};
  if (const auto error = document.type().get(type)) return invalid(error);
  ondemand::value root;
  if (type != ondemand::json_type::object || document.get_value().get(root)) {
    return fail(Code::InvalidArgument, fmt::format("{}: must be a JSON object", what));
  }
  if (const auto error = each_member(root, std::cref(on_member))) return invalid(error);
  // Out of bounds is what simdjson says at the end.
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return invalid(simdjson::TRAILING_CONTENT);
  }
  return {};
}

simdjson::simdjson_result<std::string_view> raw_json(ondemand::value& value) {
  ondemand::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  std::string_view text;
  switch (type) {
    case ondemand::json_type::array: {
      ondemand::array array;
      if (const auto error = value.get_array().get(array)) return error;
      if (const auto error = array.raw_json().get(text)) return error;
      break;
    }
    case ondemand::json_type::object: {
      ondemand::object object;
      if (const auto error = value.get_object().get(object)) return error;
      if (const auto error = object.raw_json().get(text)) return error;
      break;
    }
    default:
      text = value.raw_json_token();
  }
  return trimmed(text);
}

std::string_view raw_key(ondemand::field& field) {
  // The parser has found the closing quote already; it only does not say where.
  const char* const begin = field.key().raw();
  const char* end = begin;
  while (*end != '"') end += *end == '\\' ? 2 : 1;
  return {begin, end};
}

std::optional<std::string_view> as_string(ondemand::value& value) {
  std::string_view text;
  if (value.get_string().get(text)) return std::nullopt;
  return text;
}

std::optional<double> as_double(ondemand::value& value) {
  double number = 0;
  if (!is_number(value) || value.get_double().get(number)) return std::nullopt;
  return number;
}

std::optional<bool> as_bool(ondemand::value& value) {
  bool boolean = false;
  if (value.get_bool().get(boolean)) return std::nullopt;
  return boolean;
}

std::optional<std::int64_t> as_integer(ondemand::value& value) {
  std::int64_t integer = 0;
  if (!is_number(value)) return std::nullopt;
  if (!value.get_int64().get(integer)) return integer;
  double number = 0;
  if (value.get_double().get(number)) return std::nullopt;
  constexpr auto kBeyond = 0x1p63;
  if (std::trunc(number) != number || number < -kBeyond || number >= kBeyond) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

std::optional<std::int64_t> as_count(ondemand::value& value) {
  const std::optional<std::int64_t> count = as_integer(value);
  return count && *count >= 0 ? count : std::nullopt;
}

std::optional<std::int64_t> element_count(ondemand::value& value) {
  ondemand::json_type type{};
  ondemand::array array;
  std::size_t count = 0;
  if (value.type().get(type) || type != ondemand::json_type::array ||
      value.get_array().get(array) || array.count_elements().get(count)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(count);
}

}  // namespace gantry::gateway
