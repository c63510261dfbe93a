#include "promql/series_histogram.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/duration.h"
#include "core/number_format.h"
#include "promql/histogram/arithmetic.h"
#include "promql/parser.h"
#include "telemetry/labels.h"

namespace gantry::promql {

namespace {

using telemetry::BucketSpan;
using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

constexpr std::string_view kContext = "series values";
constexpr std::string_view kSpace = " \t\n\r";
constexpr std::string_view kDigits = "0123456789";

bool is_word_character(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_special_number(std::string_view word) {
  constexpr auto is_equal = [](char a, char b) { return (a | 0x20) == b; };
  return std::ranges::equal(word, std::string_view("nan"), is_equal) ||
         std::ranges::equal(word, std::string_view("inf"), is_equal);
}

enum class Key : std::uint8_t {
  Schema,
  Sum,
  Count,
  ZeroCount,
  ZeroThreshold,
  Buckets,
  Offset,
  NegativeBuckets,
  NegativeOffset,
  CustomValues,
  Hint,
};

constexpr auto kKeys = std::to_array<std::pair<std::string_view, Key>>({
    {"schema", Key::Schema},
    {"sum", Key::Sum},
    {"count", Key::Count},
    {"z_bucket", Key::ZeroCount},
    {"z_bucket_w", Key::ZeroThreshold},
    {"buckets", Key::Buckets},
    {"offset", Key::Offset},
    {"n_buckets", Key::NegativeBuckets},
    {"n_offset", Key::NegativeOffset},
    {"custom_values", Key::CustomValues},
    {"counter_reset_hint", Key::Hint},
});

constexpr auto kHints = std::to_array<std::pair<std::string_view, CounterResetHint>>({
    {"unknown", CounterResetHint::Unknown},
    {"reset", CounterResetHint::Reset},
    {"not_reset", CounterResetHint::NotReset},
    {"gauge", CounterResetHint::Gauge},
});

template <class Table>
auto find_text(const Table& table, std::string_view text) {
  const auto* found = std::ranges::find(table, text, [](const auto& entry) { return entry.first; });
  return found == table.end() ? std::nullopt : std::optional(found->second);
}

std::unexpected<Error> bad_descriptor(const SeriesScanner& scanner, std::size_t position,
                                      std::string_view word) {
  return scanner.error_at(position, fmt::format("bad histogram descriptor found: \"{}\"", word));
}

class LiteralReader {
 public:
  explicit LiteralReader(SeriesScanner& scanner) : scanner_(scanner) {}

  Result<HistogramLiteral> read() {
    scanner_.accept("{{");
    if (kSpace.contains(scanner_.peek())) {
      scanner_.skip_space();
      if (!scanner_.starts_with("}}")) return scanner_.unexpected(kContext);
    }
    while (!scanner_.accept("}}")) {
      GANTRY_CHECK(read_pair());
      if (scanner_.starts_with("}}")) continue;
      if (scanner_.is_at_end() || !kSpace.contains(scanner_.peek())) {
        return scanner_.unexpected(kContext);
      }
      scanner_.skip_space();
    }
    set_spans(literal_.histogram.positive_counts, offset_, literal_.histogram.positive_spans);
    set_spans(literal_.histogram.negative_counts, negative_offset_,
              literal_.histogram.negative_spans);
    return std::move(literal_);
  }

 private:
  static void set_spans(const std::vector<double>& counts, std::int32_t offset,
                        std::vector<BucketSpan>& spans) {
    if (counts.empty()) return;
    spans.push_back({.offset = offset, .length = static_cast<std::uint32_t>(counts.size())});
  }

  Result<void> read_pair() {
    const std::size_t start = scanner_.position();
    const std::string_view word = scanner_.read_word();
    if (word.empty()) return scanner_.unexpected(kContext);
    const std::optional<Key> key = find_text(kKeys, word);
    if (!key) return bad_descriptor(scanner_, start, word);
    if (!scanner_.accept(':')) {
      return scanner_.error_at(start, "missing `:` for histogram descriptor");
    }
    const std::uint32_t bit = 1U << static_cast<std::uint32_t>(*key);
    const bool is_repeated = (seen_ & bit) != 0;
    seen_ |= bit;
    GANTRY_CHECK(read_value(*key));
    if (is_repeated) {
      return scanner_.error_at(0, fmt::format("duplicate key \"{}\" in histogram", word));
    }
    return {};
  }

  Result<void> read_value(Key key) {
    FloatHistogram& histogram = literal_.histogram;
    switch (key) {
      case Key::Schema:
        return read_integer(histogram.schema);
      case Key::Sum:
        return read_float(histogram.sum);
      case Key::Count:
        return read_float(histogram.count);
      case Key::ZeroCount:
        return read_float(histogram.zero_count);
      case Key::ZeroThreshold:
        return read_float(histogram.zero_threshold);
      case Key::Buckets:
        return read_list(histogram.positive_counts);
      case Key::Offset:
        return read_integer(offset_);
      case Key::NegativeBuckets:
        return read_list(histogram.negative_counts);
      case Key::NegativeOffset:
        return read_integer(negative_offset_);
      case Key::CustomValues:
        return read_list(histogram.custom_values);
      case Key::Hint:
        return read_hint(histogram.hint);
    }
    return {};
  }

  Result<void> read_float(double& out) {
    GANTRY_TRY(out, scanner_.read_number());
    return {};
  }

  Result<void> read_integer(std::int32_t& out) {
    const std::size_t start = scanner_.position();
    GANTRY_TRY(const double value, scanner_.read_number());
    constexpr double kMax = std::numeric_limits<std::int32_t>::max();
    if (!(value >= -kMax && value <= kMax) || value != std::trunc(value)) {
      return scanner_.error_at(start, "histogram schema and offsets are 32-bit integers");
    }
    out = static_cast<std::int32_t>(value);
    return {};
  }

  Result<void> read_list(std::vector<double>& out) {
    out.clear();
    if (!scanner_.accept('[')) return scanner_.unexpected(kContext);
    while (true) {
      GANTRY_TRY(const double value, scanner_.read_number());
      out.push_back(value);
      const bool has_space = !scanner_.is_at_end() && kSpace.contains(scanner_.peek());
      scanner_.skip_space();
      if (scanner_.accept(']')) return {};
      if (!has_space) return scanner_.unexpected(kContext);
    }
  }

  Result<void> read_hint(CounterResetHint& out) {
    const std::size_t start = scanner_.position();
    const std::string_view word = scanner_.read_word();
    if (word.empty()) return scanner_.unexpected(kContext);
    const std::optional<CounterResetHint> hint = find_text(kHints, word);
    if (!hint) return bad_descriptor(scanner_, start, word);
    out = *hint;
    literal_.is_hint_written = true;
    return {};
  }

  SeriesScanner& scanner_;
  HistogramLiteral literal_;
  std::int32_t offset_ = 0;
  std::int32_t negative_offset_ = 0;
  std::uint32_t seen_ = 0;
};

}  // namespace

bool SeriesScanner::accept(char c) {
  if (is_at_end() || line_[position_] != c) return false;
  ++position_;
  return true;
}

bool SeriesScanner::accept(std::string_view text) {
  if (!starts_with(text)) return false;
  position_ += text.size();
  return true;
}

bool SeriesScanner::accept_word(std::string_view word) {
  if (line_.substr(position_, word_end(position_) - position_) != word) return false;
  position_ += word.size();
  return true;
}

void SeriesScanner::skip_space() {
  while (!is_at_end() && kSpace.contains(line_[position_])) ++position_;
}

std::string_view SeriesScanner::read_word() {
  const std::size_t start = std::exchange(position_, word_end(position_));
  return line_.substr(start, position_ - start);
}

std::size_t SeriesScanner::word_end(std::size_t position) const {
  while (position < line_.size() && is_word_character(line_[position])) ++position;
  return position;
}

bool SeriesScanner::is_at_special_number() const {
  const std::size_t start = position_ + (peek() == '+' || peek() == '-' ? 1 : 0);
  return start <= line_.size() && is_special_number(line_.substr(start, word_end(start) - start));
}

// digits [. digits] [e [sign] digits]
std::size_t SeriesScanner::number_end(std::size_t position) const {
  const auto skip_digits = [this](std::size_t from) {
    return std::min(line_.find_first_not_of(kDigits, from), line_.size());
  };
  std::size_t end = skip_digits(position);
  if (end < line_.size() && line_[end] == '.') end = skip_digits(end + 1);
  if (end == position || end >= line_.size() || (line_[end] | 0x20) != 'e') return end;
  std::size_t exponent = end + 1;
  if (exponent < line_.size() && (line_[exponent] == '+' || line_[exponent] == '-')) ++exponent;
  const std::size_t exponent_end = skip_digits(exponent);
  return exponent_end > exponent ? exponent_end : end;
}

Result<double> SeriesScanner::read_number() {
  const std::size_t start = position_;
  const std::size_t digits = start + (peek() == '+' || peek() == '-' ? 1 : 0);
  const std::size_t end = is_at_special_number() ? word_end(digits) : number_end(digits);
  const std::string_view text = line_.substr(start, end - start);
  if (end == digits || line_.substr(digits, end - digits) == ".") return unexpected(kContext);
  const auto value = core::parse_float(text);
  if (!value) return error("number out of range");
  position_ = end;
  return *value;
}

Result<std::size_t> SeriesScanner::read_count() {
  std::size_t count = 0;
  const char* const begin = line_.data() + position_;
  const auto [end, status] = std::from_chars(begin, line_.data() + line_.size(), count);
  if (status == std::errc::result_out_of_range) return error("repetition out of range");
  if (status != std::errc{}) return unexpected(kContext);
  position_ += static_cast<std::size_t>(end - begin);
  return count;
}

Result<std::int64_t> SeriesScanner::read_duration() {
  const bool is_negative = peek() == '-';
  if (is_negative || peek() == '+') ++position_;
  const std::size_t end =
      std::min(line_.find_first_not_of("0123456789ywdhms", position_), line_.size());
  const auto duration = core::parse_duration(line_.substr(position_, end - position_));
  if (!duration) return error(duration.error().message);
  position_ = end;
  return is_negative ? -duration->count : duration->count;
}

std::unexpected<Error> SeriesScanner::error(std::string_view message) const {
  return error_at(position_, message);
}

std::unexpected<Error> SeriesScanner::error_at(std::size_t position,
                                               std::string_view message) const {
  const std::string place = line_and_column(line_, static_cast<std::uint32_t>(position));
  return fail(Code::InvalidArgument, fmt::format("{}: parse error: {}", place, message));
}

std::unexpected<Error> SeriesScanner::unexpected(std::string_view context) const {
  if (is_at_end()) return error(fmt::format("unexpected end of input in {}", context));
  const std::size_t end = std::max(word_end(position_), position_ + 1);
  std::string text;
  telemetry::append_go_quoted(text, line_.substr(position_, end - position_));
  return error(fmt::format("unexpected {} in {}", text, context));
}

Result<HistogramLiteral> read_histogram_literal(SeriesScanner& scanner) {
  return LiteralReader(scanner).read();
}

Result<FloatHistogram> combine_histograms(const FloatHistogram& a, const FloatHistogram& b,
                                          double sign) {
  if (a.uses_custom_buckets() != b.uses_custom_buckets() || a.schema > b.schema) {
    return fail(Code::InvalidArgument,
                fmt::format("error combining histograms: cannot merge from schema {} to {}",
                            b.schema, a.schema));
  }
  FloatHistogram result = a;
  static_cast<void>(sign < 0 ? histogram::subtract(result, b) : histogram::add(result, b));
  return result;
}

}  // namespace gantry::promql
