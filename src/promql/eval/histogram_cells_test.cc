#include "promql/eval/histogram_cells.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "promql/eval/group_accumulator.h"
#include "promql/histogram/size.h"

namespace gantry::promql::eval {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

/// What one row has at the one step of these tests.
struct Item {
  enum class Kind : std::uint8_t { Float, Exponential, TwoBounds, ThreeBounds };

  Kind kind = Kind::Float;
  double value = 0;
  CounterResetHint hint = CounterResetHint::Unknown;

  [[nodiscard]] bool is_histogram() const { return kind != Kind::Float; }

  [[nodiscard]] bool is_custom() const {
    return kind == Kind::TwoBounds || kind == Kind::ThreeBounds;
  }
};

FloatHistogram make_histogram(const Item& item) {
  FloatHistogram histogram;
  histogram.hint = item.hint;
  histogram.count = item.value;
  histogram.sum = item.value;
  histogram.positive_spans = {{.offset = 1, .length = 1}};
  histogram.positive_counts = {item.value};
  if (!item.is_custom()) return histogram;
  histogram.schema = telemetry::kCustomBucketsSchema;
  histogram.custom_values = {1, 2};
  if (item.kind == Item::Kind::ThreeBounds) histogram.custom_values.push_back(3);
  return histogram;
}

std::vector<Item> make_items() {
  std::vector<Item> items(*rc::gen::inRange<std::size_t>(1, 12));
  // Mostly of one kind, so that the rarer endings are met too.
  const auto usual = *rc::gen::element(Item::Kind::Float, Item::Kind::Exponential,
                                       Item::Kind::TwoBounds, Item::Kind::ThreeBounds);
  for (Item& item : items) {
    item.kind = usual;
    if (*rc::gen::inRange(0, 8) == 0) {
      item.kind = *rc::gen::element(Item::Kind::Float, Item::Kind::Exponential,
                                    Item::Kind::TwoBounds, Item::Kind::ThreeBounds);
    }
    // Small whole numbers: sums are exact however they are cut.
    item.value = *rc::gen::inRange(0, 1000);
    item.hint = *rc::gen::element(CounterResetHint::Unknown, CounterResetHint::Reset,
                                  CounterResetHint::NotReset, CounterResetHint::Gauge);
  }
  return items;
}

struct Outcome {
  std::optional<double> value;
  std::optional<FloatHistogram> histogram;
  std::vector<std::string> annotations;  ///< Sorted.
};

void fold(const std::vector<Item>& items, std::size_t first, std::size_t end,
          GroupAccumulator& into) {
  for (std::size_t row = first; row < end; ++row) {
    const Item& item = items[row];
    HistogramRow histograms;
    if (item.is_histogram()) {
      histograms = {std::make_shared<const FloatHistogram>(make_histogram(item))};
    }
    const std::vector<double> values = {item.value};
    const std::vector<std::uint64_t> bits = {item.is_histogram() ? 0U : 1U};
    into.fold(0, static_cast<std::uint32_t>(row), values, bits, histograms);
  }
}

Outcome finish(GroupAccumulator& accumulator) {
  Rows out(1, 1);
  AnnotationSet annotations;
  std::deque<std::string> names;  // Views of them stay valid.
  accumulator.finish(out.view(), annotations, {}, [&](std::uint32_t row) -> std::string_view {
    return names.emplace_back(fmt::format("m{}", row));
  });
  Outcome outcome;
  if (kernels::test_bit(out.bits(0), 0)) outcome.value = out.row(0)[0];
  if (!out.histograms(0).empty() && out.histograms(0)[0] != nullptr) {
    outcome.histogram = *out.histograms(0)[0];
  }
  const Annotations found = annotations.finish("x");
  outcome.annotations = found.warnings;
  outcome.annotations.insert(outcome.annotations.end(), found.infos.begin(), found.infos.end());
  std::ranges::sort(outcome.annotations);
  return outcome;
}

constexpr std::string_view kMix =
    "PromQL warning: encountered a mix of histograms and floats for aggregation (1:1)";
constexpr std::string_view kHints =
    "PromQL warning: conflicting counter resets during histogram aggregation (1:1)";
constexpr std::string_view kBounds =
    "PromQL info: mismatched custom buckets were reconciled during aggregation (1:1)";

/// Row after row, as Prometheus decides.
struct Plain {
  bool has_result = true;
  std::vector<std::string> annotations;

  explicit Plain(const std::vector<Item>& items) {
    const Item& first = items[0];
    bool has_float = !first.is_histogram();
    bool has_histogram = first.is_histogram();
    bool has_bounds = false;
    bool has_reset = first.hint == CounterResetHint::Reset;
    bool has_not_reset = first.hint == CounterResetHint::NotReset;
    bool is_two_bounds = first.kind == Item::Kind::TwoBounds;
    bool has_misfit = false;
    for (std::size_t row = 1; row < items.size() && !has_misfit; ++row) {
      const Item& item = items[row];
      has_float = has_float || !item.is_histogram();
      has_histogram = has_histogram || item.is_histogram();
      if (!item.is_histogram() || !first.is_histogram()) continue;
      if (item.is_custom() != first.is_custom()) {
        has_misfit = true;
        annotations.push_back(
            fmt::format("PromQL warning: vector contains a mix of histograms with exponential and "
                        "custom buckets schemas for metric name \"m{}\" (1:1)",
                        row));
        continue;
      }
      has_reset = has_reset || item.hint == CounterResetHint::Reset;
      has_not_reset = has_not_reset || item.hint == CounterResetHint::NotReset;
      if (item.is_custom() && (item.kind == Item::Kind::TwoBounds) != is_two_bounds) {
        has_bounds = true;
        is_two_bounds = true;
      }
    }
    if (has_float && has_histogram) annotations.emplace_back(kMix);
    if (has_bounds) annotations.emplace_back(kBounds);
    has_result = !has_misfit && !(has_float && has_histogram);
    if (has_result && has_histogram && has_reset && has_not_reset) annotations.emplace_back(kHints);
    std::ranges::sort(annotations);
  }
};

RC_GTEST_PROP(HistogramCells, FindWhatPrometheusFindsHoweverRowsAreCut, ()) {
  const AggregateOp op = *rc::gen::element(AggregateOp::Sum, AggregateOp::Avg);
  const std::vector<Item> items = make_items();
  GroupAccumulator whole(op, 1, 1);
  fold(items, 0, items.size(), whole);
  const Outcome expected = finish(whole);

  const Plain plain(items);
  RC_ASSERT(expected.annotations == plain.annotations);
  RC_ASSERT((expected.value || expected.histogram) == plain.has_result);

  GroupAccumulator merged(op, 1, 1);
  for (std::size_t first = 0; first < items.size();) {
    const std::size_t end = *rc::gen::inRange(first + 1, items.size() + 1);
    GroupAccumulator part(op, 1, 1);
    fold(items, first, end, part);
    merged.merge(0, part, 0);
    first = end;
  }
  const Outcome found = finish(merged);
  RC_ASSERT(found.annotations == expected.annotations);
  RC_ASSERT(found.value == expected.value);
  RC_ASSERT(found.histogram.has_value() == expected.histogram.has_value());
  if (found.histogram) RC_ASSERT(telemetry::is_identical(*found.histogram, *expected.histogram));
}

RC_GTEST_PROP(HistogramCells, SumsAndMeansHoldAllHistograms, ()) {
  std::vector<Item> items(*rc::gen::inRange<std::size_t>(1, 10));
  double total = 0;
  for (Item& item : items) {
    item = {.kind = Item::Kind::Exponential, .value = 0, .hint = CounterResetHint::Gauge};
    item.value = *rc::gen::inRange(1, 1000);
    total += item.value;
  }
  GroupAccumulator sum(AggregateOp::Sum, 1, 1);
  GroupAccumulator mean(AggregateOp::Avg, 1, 1);
  fold(items, 0, items.size(), sum);
  fold(items, 0, items.size(), mean);
  const Outcome of_sum = finish(sum);
  const Outcome of_mean = finish(mean);
  RC_ASSERT(of_sum.histogram.has_value() && of_mean.histogram.has_value());
  RC_ASSERT(of_sum.histogram->count == total);
  RC_ASSERT(of_sum.histogram->positive_counts == std::vector<double>{total});
  RC_ASSERT(of_sum.histogram->hint == CounterResetHint::Gauge);
  RC_ASSERT(of_mean.histogram->count == total / static_cast<double>(items.size()));
}

TEST(HistogramCells, TakeMemoryOnlyWhereHistogramsAre) {
  GroupAccumulator accumulator(AggregateOp::Sum, 1000, 1);
  const std::vector<double> values = {1};
  const std::vector<std::uint64_t> present = {1};
  const std::vector<std::uint64_t> absent = {0};
  for (std::size_t group = 0; group < 1000; ++group) {
    accumulator.fold(group, 0, values, present, {});
  }
  EXPECT_EQ(accumulator.histogram_bytes(), 0U);
  const FloatHistogram histogram =
      make_histogram({.kind = Item::Kind::Exponential, .value = 1, .hint = {}});
  accumulator.fold(0, 0, values, absent, {std::make_shared<const FloatHistogram>(histogram)});
  const std::uint64_t of_one = accumulator.histogram_bytes();
  EXPECT_GT(of_one, histogram::size_bytes(histogram));
  accumulator.fold(1, 0, values, absent, {std::make_shared<const FloatHistogram>(histogram)});
  EXPECT_EQ(accumulator.histogram_bytes(), 2 * of_one);

  GroupAccumulator other(AggregateOp::Sum, 1, 1);
  other.merge(0, accumulator, 1);
  EXPECT_EQ(other.histogram_bytes(), of_one);
  accumulator.reset(1000);
  EXPECT_EQ(accumulator.histogram_bytes(), 0U);
}

}  // namespace
}  // namespace gantry::promql::eval
