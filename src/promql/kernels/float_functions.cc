#include "promql/kernels/float_functions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>

namespace gantry::promql::kernels {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <auto kFunction>
void apply(std::span<double> values) {
  for (double& value : values) value = kFunction(value);
}

double sign_of(double value) {
  if (value > 0) return 1;
  if (value < 0) return -1;
  return value;  // Keeps the sign of zero, and NaN.
}

constexpr std::int64_t kSecondsPerDay = 86'400;

struct CivilTime {
  std::int64_t year = 1970;
  std::int64_t month = 1;
  std::int64_t day = 1;
  std::int64_t day_of_year = 1;
  std::int64_t days_since_epoch = 0;
  std::int64_t second_of_day = 0;
};

bool is_leap_year(std::int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

std::int64_t days_in_month_of(std::int64_t year, std::int64_t month) {
  constexpr std::array<std::int64_t, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month == 2 && is_leap_year(year)) return 29;
  return kDays[static_cast<std::size_t>(month - 1)];
}

std::int64_t floor_divide(std::int64_t value, std::int64_t divisor) {
  return (value / divisor) - (value % divisor < 0 ? 1 : 0);
}

/// The proleptic Gregorian calendar in eras of 400 years that begin on 1 March, so that the leap
/// day is the last of its year (H. Hinnant, "chrono-compatible low-level date algorithms").
CivilTime civil_time(std::int64_t unix_seconds) {
  constexpr std::int64_t kDaysPerEra = 146'097;
  constexpr std::int64_t kDaysToEpoch = 719'468;  // 0000-03-01 to 1970-01-01
  CivilTime time;
  time.days_since_epoch = floor_divide(unix_seconds, kSecondsPerDay);
  time.second_of_day = unix_seconds - (time.days_since_epoch * kSecondsPerDay);
  const std::int64_t days = time.days_since_epoch + kDaysToEpoch;
  const std::int64_t era = floor_divide(days, kDaysPerEra);
  const std::int64_t day_of_era = days - (era * kDaysPerEra);
  const std::int64_t year_of_era =
      (day_of_era - (day_of_era / 1460) + (day_of_era / 36'524) - (day_of_era / 146'096)) / 365;
  const std::int64_t day_of_march_year =
      day_of_era - ((365 * year_of_era) + (year_of_era / 4) - (year_of_era / 100));
  const std::int64_t march_month = ((5 * day_of_march_year) + 2) / 153;
  time.day = day_of_march_year - (((153 * march_month) + 2) / 5) + 1;
  time.month = march_month < 10 ? march_month + 3 : march_month - 9;
  time.year = year_of_era + (era * 400) + (time.month <= 2 ? 1 : 0);
  time.day_of_year = time.day;
  for (std::int64_t month = 1; month < time.month; ++month) {
    time.day_of_year += days_in_month_of(time.year, month);
  }
  return time;
}

template <auto kField>
double calendar_field(double value) {
  // Beyond this an int64 of seconds cannot follow; NaN fails the comparison too.
  constexpr double kSecondsMax = 9.2e18;
  if (!(std::abs(value) < kSecondsMax)) return kNan;
  return static_cast<double>(kField(civil_time(static_cast<std::int64_t>(value))));
}

// Captureless lambdas rather than the functions: the address of a library function may not be
// taken, and std::abs and its kin are overloaded.
template <auto kField>
constexpr ElementKernel kCalendar =
    apply<[](double value) { return calendar_field<kField>(value); }>;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t run_length(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && is_digit(text[length]) == is_digit(text[0])) ++length;
  return length;
}

int compare_numbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

// math.Max and math.Min of Go, which the reference's clamp inherits: an infinity in their own
// direction beats NaN.
double go_max(double a, double b) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (a == kInfinity || b == kInfinity) return kInfinity;
  if (std::isnan(a) || std::isnan(b)) return kNan;
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return std::max(a, b);
}

double go_min(double a, double b) {
  return -go_max(-a, -b);
}

}  // namespace

ElementKernel find_element_kernel(FunctionId id) {
  switch (id) {
    case FunctionId::Abs:
      return apply<[](double v) { return std::abs(v); }>;
    case FunctionId::Acos:
      return apply<[](double v) { return std::acos(v); }>;
    case FunctionId::Acosh:
      return apply<[](double v) { return std::acosh(v); }>;
    case FunctionId::Asin:
      return apply<[](double v) { return std::asin(v); }>;
    case FunctionId::Asinh:
      return apply<[](double v) { return std::asinh(v); }>;
    case FunctionId::Atan:
      return apply<[](double v) { return std::atan(v); }>;
    case FunctionId::Atanh:
      return apply<[](double v) { return std::atanh(v); }>;
    case FunctionId::Ceil:
      return apply<[](double v) { return std::ceil(v); }>;
    case FunctionId::Cos:
      return apply<[](double v) { return std::cos(v); }>;
    case FunctionId::Cosh:
      return apply<[](double v) { return std::cosh(v); }>;
    case FunctionId::Deg:
      return apply<[](double v) { return v * 180 / std::numbers::pi; }>;
    case FunctionId::Exp:
      return apply<[](double v) { return std::exp(v); }>;
    case FunctionId::Floor:
      return apply<[](double v) { return std::floor(v); }>;
    case FunctionId::Ln:
      return apply<[](double v) { return std::log(v); }>;
    case FunctionId::Log10:
      return apply<[](double v) { return std::log10(v); }>;
    case FunctionId::Log2:
      return apply<[](double v) { return std::log2(v); }>;
    case FunctionId::Rad:
      return apply<[](double v) { return v * std::numbers::pi / 180; }>;
    case FunctionId::Sgn:
      return apply<sign_of>;
    case FunctionId::Sin:
      return apply<[](double v) { return std::sin(v); }>;
    case FunctionId::Sinh:
      return apply<[](double v) { return std::sinh(v); }>;
    case FunctionId::Sqrt:
      return apply<[](double v) { return std::sqrt(v); }>;
    case FunctionId::Tan:
      return apply<[](double v) { return std::tan(v); }>;
    case FunctionId::Tanh:
      return apply<[](double v) { return std::tanh(v); }>;
    case FunctionId::Minute:
      return kCalendar<[](const CivilTime& time) { return time.second_of_day / 60 % 60; }>;
    case FunctionId::Hour:
      return kCalendar<[](const CivilTime& time) { return time.second_of_day / 3600; }>;
    case FunctionId::DayOfWeek:
      // The epoch was a Thursday; Sunday is 0.
      return kCalendar<[](const CivilTime& time) {
        return (((time.days_since_epoch + 4) % 7) + 7) % 7;
      }>;
    case FunctionId::DayOfMonth:
      return kCalendar<[](const CivilTime& time) { return time.day; }>;
    case FunctionId::DayOfYear:
      return kCalendar<[](const CivilTime& time) { return time.day_of_year; }>;
    case FunctionId::DaysInMonth:
      return kCalendar<[](const CivilTime& time) {
        return days_in_month_of(time.year, time.month);
      }>;
    case FunctionId::Month:
      return kCalendar<[](const CivilTime& time) { return time.month; }>;
    case FunctionId::Year:
      return kCalendar<[](const CivilTime& time) { return time.year; }>;
    default:
      return nullptr;
  }
}

double round_to(double value, double nearest) {
  const double inverse = 1.0 / nearest;
  return std::floor((value * inverse) + 0.5) / inverse;
}

double clamp(double value, double min, double max) {
  return go_max(min, go_min(max, value));
}

double clamp_min(double value, double min) {
  return go_max(min, value);
}

double clamp_max(double value, double max) {
  return go_min(max, value);
}

double max_of(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return kNan;
  return go_max(a, b);
}

double min_of(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return kNan;
  return go_min(a, b);
}

int compare_natural(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const std::string_view run_a = a.substr(0, run_length(a));
    const std::string_view run_b = b.substr(0, run_length(b));
    const bool are_numbers = is_digit(run_a[0]) && is_digit(run_b[0]);
    const int order = are_numbers ? compare_numbers(run_a, run_b) : run_a.compare(run_b);
    if (order != 0) return order;
    a.remove_prefix(run_a.size());
    b.remove_prefix(run_b.size());
  }
  if (a.empty() && b.empty()) return 0;
  return a.empty() ? -1 : 1;
}

}  // namespace gantry::promql::kernels
