#include "core/duration.h"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace gantry::core {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};

constexpr std::array<Unit, 7> kUnits = {{
    {"y", 365LL * 24 * 3600 * 1000},
    {"w", 7LL * 24 * 3600 * 1000},
    {"d", 24LL * 3600 * 1000},
    {"h", 3600LL * 1000},
    {"m", 60LL * 1000},
    {"s", 1000},
    {"ms", 1},
}};

/// Prometheus keeps durations in int64 nanoseconds.
constexpr std::int64_t kMaxMs = std::numeric_limits<std::int64_t>::max() / 1'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

Result<DurationMs> parse_duration(std::string_view text) {
  if (text.empty()) return fail(Code::InvalidArgument, "empty duration string");
  if (text == "0") return DurationMs{0};
  const auto invalid = [&] {
    return fail(Code::InvalidArgument, fmt::format("not a valid duration string: \"{}\"", text));
  };
  std::int64_t total_ms = 0;
  std::size_t position = 0;
  std::size_t next_unit = 0;
  while (position < text.size()) {
    if (!is_digit(text[position])) return invalid();
    std::int64_t count = 0;
    const auto [end, error] =
        std::from_chars(text.data() + position, text.data() + text.size(), count);
    if (error != std::errc{}) return fail(Code::InvalidArgument, "duration out of range");
    position = static_cast<std::size_t>(end - text.data());
    const std::size_t unit_start = position;
    while (position < text.size() && !is_digit(text[position])) ++position;
    const std::string_view unit_name = text.substr(unit_start, position - unit_start);
    if (unit_name.empty()) return invalid();
    std::size_t unit = 0;
    while (unit < kUnits.size() && kUnits[unit].name != unit_name) ++unit;
    if (unit == kUnits.size()) {
      return fail(Code::InvalidArgument,
                  fmt::format("unknown unit \"{}\" in duration \"{}\"", unit_name, text));
    }
    if (unit < next_unit) return invalid();
    next_unit = unit + 1;
    const std::int64_t unit_ms = kUnits[unit].milliseconds;
    if (count > (kMaxMs - total_ms) / unit_ms) {
      return fail(Code::InvalidArgument, "duration out of range");
    }
    total_ms += count * unit_ms;
  }
  return DurationMs{total_ms};
}

std::string format_duration(DurationMs duration) {
  if (duration.count == 0) return "0s";
  std::string out;
  std::int64_t left_ms = duration.count;
  if (left_ms < 0) {
    out.push_back('-');
    left_ms = -left_ms;
  }
  for (const Unit& unit : kUnits) {
    // Years and weeks are written only when nothing smaller would remain, as Prometheus does.
    const bool must_be_exact = unit.name == "y" || unit.name == "w";
    if (left_ms < unit.milliseconds || (must_be_exact && left_ms % unit.milliseconds != 0))
      continue;
    fmt::format_to(std::back_inserter(out), "{}{}", left_ms / unit.milliseconds, unit.name);
    left_ms %= unit.milliseconds;
  }
  return out;
}

}  // namespace gantry::core
