#include "promql/testing/expected_result.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <re2/re2.h>

#include "promql/testing/comparison.h"

namespace gantry::promql::promqltest {

namespace {

telemetry::Labels to_labels(const LabelPairs& pairs) {
  telemetry::Labels labels;
  for (const auto& [name, value] : pairs) labels.push_back({.name = name, .value = value});
  return labels;
}

std::string describe(double value, const telemetry::FloatHistogram* histogram) {
  return histogram != nullptr ? telemetry::format_histogram(*histogram) : fmt::format("{}", value);
}

std::string describe(const Item& item) {
  return item.is_omitted ? "_" : describe(item.value, item.histogram.get());
}

bool is_equal(const Item& expected, double value, const telemetry::FloatHistogram* histogram) {
  if ((expected.histogram != nullptr) != (histogram != nullptr)) return false;
  if (histogram == nullptr) return is_almost_equal(expected.value, value);
  return is_almost_equal(*expected.histogram, *histogram,
                         expected.is_hint_written ? HintRule::Compare : HintRule::Ignore);
}

const ExpectedSeries* find_expected(const Eval& eval, const telemetry::Labels& labels) {
  // Of lines with equal labels the last one counts.
  for (auto series = eval.expected.rbegin(); series != eval.expected.rend(); ++series) {
    if (series->labels == labels) return &*series;
  }
  return nullptr;
}

Mismatch check_all_found(const Eval& eval, const std::vector<const ExpectedSeries*>& found) {
  for (const ExpectedSeries& series : eval.expected) {
    if (std::ranges::find(found, &series) == found.end()) {
      return fmt::format("expected metric {} with {} not found",
                         telemetry::format_series(series.labels),
                         series.items.empty() ? "nothing" : describe(series.items.front()));
    }
  }
  return std::nullopt;
}

Mismatch compare_vector(const Eval& eval, std::span<const VectorElement> elements) {
  if (eval.expected_scalar) return "expected a scalar, got a vector";
  std::vector<const ExpectedSeries*> found;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const VectorElement& element = elements[i];
    const auto labels = to_labels(element.labels);
    const std::string actual = describe(element.value, element.histogram.get());
    const ExpectedSeries* expected = find_expected(eval, labels);
    if (expected == nullptr) {
      return fmt::format("unexpected metric {} in result, has value {}",
                         telemetry::format_series(labels), actual);
    }
    if (std::ranges::find(found, expected) != found.end()) {
      return fmt::format("metric {} is twice in the result", telemetry::format_series(labels));
    }
    if (eval.has(ExpectKind::Ordered) && &eval.expected[i] != expected) {
      return fmt::format("unexpected metric {} at position {}", telemetry::format_series(labels),
                         i + 1);
    }
    if (!is_equal(expected->items.front(), element.value, element.histogram.get())) {
      return fmt::format("expected {} for {} but got {}", describe(expected->items.front()),
                         telemetry::format_series(labels), actual);
    }
    found.push_back(expected);
  }
  return check_all_found(eval, found);
}

struct TimedItem {
  std::int64_t time_ms = 0;
  Item item;
};

std::vector<TimedItem> points_of(const ResultSeries& series) {
  std::vector<TimedItem> points;
  for (const Point& point : series.points) {
    points.push_back({.time_ms = point.timestamp_ms, .item = {.value = point.value}});
  }
  for (const HistogramPoint& point : series.histograms) {
    points.push_back({.time_ms = point.timestamp_ms, .item = {.histogram = point.histogram}});
  }
  std::ranges::stable_sort(points, {}, &TimedItem::time_ms);
  return points;
}

Mismatch compare_series(const Eval& eval, const ExpectedSeries& expected,
                        const ResultSeries& actual) {
  const std::string name = telemetry::format_series(expected.labels);
  std::vector<TimedItem> wanted;
  for (std::size_t i = 0; i < expected.items.size(); ++i) {
    const std::int64_t time =
        eval.grid.start_ms + (static_cast<std::int64_t>(i) * eval.grid.step_ms);
    if (time > eval.grid.end_ms) {
      return fmt::format("expected {} points for {}, but the query's range cannot have as many",
                         expected.items.size(), name);
    }
    if (!expected.items[i].is_omitted) {
      wanted.push_back({.time_ms = time, .item = expected.items[i]});
    }
  }
  const auto points = points_of(actual);
  if (points.size() != wanted.size()) {
    std::vector<std::string> got;
    for (const TimedItem& point : points) {
      got.push_back(fmt::format("{} @{}", describe(point.item), point.time_ms));
    }
    return fmt::format("expected {} points for {} but got {}: {}", wanted.size(), name,
                       points.size(), fmt::join(got, " "));
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].time_ms != wanted[i].time_ms ||
        !is_equal(wanted[i].item, points[i].item.value, points[i].item.histogram.get())) {
      return fmt::format("expected value {} at t={} for {} but got {} at t={}",
                         describe(wanted[i].item), wanted[i].time_ms, name,
                         describe(points[i].item), points[i].time_ms);
    }
  }
  return std::nullopt;
}

Mismatch check_sorted(std::span<const ResultSeries> matrix) {
  for (std::size_t i = 1; i < matrix.size(); ++i) {
    const auto before = to_labels(matrix[i - 1].labels);
    const auto after = to_labels(matrix[i].labels);
    if (telemetry::compare_labels(before, after) >= 0) {
      return fmt::format("the matrix is not sorted: {} before {}", telemetry::format_series(before),
                         telemetry::format_series(after));
    }
  }
  return std::nullopt;
}

Mismatch compare_matrix(const Eval& eval, std::span<const ResultSeries> matrix) {
  if (eval.has(ExpectKind::Ordered)) return "expected an ordered result, got a matrix";
  if (eval.expected_scalar) return "expected a scalar, got a matrix";
  if (auto mismatch = check_sorted(matrix)) return mismatch;
  std::vector<const ExpectedSeries*> found;
  for (const ResultSeries& series : matrix) {
    const auto labels = to_labels(series.labels);
    const ExpectedSeries* expected = find_expected(eval, labels);
    if (expected == nullptr) {
      return fmt::format("unexpected metric {} in result", telemetry::format_series(labels));
    }
    if (auto mismatch = compare_series(eval, *expected, series)) return mismatch;
    found.push_back(expected);
  }
  return check_all_found(eval, found);
}

Mismatch compare_scalar(const Eval& eval, double value) {
  if (!eval.expected_scalar) return fmt::format("expected a vector or matrix, got {}", value);
  if (is_almost_equal(*eval.expected_scalar, value)) return std::nullopt;
  return fmt::format("expected scalar {} but got {}", *eval.expected_scalar, value);
}

bool matches(const Expectation& expectation, const std::string& text) {
  switch (expectation.match) {
    case ExpectMatch::Any:
      return true;
    case ExpectMatch::Equals:
      return text == expectation.text;
    case ExpectMatch::Regex:
      return RE2::PartialMatch(text, expectation.text);
  }
  return false;
}

Mismatch compare_texts(const Eval& eval, ExpectKind some, ExpectKind none, std::string_view what,
                       const std::vector<std::string>& texts) {
  if (eval.has(none) && !texts.empty()) {
    return fmt::format("unexpected {}: {}", what, fmt::join(texts, "; "));
  }
  if (!eval.has(some)) return std::nullopt;
  for (const Expectation& expectation : eval.expectations) {
    if (expectation.kind != some) continue;
    if (std::ranges::none_of(texts, [&](const auto& text) { return matches(expectation, text); })) {
      return fmt::format("expected {} \"{}\", got: {}", what, expectation.text,
                         fmt::join(texts, "; "));
    }
  }
  for (const std::string& text : texts) {
    const bool is_expected = std::ranges::any_of(eval.expectations, [&](const auto& expectation) {
      return expectation.kind == some && matches(expectation, text);
    });
    if (!is_expected) return fmt::format("unexpected {}: {}", what, text);
  }
  return std::nullopt;
}

}  // namespace

Mismatch compare_value(const Eval& eval, const Value& value) {
  if (const auto* text = std::get_if<StringValue>(&value)) {
    if (eval.expected_string && *eval.expected_string == text->value) return std::nullopt;
    return fmt::format("expected string \"{}\" but got \"{}\"",
                       eval.expected_string.value_or("(none)"), text->value);
  }
  if (eval.expected_string) return "expected a string";
  if (const auto* scalar = std::get_if<ScalarValue>(&value)) {
    return compare_scalar(eval, scalar->value);
  }
  if (const auto* vector = std::get_if<std::vector<VectorElement>>(&value)) {
    return compare_vector(eval, *vector);
  }
  return compare_matrix(eval, std::get<std::vector<ResultSeries>>(value));
}

Mismatch compare_at(const Eval& eval, const Value& range_value, std::int64_t time_ms) {
  const auto* matrix = std::get_if<std::vector<ResultSeries>>(&range_value);
  if (matrix == nullptr) return "a range query did not return a matrix";
  if (auto mismatch = check_sorted(*matrix)) return mismatch;
  std::vector<VectorElement> elements;
  for (const ResultSeries& series : *matrix) {
    for (const TimedItem& point : points_of(series)) {
      if (point.time_ms != time_ms) continue;
      elements.push_back({.labels = series.labels,
                          .timestamp_ms = time_ms,
                          .value = point.item.value,
                          .histogram = point.item.histogram});
    }
  }
  if (!eval.expected_scalar) return compare_vector(eval, elements);
  if (elements.size() != 1) return fmt::format("expected a scalar, got {} series", elements.size());
  return compare_scalar(eval, elements.front().value);
}

Mismatch compare_annotations(const Eval& eval, const Annotations& annotations) {
  if (auto mismatch = compare_texts(eval, ExpectKind::Warn, ExpectKind::NoWarn, "warning",
                                    annotations.warnings)) {
    return mismatch;
  }
  return compare_texts(eval, ExpectKind::Info, ExpectKind::NoInfo, "info", annotations.infos);
}

Mismatch compare_failure(const Eval& eval, const std::string& message) {
  for (const Expectation& expectation : eval.expectations) {
    if (expectation.kind != ExpectKind::Fail) continue;
    if (matches(expectation, message)) return std::nullopt;
    return fmt::format("expected error \"{}\", got: {}", expectation.text, message);
  }
  return fmt::format("error: {}", message);
}

}  // namespace gantry::promql::promqltest
