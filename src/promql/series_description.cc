#include "promql/series_description.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "core/duration.h"
#include "core/number_format.h"
#include "promql/lexer.h"
#include "promql/parser.h"
#include "promql/series_histogram.h"

namespace gantry::promql {

namespace {

constexpr std::string_view kValuesContext = "series values";

std::unexpected<Error> error_at(std::string_view line, std::size_t position,
                                std::string_view message) {
  return fail(Code::InvalidArgument,
              fmt::format("{}: parse error: {}",
                          line_and_column(line, static_cast<std::uint32_t>(position)), message));
}

std::unexpected<Error> unexpected_token(std::string_view line, const Lexer& lexer,
                                        const Token& token, std::string_view expected) {
  if (token.kind == TokenKind::Error) {
    return error_at(line, lexer.error_position().start, lexer.error());
  }
  return error_at(
      line, token.start,
      fmt::format("unexpected {} in label set, expected {}", describe(token), expected));
}

struct Metric {
  telemetry::Labels labels;
  std::size_t end = 0;  ///< Where the items start.
};

// The labels behind an opening brace; `{"name", a="b"}` is allowed.
Result<void> parse_labels(std::string_view line, Lexer& lexer,
                          std::vector<telemetry::Label>& labels) {
  constexpr std::string_view kSeparator = "\",\" or \"}\"";
  Token token = lexer.next();
  while (token.kind != TokenKind::RightBrace) {
    const Token name = token;
    const bool is_quoted = name.kind == TokenKind::String;
    if (!is_quoted && name.kind != TokenKind::Identifier) {
      return unexpected_token(line, lexer, name, "identifier or \"}\"");
    }
    std::string text = is_quoted ? unquote(name.text) : std::string(name.text);
    token = lexer.next();
    if (token.kind == TokenKind::Assign) {
      token = lexer.next();
      if (token.kind != TokenKind::String) return unexpected_token(line, lexer, token, "string");
      labels.push_back({.name = std::move(text), .value = unquote(token.text)});
      token = lexer.next();
    } else if (is_quoted) {
      labels.push_back(
          {.name = std::string(telemetry::kMetricNameLabel), .value = std::move(text)});
    } else {
      return unexpected_token(line, lexer, token, "\"=\"");
    }
    if (token.kind == TokenKind::Comma) {
      token = lexer.next();
    } else if (token.kind != TokenKind::RightBrace) {
      return unexpected_token(line, lexer, token, kSeparator);
    }
  }
  return {};
}

Result<Metric> parse_metric(std::string_view line) {
  Lexer lexer(line);
  std::vector<telemetry::Label> labels;
  const Token first = lexer.next();
  bool has_braces = first.kind == TokenKind::LeftBrace;
  if (first.kind == TokenKind::EndOfInput) return Metric{.labels = {}, .end = line.size()};
  if (first.kind == TokenKind::Error) {
    return error_at(line, lexer.error_position().start, lexer.error());
  }
  if (!has_braces) {
    if (!telemetry::is_legacy_metric_name(first.text)) {
      return error_at(line, first.start, "unexpected " + describe(first));
    }
    labels.push_back(
        {.name = std::string(telemetry::kMetricNameLabel), .value = std::string(first.text)});
    if (line.substr(lexer.position()).starts_with('{')) {
      static_cast<void>(lexer.next());
      has_braces = true;
    }
  }
  if (has_braces) {
    GANTRY_CHECK(parse_labels(line, lexer, labels));
  }
  return Metric{.labels = telemetry::make_labels(std::move(labels)), .end = lexer.position()};
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

class ItemReader {
 public:
  ItemReader(std::string_view line, std::size_t position) : scanner_(line, position) {}

  Result<std::vector<SeriesItem>> read_values() {
    GANTRY_CHECK(read_all([this] { return read_value(); }));
    return std::move(items_);
  }

  Result<std::vector<std::optional<std::int64_t>>> read_start_offsets() {
    GANTRY_CHECK(read_all([this] { return read_start_offset(); }));
    return std::move(offsets_ms_);
  }

 private:
  template <class ReadOne>
  Result<void> read_all(ReadOne read_one) {
    while (!scanner_.is_at_end()) {
      if (!is_space(scanner_.peek())) return scanner_.unexpected(kValuesContext);
      scanner_.skip_space();
      if (scanner_.is_at_end()) break;
      GANTRY_CHECK(read_one());
    }
    return {};
  }

  // "xN", or 0 where there is none.
  Result<std::size_t> read_times() {
    if (!scanner_.accept('x')) return 0;
    return scanner_.read_count();
  }

  Result<void> check_room(std::size_t held, std::size_t added) const {
    if (added <= kSeriesItemsMax && held + added <= kSeriesItemsMax) return {};
    return scanner_.error(fmt::format("series has more than {} values", kSeriesItemsMax));
  }

  Result<void> read_value() {
    if (scanner_.starts_with("{{")) return read_histograms();
    if (scanner_.accept('_')) {
      const bool is_repeated = scanner_.peek() == 'x';
      GANTRY_TRY(const std::size_t times, read_times());
      GANTRY_CHECK(check_room(items_.size(), times));
      items_.insert(items_.end(), is_repeated ? times : 1, OmittedItem{});
      return {};
    }
    if (scanner_.accept_word("stale")) {
      items_.emplace_back(StaleItem{});
      return {};
    }
    return read_floats();
  }

  Result<void> read_floats() {
    const bool is_word = scanner_.is_at_special_number();
    GANTRY_TRY(double value, scanner_.read_number());
    double delta = 0;
    if (!is_word && (scanner_.peek() == '+' || scanner_.peek() == '-')) {
      GANTRY_TRY(delta, scanner_.read_number());
      if (scanner_.peek() != 'x') return scanner_.unexpected(kValuesContext);
    }
    GANTRY_TRY(const std::size_t times, read_times());
    GANTRY_CHECK(check_room(items_.size(), times));
    for (std::size_t i = 0; i <= times; ++i) {
      items_.emplace_back(value);
      value += delta;
    }
    return {};
  }

  Result<void> read_histograms() {
    GANTRY_TRY(HistogramLiteral first, read_histogram_literal(scanner_));
    const char sign = scanner_.peek();
    if (sign != '+' && sign != '-') {
      GANTRY_TRY(const std::size_t times, read_times());
      GANTRY_CHECK(check_room(items_.size(), times));
      const SeriesHistogram item{.histogram = std::make_shared<const telemetry::FloatHistogram>(
                                     std::move(first.histogram)),
                                 .is_hint_written = first.is_hint_written};
      items_.insert(items_.end(), times + 1, item);
      return {};
    }
    scanner_.accept(sign);
    if (!scanner_.starts_with("{{")) return scanner_.unexpected(kValuesContext);
    GANTRY_TRY(const HistogramLiteral step, read_histogram_literal(scanner_));
    if (scanner_.peek() != 'x') return scanner_.unexpected(kValuesContext);
    const std::size_t count_position = scanner_.position() + 1;
    GANTRY_TRY(const std::size_t times, read_times());
    GANTRY_CHECK(check_room(items_.size(), times));
    telemetry::FloatHistogram current = std::move(first.histogram);
    for (std::size_t i = 0; i <= times; ++i) {
      if (i > 0) {
        auto combined = combine_histograms(current, step.histogram, sign == '-' ? -1 : 1);
        if (!combined) return scanner_.error_at(count_position, combined.error().message);
        current = *std::move(combined);
      }
      items_.emplace_back(
          SeriesHistogram{.histogram = std::make_shared<const telemetry::FloatHistogram>(current),
                          .is_hint_written = first.is_hint_written});
    }
    return {};
  }

  Result<void> read_start_offset() {
    if (scanner_.accept('_')) {
      const bool is_repeated = scanner_.peek() == 'x';
      GANTRY_TRY(const std::size_t times, read_times());
      if (is_repeated && times == 0) return scanner_.error("repetition must be at least 1");
      GANTRY_CHECK(check_room(offsets_ms_.size(), times));
      offsets_ms_.insert(offsets_ms_.end(), is_repeated ? times : 1, std::nullopt);
      return {};
    }
    GANTRY_TRY(std::int64_t offset_ms, scanner_.read_duration());
    std::int64_t delta_ms = 0;
    if (scanner_.peek() == '+' || scanner_.peek() == '-') {
      GANTRY_TRY(delta_ms, scanner_.read_duration());
      if (scanner_.peek() != 'x') return scanner_.unexpected(kValuesContext);
    }
    GANTRY_TRY(const std::size_t times, read_times());
    GANTRY_CHECK(check_room(offsets_ms_.size(), times));
    for (std::size_t i = 0; i <= times; ++i) {
      offsets_ms_.emplace_back(offset_ms);
      if (i < times && __builtin_add_overflow(offset_ms, delta_ms, &offset_ms)) {
        return scanner_.error("start timestamp out of range");
      }
    }
    return {};
  }

  SeriesScanner scanner_;
  std::vector<SeriesItem> items_;
  std::vector<std::optional<std::int64_t>> offsets_ms_;
};

constexpr std::string_view kStartTimestampMark = "@st";

}  // namespace

Result<SeriesDescription> parse_series_description(std::string_view line) {
  GANTRY_TRY(Metric metric, parse_metric(line));
  ItemReader reader(line, metric.end);
  GANTRY_TRY(std::vector<SeriesItem> items, reader.read_values());
  return SeriesDescription{.labels = std::move(metric.labels), .items = std::move(items)};
}

bool is_start_timestamp_description(std::string_view line) {
  const auto metric = parse_metric(line);
  return metric && line.substr(metric->end).starts_with(kStartTimestampMark);
}

Result<StartTimestampDescription> parse_start_timestamp_description(std::string_view line) {
  GANTRY_TRY(Metric metric, parse_metric(line));
  if (!line.substr(metric.end).starts_with(kStartTimestampMark)) {
    return error_at(line, metric.end, "start timestamps need @st right behind the metric");
  }
  ItemReader reader(line, metric.end + kStartTimestampMark.size());
  GANTRY_TRY(std::vector<std::optional<std::int64_t>> offsets_ms, reader.read_start_offsets());
  return StartTimestampDescription{.labels = std::move(metric.labels),
                                   .offsets_ms = std::move(offsets_ms)};
}

}  // namespace gantry::promql
