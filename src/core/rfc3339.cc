#include "core/rfc3339.h"

#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace gantry::core {
namespace {

/// Takes digits from the front of a text; every step fails for good once one has.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  int number(std::size_t digit_count) {
    if (rest_.size() < digit_count) return fail();
    for (const char c : rest_.substr(0, digit_count)) {
      if (c < '0' || c > '9') return fail();
    }
    int value = 0;
    std::from_chars(rest_.data(), rest_.data() + digit_count, value);
    rest_.remove_prefix(digit_count);
    return value;
  }

  void expect(std::string_view any_of) {
    if (rest_.empty() || !any_of.contains(rest_.front())) {
      fail();
      return;
    }
    rest_.remove_prefix(1);
  }

  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  /// Digits after the point, as milliseconds.
  int milliseconds() {
    int value = 0;
    std::size_t count = 0;
    for (; count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9'; ++count) {
      if (count < 3) value = value * 10 + (rest_[count] - '0');
    }
    if (count == 0) return fail();
    for (std::size_t i = count; i < 3; ++i) value *= 10;
    rest_.remove_prefix(count);
    return value;
  }

  int fail() {
    has_failed_ = true;
    return 0;
  }

  [[nodiscard]] bool is_done() const { return !has_failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool has_failed_ = false;
};

std::chrono::minutes read_offset(Reader& reader) {
  if (reader.take('Z') || reader.take('z')) return {};
  const bool is_negative = reader.take('-');
  if (!is_negative) reader.expect("+");
  const int hours = reader.number(2);
  reader.expect(":");
  const int minutes = reader.number(2);
  if (hours > 23 || minutes > 59) reader.fail();
  const std::chrono::minutes offset{hours * 60 + minutes};
  return is_negative ? -offset : offset;
}

}  // namespace

std::optional<TimestampMs> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  Reader reader(text);
  const int year_number = reader.number(4);
  reader.expect("-");
  const int month_number = reader.number(2);
  reader.expect("-");
  const int day_number = reader.number(2);
  reader.expect("Tt");
  const int hour = reader.number(2);
  reader.expect(":");
  const int minute = reader.number(2);
  reader.expect(":");
  const int second = reader.number(2);
  const int fraction_ms = reader.take('.') ? reader.milliseconds() : 0;
  const minutes offset = read_offset(reader);
  const year_month_day date{year{year_number}, month{static_cast<unsigned>(month_number)},
                            day{static_cast<unsigned>(day_number)}};
  if (!reader.is_done() || !date.ok() || hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  const auto since_epoch = sys_days{date}.time_since_epoch() + hours{hour} + minutes{minute} +
                           seconds{second} + milliseconds{fraction_ms} - offset;
  return TimestampMs{duration_cast<milliseconds>(since_epoch).count()};
}

std::string format_rfc3339(TimestampMs time) {
  using namespace std::chrono;
  const sys_time<milliseconds> point{milliseconds{time.since_epoch}};
  const auto day_start = floor<days>(point);
  const year_month_day date{day_start};
  const hh_mm_ss clock{point - day_start};
  std::string out =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (const auto ms = clock.subseconds().count(); ms != 0) out += fmt::format(".{:03}", ms);
  out.push_back('Z');
  return out;
}

}  // namespace gantry::core
