#include "traceql/static_value.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <utility>

#include "core/utf8.h"

namespace gantry::traceql {

namespace {

constexpr std::array<std::string_view, 12> kTypeTexts = {
    "TypeNil",      "TypeInt",        "TypeFloat",       "TypeString",
    "TypeBool",     "TypeDuration",   "TypeStatus",      "TypeKind",
    "TypeIntArray", "TypeFloatArray", "TypeStringArray", "TypeBooleanArray"};

constexpr std::array<std::string_view, 3> kStatusTexts = {"unset", "ok", "error"};

constexpr std::array<std::string_view, 6> kKindTexts = {"unspecified", "internal", "server",
                                                        "client",      "producer", "consumer"};

constexpr std::uint64_t kMicrosecond = 1'000;
constexpr std::uint64_t kMillisecond = 1'000'000;
constexpr std::uint64_t kSecond = 1'000'000'000;

// Go's strconv.FormatFloat(v, 'g', -1, 64), which turns to an exponent at 1e+06, and ".0" where the
// text would read as an integer.
std::string format_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> buffer{};
  char* const first = buffer.data();
  char* const last = first + buffer.size();
  const auto scientific = std::to_chars(first, last, value, std::chars_format::scientific);
  const std::string_view text(first, scientific.ptr);
  const std::size_t exponent_at = text.find('e') + 1;
  const std::size_t digits_at = exponent_at + (text[exponent_at] == '+' ? 1 : 0);
  int exponent = 0;
  std::from_chars(first + digits_at, scientific.ptr, exponent);
  if (exponent < -4 || exponent >= 6) return std::string(text);
  const auto plain = std::to_chars(first, last, value, std::chars_format::fixed);
  std::string result(first, plain.ptr);
  if (!result.contains('.')) result += ".0";
  return result;
}

bool fits_backticks(std::string_view text) {
  return !text.contains('`') && !text.contains('\0') && core::is_valid_utf8(text);
}

// In double quotes every byte can be written, also those that are no text.
std::string quote(std::string_view text) {
  constexpr std::string_view kHexadecimal = "0123456789abcdef";
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (byte < 0x20 || byte >= 0x7F) {
      result += "\\x";
      result += kHexadecimal[byte >> 4];
      result += kHexadecimal[byte & 0xF];
    } else {
      result += c;
    }
  }
  return result + '"';
}

// The fraction with trailing zeros cut: 1500 of 1000 is "1.5".
std::string format_fraction(std::uint64_t value, std::uint64_t unit) {
  std::string result = std::to_string(value / unit);
  std::uint64_t rest = value % unit;
  if (rest == 0) return result;
  result += '.';
  while (rest != 0) {
    unit /= 10;
    result += static_cast<char>('0' + rest / unit);
    rest %= unit;
  }
  return result;
}

std::string format_elements(const std::vector<Static>& elements) {
  std::string result = "[";
  for (const Static& element : elements) {
    if (result.size() > 1) result += ", ";
    result += format_static(element);
  }
  return result + ']';
}

}  // namespace

std::string_view static_type_text(StaticType type) {
  return kTypeTexts[static_cast<std::size_t>(type)];
}

Static Static::of_int(std::int64_t value) {
  Static result;
  result.type = StaticType::Int;
  result.integer = value;
  return result;
}

Static Static::of_float(double value) {
  Static result;
  result.type = StaticType::Float;
  result.number = value;
  return result;
}

Static Static::of_string(std::string value) {
  Static result;
  result.type = StaticType::String;
  result.text = std::move(value);
  return result;
}

Static Static::of_bool(bool value) {
  Static result;
  result.type = StaticType::Bool;
  result.boolean = value;
  return result;
}

Static Static::of_duration(std::int64_t nanoseconds) {
  Static result;
  result.type = StaticType::Duration;
  result.integer = nanoseconds;
  return result;
}

Static Static::of_status(std::uint8_t status) {
  Static result;
  result.type = StaticType::Status;
  result.integer = status;
  return result;
}

Static Static::of_kind(std::uint8_t kind) {
  Static result;
  result.type = StaticType::Kind;
  result.integer = kind;
  return result;
}

bool operator==(const Static& a, const Static& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case StaticType::Nil:
      return true;
    case StaticType::Int:
    case StaticType::Duration:
    case StaticType::Status:
    case StaticType::Kind:
      return a.integer == b.integer;
    case StaticType::Float:
      return a.number == b.number || (std::isnan(a.number) && std::isnan(b.number));
    case StaticType::String:
      return a.text == b.text;
    case StaticType::Bool:
      return a.boolean == b.boolean;
    case StaticType::IntArray:
    case StaticType::FloatArray:
    case StaticType::StringArray:
    case StaticType::BoolArray:
      return a.elements == b.elements;
  }
  return false;
}

std::string format_static(const Static& value) {
  switch (value.type) {
    case StaticType::Nil:
      return "nil";
    case StaticType::Int:
      return std::to_string(value.integer);
    case StaticType::Float:
      return format_float(value.number);
    case StaticType::String:
      return fits_backticks(value.text) ? '`' + value.text + '`' : quote(value.text);
    case StaticType::Bool:
      return value.boolean ? "true" : "false";
    case StaticType::Duration:
      return format_go_duration(value.integer);
    case StaticType::Status:
      return std::string(status_text(static_cast<std::uint8_t>(value.integer)));
    case StaticType::Kind:
      return std::string(kind_text(static_cast<std::uint8_t>(value.integer)));
    case StaticType::IntArray:
    case StaticType::FloatArray:
    case StaticType::StringArray:
    case StaticType::BoolArray:
      return format_elements(value.elements);
  }
  return {};
}

std::string format_go_duration(std::int64_t nanoseconds) {
  const bool is_negative = nanoseconds < 0;
  // The negative of the smallest number exists only without sign.
  std::uint64_t left = static_cast<std::uint64_t>(nanoseconds);
  if (is_negative) left = ~left + 1;
  if (left == 0) return "0s";
  std::string result = is_negative ? "-" : "";
  if (left < kMicrosecond) return result + std::to_string(left) + "ns";
  if (left < kMillisecond) return result + format_fraction(left, kMicrosecond) + "µs";
  if (left < kSecond) return result + format_fraction(left, kMillisecond) + "ms";
  const std::uint64_t hours = left / (3600 * kSecond);
  const std::uint64_t minutes = left / (60 * kSecond);
  if (hours > 0) result += std::to_string(hours) + 'h';
  if (minutes > 0) result += std::to_string(minutes % 60) + 'm';
  return result + format_fraction(left % (60 * kSecond), kSecond) + 's';
}

std::string_view status_text(std::uint8_t status) {
  return status < kStatusTexts.size() ? kStatusTexts[status] : kStatusTexts[0];
}

std::string_view kind_text(std::uint8_t kind) {
  return kind < kKindTexts.size() ? kKindTexts[kind] : kKindTexts[0];
}

}  // namespace gantry::traceql
