#include "core/number_format.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace gantry::core {
namespace {

/// Appends NaN and the infinities; false when `value` is finite.
bool append_special(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    return false;
  }
  return true;
}

void append_chars(std::string& out, double value, std::chars_format format) {
  // The longest fixed form of a double: 309 digits before, or 324 + 17 digits after the point.
  std::array<char, 400> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format);
  out.append(buffer.data(), end);
}

/// Go and C agree on at least two exponent digits, so scientific to_chars needs no change.
void append_scientific(std::string& out, double value) {
  append_chars(out, value, std::chars_format::scientific);
}

bool append_small_integer(std::string& out, double value) {
  constexpr double kExactMax = 9007199254740992.0;
  if (!(value > -kExactMax && value < kExactMax)) return false;
  const auto integer = static_cast<std::int64_t>(value);
  if (static_cast<double>(integer) != value || (integer == 0 && std::signbit(value))) return false;
  std::array<char, 24> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), integer);
  out.append(buffer.data(), end);
  return true;
}

bool is_ascii_equal(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

}  // namespace

void append_float_plain(std::string& out, double value) {
  if (append_special(out, value) || append_small_integer(out, value)) return;
  // to_chars(fixed) of a large double prints all digits of its exact value, as Go's 'f' with -1
  // precision does not: Go pads the shortest digits with zeros. So large values go through the
  // shortest scientific form.
  constexpr double kIntegersFrom = 9007199254740992.0;
  if (std::abs(value) < kIntegersFrom) {
    append_chars(out, value, std::chars_format::fixed);
    return;
  }
  std::array<char, 40> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                          std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t exponent_at = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + exponent_at + 2, text.data() + text.size(), exponent);
  std::size_t digit_count = 0;
  for (const char c : text.substr(0, exponent_at)) {
    if (c == '.') continue;
    out.push_back(c);
    if (c != '-') ++digit_count;
  }
  out.append(static_cast<std::size_t>(exponent) + 1 - digit_count, '0');
}

void append_float_api(std::string& out, double value) {
  if (append_special(out, value) || append_small_integer(out, value)) return;
  const double magnitude = std::abs(value);
  if (magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21)) {
    append_scientific(out, value);
  } else {
    append_float_plain(out, value);
  }
}

void append_float_general(std::string& out, double value) {
  if (append_special(out, value)) return;
  const double magnitude = std::abs(value);
  if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e6)) {
    append_scientific(out, value);
  } else {
    append_float_plain(out, value);
  }
}

void append_seconds(std::string& out, std::int64_t timestamp_ms) {
  auto magnitude = static_cast<std::uint64_t>(timestamp_ms);
  if (timestamp_ms < 0) {
    out.push_back('-');
    magnitude = 0 - magnitude;
  }
  std::array<char, 24> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), magnitude / 1000);
  out.append(buffer.data(), end);
  const auto milliseconds = static_cast<unsigned>(magnitude % 1000);
  if (milliseconds == 0) return;
  out.push_back('.');
  out.push_back(static_cast<char>('0' + milliseconds / 100));
  out.push_back(static_cast<char>('0' + milliseconds / 10 % 10));
  out.push_back(static_cast<char>('0' + milliseconds % 10));
}

std::optional<double> parse_float(std::string_view text) {
  std::string_view digits = text;
  bool is_negative = false;
  if (!digits.empty() && (digits.front() == '+' || digits.front() == '-')) {
    is_negative = digits.front() == '-';
    digits.remove_prefix(1);
  }
  if (is_ascii_equal(digits, "inf") || is_ascii_equal(digits, "infinity")) {
    return is_negative ? -std::numeric_limits<double>::infinity()
                       : std::numeric_limits<double>::infinity();
  }
  if (is_ascii_equal(digits, "nan")) return std::numeric_limits<double>::quiet_NaN();
  // from_chars would take a second minus sign here.
  if (digits.empty() || digits.front() == '-') return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {
    // from_chars says the same of overflow and underflow and leaves the value alone; the exponent's
    // sign tells them apart.
    const std::size_t exponent_at = digits.find_first_of("eE");
    const bool is_tiny = exponent_at == std::string_view::npos
                             ? digits.front() == '0' || digits.front() == '.'
                             : digits.find('-', exponent_at) != std::string_view::npos;
    if (!is_tiny) return std::nullopt;
    return is_negative ? -0.0 : 0.0;
  }
  if (error != std::errc{}) return std::nullopt;
  return is_negative ? -value : value;
}

}  // namespace gantry::core
