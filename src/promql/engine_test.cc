#include "promql/engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/number_format.h"
#include "core/time.h"
#include "promql/testing/memory_source.h"
#include "telemetry/sample.h"

namespace gantry::promql {
namespace {

using promqltest::MemorySource;
using promqltest::Sample;

constexpr std::int64_t kMinuteMs = 60'000;

std::string text_of(const LabelPairs& labels) {
  std::string name;
  std::string rest;
  for (const auto& [label, value] : labels) {
    if (label == "__name__") {
      name = value;
    } else {
      rest += fmt::format("{}{}={}", rest.empty() ? "" : ",", label, value);
    }
  }
  return fmt::format("{}{{{}}}", name, rest);
}

std::string text_of(double value) {
  std::string text;
  core::append_float_plain(text, value);
  return text;
}

/// "a{x=1} 1@0 2@60; …": series and their points, times in seconds.
std::string text_of(const Result<Answer>& answer) {
  if (!answer) return "error: " + answer.error().message;
  std::string out;
  if (const auto* scalar = std::get_if<ScalarValue>(&answer->value)) return text_of(scalar->value);
  if (const auto* text = std::get_if<StringValue>(&answer->value)) return '"' + text->value + '"';
  if (const auto* vector = std::get_if<std::vector<VectorElement>>(&answer->value)) {
    for (const VectorElement& element : *vector) {
      out += fmt::format("{}{} {}", out.empty() ? "" : "; ", text_of(element.labels),
                         element.histogram ? "histogram" : text_of(element.value));
    }
    return out;
  }
  for (const ResultSeries& series : std::get<std::vector<ResultSeries>>(answer->value)) {
    out += fmt::format("{}{}", out.empty() ? "" : "; ", text_of(series.labels));
    for (const Point& point : series.points) {
      out += fmt::format(" {}@{}", text_of(point.value), point.timestamp_ms / 1000);
    }
    for (const HistogramPoint& point : series.histograms) {
      out += fmt::format(" histogram@{}", point.timestamp_ms / 1000);
    }
  }
  return out;
}

/// Nothing when the query succeeded.
std::optional<Code> code_of(const Result<Answer>& answer) {
  return answer ? std::nullopt : std::optional(answer.error().code);
}

class EngineTest : public testing::Test {
 protected:
  /// One sample a minute from time 0; NaN with the stale bits is a stale marker.
  void load(telemetry::Labels labels, const std::vector<double>& values) {
    std::vector<Sample> samples;
    for (std::size_t i = 0; i < values.size(); ++i) {
      samples.push_back({.timestamp_ms = static_cast<std::int64_t>(i) * kMinuteMs,
                         .start_timestamp_ms = 0,
                         .value = values[i],
                         .histogram = nullptr});
    }
    source_.append(telemetry::make_labels(std::move(labels)), samples);
  }

  void load_histograms(telemetry::Labels labels, int count) {
    std::vector<Sample> samples;
    for (int i = 0; i < count; ++i) {
      auto histogram = std::make_shared<telemetry::FloatHistogram>();
      histogram->count = 10 * (i + 1);
      histogram->sum = 25 * (i + 1);
      samples.push_back({.timestamp_ms = i * kMinuteMs,
                         .start_timestamp_ms = 0,
                         .value = 0,
                         .histogram = std::move(histogram)});
    }
    source_.append(telemetry::make_labels(std::move(labels)), samples);
  }

  Result<Answer> instant(std::string_view query, std::int64_t minute,
                         const EngineOptions& options = {}) {
    return Engine(options).instant(
        {.query = query, .time_ms = minute * kMinuteMs, .lookback_ms = {}}, source_, CancelToken());
  }

  Result<Answer> range(std::string_view query, std::int64_t from, std::int64_t to,
                       std::int64_t step, const EngineOptions& options = {}) {
    return Engine(options).range({.query = query,
                                  .start_ms = from * kMinuteMs,
                                  .end_ms = to * kMinuteMs,
                                  .step_ms = step * kMinuteMs,
                                  .lookback_ms = {}},
                                 source_, CancelToken());
  }

  MemorySource source_;
};

struct QueryCase {
  std::string_view name, query, expected;
};

class InstantQueryTest : public EngineTest, public testing::WithParamInterface<QueryCase> {};

TEST_P(InstantQueryTest, Answers) {
  load({{"__name__", "requests_total"}, {"job", "a"}, {"zone", "x"}}, {0, 60, 120, 180, 240, 300});
  load({{"__name__", "requests_total"}, {"job", "a"}, {"zone", "y"}}, {0, 6, 12, 18, 24, 30});
  load({{"__name__", "requests_total"}, {"job", "b"}, {"zone", "x"}}, {0, 30, 60, 0, 30, 60});
  load({{"__name__", "limit"}, {"job", "a"}}, {100, 100, 100, 100, 100, 100});
  load({{"__name__", "limit"}, {"job", "c"}}, {7, 7, 7, 7, 7, 7});
  load({{"__name__", "gone"}}, {1, 2, 3, telemetry::stale_nan()});
  load({{"__name__", "size_bucket"}, {"le", "1"}}, {0, 2, 4, 6, 8, 10});
  load({{"__name__", "size_bucket"}, {"le", "2"}}, {0, 4, 8, 12, 16, 20});
  load({{"__name__", "size_bucket"}, {"le", "+Inf"}}, {0, 4, 8, 12, 16, 20});
  load_histograms({{"__name__", "native"}, {"job", "a"}}, 6);
  EXPECT_EQ(text_of(instant(GetParam().query, 5)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Values, InstantQueryTest,
    testing::Values(
        QueryCase{"number", "1 + 2 * 3", "7"}, QueryCase{"text", "'x'", "\"x\""},
        QueryCase{"selector", "limit", "limit{job=a} 100; limit{job=c} 7"},
        QueryCase{"offset", "requests_total{job='b'} offset 2m", "requests_total{job=b,zone=x} 0"},
        QueryCase{"at", "requests_total{job='b'} @ 60", "requests_total{job=b,zone=x} 30"},
        QueryCase{"stale_marker_hides", "gone", ""},
        QueryCase{"stale_marker_is_skipped_in_ranges", "count_over_time(gone[10m])", "{} 3"},
        QueryCase{"range_is_left_open", "limit{job='c'}[2m]", "limit{job=c} 7@240 7@300"},
        QueryCase{"native_selector", "native", "native{job=a} histogram"},
        QueryCase{"native_count", "histogram_count(native)", "{job=a} 60"},
        QueryCase{"native_average", "histogram_avg(native)", "{job=a} 2.5"},
        QueryCase{"native_range", "count_over_time(native[2m])", "{job=a} 2"},
        QueryCase{"native_scaled", "native * 2", "{job=a} histogram"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Functions, InstantQueryTest,
    testing::Values(
        QueryCase{"rate", "rate(requests_total{job='a'}[5m])",
                  "{job=a,zone=x} 1; {job=a,zone=y} 0.1"},
        QueryCase{"increase_over_reset", "increase(requests_total{job='b'}[4m])",
                  "{job=b,zone=x} 80"},
        QueryCase{"subquery", "max_over_time(rate(requests_total{job='a',zone='x'}[2m])[3m:1m])",
                  "{job=a,zone=x} 1"},
        QueryCase{"subquery_aligned", "limit{job='c'}[90s:1m]", "limit{job=c} 7@240 7@300"},
        QueryCase{"label_replace",
                  "label_replace(limit{job='c'}, 'team', '$1-${1}x', 'job', '(.*)')",
                  "limit{job=c,team=c-cx} 7"},
        QueryCase{"label_replace_no_match",
                  "label_replace(limit{job='c'}, 'team', 'x', 'job', 'z')", "limit{job=c} 7"},
        QueryCase{"label_replace_bad_regex", "label_replace(limit, 'team', 'x', 'job', '(')",
                  "error: invalid regular expression in label_replace(): ("},
        QueryCase{"label_join", "label_join(limit{job='c'}, 'all', '/', 'job', 'none')",
                  "limit{all=c/,job=c} 7"},
        QueryCase{"absent", "absent(nothing{a='1',b=~'x'})", "{a=1} 1"},
        QueryCase{"absent_present", "absent(limit)", ""},
        QueryCase{"absent_over_time", "absent_over_time(nothing{a='1',a='2',c='3'}[5m])",
                  "{c=3} 1"},
        QueryCase{"scalar", "scalar(limit{job='c'})", "7"},
        QueryCase{"scalar_of_many", "scalar(limit)", "NaN"},
        QueryCase{"vector", "vector(time())", "{} 300"},
        QueryCase{"timestamp", "timestamp(limit{job='c'} offset 1m)", "{job=c} 240"},
        QueryCase{"timestamp_of_expression", "timestamp(limit{job='c'} offset 1m + 0)",
                  "{job=c} 300"},
        QueryCase{"sort", "sort_desc(requests_total)",
                  "requests_total{job=a,zone=x} 300; requests_total{job=b,zone=x} 60; "
                  "requests_total{job=a,zone=y} 30"},
        QueryCase{"clamp", "clamp(limit, 10, 20)", "{job=a} 20; {job=c} 10"},
        QueryCase{"clamp_empty", "clamp(limit, 20, 10)", ""},
        QueryCase{"minute", "minute()", "{} 5"},
        QueryCase{"histogram_quantile", "histogram_quantile(0.5, size_bucket)", "{} 1"},
        QueryCase{"histogram_fraction", "histogram_fraction(0, 1, size_bucket)", "{} 0.5"},
        QueryCase{"experimental_is_off", "sort_by_label(limit, 'job')",
                  "error: 1:1: parse error: function \"sort_by_label\" is not enabled"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Aggregations, InstantQueryTest,
    testing::Values(
        QueryCase{"sum", "sum(requests_total)", "{} 390"},
        QueryCase{"sum_by", "sum by (job) (requests_total)", "{job=a} 330; {job=b} 60"},
        QueryCase{"sum_without", "sum without (zone) (requests_total)", "{job=a} 330; {job=b} 60"},
        QueryCase{"sum_by_missing", "sum by (none) (requests_total)", "{} 390"},
        QueryCase{"sum_by_name", "count by (__name__) ({job='a'})",
                  "limit{} 1; native{} 1; requests_total{} 2"},
        QueryCase{"avg", "avg(limit)", "{} 53.5"}, QueryCase{"min", "min(limit)", "{} 7"},
        QueryCase{"max", "max(limit)", "{} 100"}, QueryCase{"group", "group(limit)", "{} 1"},
        QueryCase{"stddev", "stddev(limit)", "{} 46.5"},
        QueryCase{"stdvar", "stdvar(limit)", "{} 2162.25"},
        QueryCase{"quantile", "quantile(0.5, limit)", "{} 53.5"},
        QueryCase{"topk", "topk(1, requests_total)", "requests_total{job=a,zone=x} 300"},
        QueryCase{"bottomk_by", "bottomk by (job) (1, requests_total)",
                  "requests_total{job=a,zone=y} 30; requests_total{job=b,zone=x} 60"},
        QueryCase{"topk_nan", "topk(NaN, limit)", "error: Parameter value is NaN"},
        QueryCase{"topk_none", "topk(0, limit)", ""},
        QueryCase{"count_values", "count_values('v', limit)", "{v=100} 1; {v=7} 1"},
        QueryCase{"count_of_rate", "count(rate(requests_total[5m]))", "{} 3"},
        QueryCase{"sum_of_mixed", "sum by (job) ({__name__=~'limit|native'})", "{job=c} 7"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Operators, InstantQueryTest,
    testing::Values(
        QueryCase{"scalar_right", "limit / 10", "{job=a} 10; {job=c} 0.7"},
        QueryCase{"filter_keeps_name", "limit > 50", "limit{job=a} 100"},
        QueryCase{"filter_scalar_left", "50 < limit", "limit{job=a} 100"},
        QueryCase{"bool", "limit > bool 50", "{job=a} 1; {job=c} 0"},
        QueryCase{"unary", "-limit", "{job=a} -100; {job=c} -7"},
        QueryCase{"one_to_one", "limit + limit", "{job=a} 200; {job=c} 14"},
        QueryCase{"group_left", "requests_total / on (job) group_left limit",
                  "{job=a,zone=x} 3; {job=a,zone=y} 0.3"},
        QueryCase{"group_right", "limit / on (job) group_right requests_total",
                  "{job=a,zone=x} 0.3333333333333333; {job=a,zone=y} 3.3333333333333335"},
        QueryCase{"many_without_group", "requests_total / on (job) limit",
                  "error: multiple matches for labels: many-to-one matching must be explicit "
                  "(group_left/group_right)"},
        QueryCase{"many_to_many", "limit / on (job) requests_total",
                  "error: found duplicate series for the match group {job=\"a\"} on the right "
                  "hand-side of the operation: [{__name__=\"requests_total\", job=\"a\", "
                  "zone=\"x\"}, {__name__=\"requests_total\", job=\"a\", zone=\"y\"}];many-to-many "
                  "matching not allowed: matching labels must be unique on one side"},
        QueryCase{"and", "limit and on (job) requests_total", "limit{job=a} 100"},
        QueryCase{"unless", "limit unless on (job) requests_total", "limit{job=c} 7"},
        QueryCase{"or", "limit or on (job) requests_total",
                  "limit{job=a} 100; limit{job=c} 7; requests_total{job=b,zone=x} 60"},
        QueryCase{"same_labels_after_drop", "-{job='a',__name__=~'limit|native'}",
                  "error: vector cannot contain metrics with the same labelset"},
        QueryCase{"same_labels_before_a_filter", "-{job='a',__name__=~'limit|native'} > 1e99",
                  "error: vector cannot contain metrics with the same labelset"},
        QueryCase{"same_labels_before_an_empty_clamp",
                  "clamp(-{job='a',__name__=~'limit|native'}, 2, 1)",
                  "error: vector cannot contain metrics with the same labelset"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST_F(EngineTest, RangeQueriesHaveGapsAndMergeDisjointSeries) {
  load({{"__name__", "a"}}, {1, 2, telemetry::stale_nan(), telemetry::stale_nan(), 5});
  load({{"__name__", "b"}}, {telemetry::stale_nan(), telemetry::stale_nan(), 30, 40});
  EXPECT_EQ(text_of(range("a", 0, 4, 1)), "a{} 1@0 2@60 5@240");
  EXPECT_EQ(text_of(range("-{__name__=~'a|b'}", 0, 3, 1)), "{} -1@0 -2@60 -30@120 -40@180");
  EXPECT_EQ(text_of(range("sum_over_time({__name__=~'a|b'}[1s])", 0, 3, 1)),
            "{} 1@0 2@60 30@120 40@180");
  EXPECT_EQ(text_of(range("a or b", 0, 3, 1)), "a{} 1@0 2@60; b{} 30@120 40@180");
  EXPECT_EQ(text_of(range("topk(1, {__name__=~'a|b'})", 1, 4, 3)), "a{} 2@60; b{} 40@240");
  EXPECT_EQ(text_of(range("1 + 1", 0, 2, 1)), "{} 2@0 2@60 2@120");
  EXPECT_EQ(text_of(range("a @ 60", 0, 2, 1)), "a{} 2@0 2@60 2@120");
  EXPECT_EQ(text_of(range("a[5m]", 0, 2, 1)),
            "error: invalid expression type \"range vector\" for range query, must be Scalar or "
            "instant Vector");
}

TEST_F(EngineTest, DropsNamesLateWhenAsked) {
  load({{"__name__", "x_total"}, {"job", "a"}}, {0, 60, 120});
  const EngineOptions late{.parser = {}, .delayed_name_removal = true};
  const std::string query = "label_replace(rate(x_total[2m]), 'was', '$1', '__name__', '(.*)')";
  EXPECT_EQ(text_of(instant(query, 2)), "{job=a} 1");
  EXPECT_EQ(text_of(instant(query, 2, late)), "{job=a,was=x_total} 1");
  EXPECT_EQ(text_of(instant("sum by (__name__) (rate(x_total[2m]))", 2, late)), "{} 1");
}

TEST_F(EngineTest, DropsTheNameOfASeriesIfItsFirstPointLostIt) {
  load({{"__name__", "a"}}, {1, 2, telemetry::stale_nan(), telemetry::stale_nan(), 5});
  const EngineOptions late{.parser = {}, .delayed_name_removal = true};
  EXPECT_EQ(text_of(range("0 + a or a offset 2m", 0, 4, 1, late)), "{} 1@0 2@60 1@120 2@180 5@240");
  EXPECT_EQ(text_of(range("a offset 2m or 0 + a", 0, 4, 1, late)), "{} 1@0 2@60 1@120 2@180 5@240");
  EXPECT_EQ(text_of(range("a or 0 + a offset 2m", 0, 4, 1, late)),
            "a{} 1@0 2@60 1@120 2@180 5@240");
}

TEST_F(EngineTest, RefusesEqualQuantilesAtOnceInRanges) {
  load_histograms({{"__name__", "native"}}, 3);
  EngineOptions late{.parser = {}, .delayed_name_removal = true};
  late.parser.experimental_functions = true;
  const std::string query = "histogram_quantiles(native, 'q', 0.5, 0.5) > 1e99";
  EXPECT_EQ(text_of(instant(query, 2, late)), "");
  EXPECT_EQ(text_of(range(query, 0, 2, 1, late)),
            "error: vector cannot contain metrics with the same labelset");
}

TEST_F(EngineTest, TheLastPairInTheOrderOfTheFilledSideIsNoted) {
  load({{"__name__", "left"}, {"job", "z"}}, {1});
  load({{"__name__", "right"}, {"job", "a"}}, {1});
  load_histograms({{"__name__", "right"}, {"job", "z"}}, 1);
  EngineOptions options;
  options.parser.binop_fill_modifiers = true;
  const Result<Answer> answer = instant("left </ fill(0) right", 0, options);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->annotations.infos,
            (std::vector<std::string>{
                "PromQL info: incompatible sample types encountered for binary operator \"</\": "
                "float </ histogram (1:1)"}));
}

TEST_F(EngineTest, Annotates) {
  load({{"__name__", "gauge"}}, {0, 60, 120});
  load_histograms({{"__name__", "native"}}, 3);
  const Result<Answer> rate = instant("sum(\n rate(gauge[2m]))", 2);
  ASSERT_TRUE(rate);
  ASSERT_EQ(rate->annotations.infos.size(), 1U);
  EXPECT_EQ(rate->annotations.infos[0],
            "PromQL info: metric might not be a counter, name does not end in "
            "_total/_sum/_count/_bucket: \"gauge\" (2:7)");
  const Result<Answer> quantile = instant("quantile(1.5, gauge)", 2);
  ASSERT_EQ(quantile->annotations.warnings.size(), 1U);
  EXPECT_EQ(quantile->annotations.warnings[0],
            "PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)");
  const Result<Answer> ignored = instant("max(native)", 2);
  ASSERT_EQ(ignored->annotations.infos.size(), 1U);
  EXPECT_EQ(ignored->annotations.infos[0],
            "PromQL info: ignored histogram in max aggregation (1:5)");
  const Result<Answer> mixed = instant("native + on () gauge", 2);
  ASSERT_EQ(mixed->annotations.infos.size(), 1U);
  EXPECT_EQ(mixed->annotations.infos[0],
            "PromQL info: incompatible sample types encountered for binary operator \"+\": "
            "histogram + float (1:1)");
}

TEST_F(EngineTest, LimitsFailCleanly) {
  for (int i = 0; i < 20; ++i) {
    load({{"__name__", "x"}, {"i", std::to_string(i)}}, std::vector<double>(100, 1));
  }
  EngineOptions few{.samples_max = 1000};
  EXPECT_EQ(text_of(range("x", 0, 99, 1, few)),
            "error: query processing would load too many samples into memory in query execution");
  EXPECT_EQ(code_of(range("x", 0, 99, 1, few)), Code::ResourceExhausted);
  few.samples_max = 5000;
  EXPECT_TRUE(range("sum(x)", 0, 99, 1, few));
  EXPECT_FALSE(instant("x[1d:1ms]", 1, few));
  EXPECT_FALSE(instant("sum_over_time(vector(1)[30d:1ms])", 1, few));
  // A request may bring a bound of its own.
  const Engine engine{EngineOptions{}};
  const RangeRequest own{
      .query = "x", .start_ms = 0, .end_ms = 99'000, .step_ms = 1000, .samples_max = 1000};
  EXPECT_EQ(code_of(engine.range(own, source_, {})), Code::ResourceExhausted);
  // Many distinct values make many rows; nested scalars are each as long as the grid.
  const EngineOptions tight{.memory_bytes_max = 2'000'000};
  EXPECT_EQ(code_of(range("count_values('v', x * time())", 0, 99, 1, {.memory_bytes_max = 60'000})),
            Code::ResourceExhausted);
  std::string nested = "time()";
  for (int i = 0; i < 50; ++i) nested = "time() + (" + nested + ")";
  EXPECT_EQ(code_of(instant("sum_over_time(vector(" + nested + ")[10000s:1s])", 1, tight)),
            Code::ResourceExhausted);
  // Long rows are produced together before they are folded.
  core::WorkerPool pool({.thread_count = 3});
  EXPECT_EQ(code_of(range("sum(max_over_time(x[300d]))", 0, 99, 1,
                          {.workers = &pool, .memory_bytes_max = 15'000})),
            Code::ResourceExhausted);
  EXPECT_EQ(code_of(range("sum(max_over_time(x[300d]))", 0, 99, 1,
                          {.workers = &pool, .samples_max = 1000})),
            Code::ResourceExhausted);
  EXPECT_TRUE(range("sum(max_over_time(x[300d]))", 0, 99, 1,
                    {.workers = &pool, .samples_max = 5000, .memory_bytes_max = 200'000}));
  const EngineOptions small{.memory_bytes_max = 1000};
  EXPECT_EQ(text_of(range("x", 0, 99, 1, small)),
            "error: query processing would use more than 1000B of memory in query execution "
            "(query.memory_bytes_max)");
}

TEST_F(EngineTest, StopsWhenTold) {
  load({{"__name__", "x"}}, {1});
  const Engine engine({});
  const CancelToken cancelled;
  cancelled.cancel();
  const InstantRequest request{.query = "x", .time_ms = 0, .lookback_ms = {}};
  const Result<Answer> answer = engine.instant(request, source_, cancelled);
  EXPECT_EQ(text_of(answer), "error: query was canceled in expression evaluation");
  EXPECT_EQ(code_of(answer), Code::Cancelled);
  const Result<Answer> late =
      engine.instant(request, source_, CancelToken::with_deadline(monotonic_ns() - 1));
  EXPECT_EQ(text_of(late), "error: query timed out in expression evaluation");
  EXPECT_EQ(code_of(late), Code::DeadlineExceeded);
}

TEST_F(EngineTest, CountsSamples) {
  load({{"__name__", "x"}}, std::vector<double>(10, 1));
  const Result<Answer> answer = range("sum_over_time(x[3m])", 4, 6, 1);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->statistics.samples_total, 9U);  // three windows of three
  EXPECT_EQ(answer->statistics.samples_read, 5U);
  EXPECT_GE(answer->statistics.samples_peak, 3U);
}

TEST_F(EngineTest, LookbackIsLeftOpenAndPerQuery) {
  load({{"__name__", "x"}}, {1});
  EXPECT_EQ(text_of(instant("x", 4)), "x{} 1");
  EXPECT_EQ(text_of(instant("x", 5)), "");
  const Result<Answer> longer =
      Engine({}).instant({.query = "x", .time_ms = 5 * kMinuteMs, .lookback_ms = 6 * kMinuteMs},
                         source_, CancelToken());
  EXPECT_EQ(text_of(longer), "x{} 1");
}

/// Enough series for many batches: the answer must have the same bits with and without workers.
TEST_F(EngineTest, AnswersDoNotDependOnWorkers) {
  std::uint64_t state = 42;
  for (int i = 0; i < 1000; ++i) {
    std::vector<double> values;
    for (int k = 0; k < 8; ++k) {
      state = (state * 6364136223846793005ULL) + 1442695040888963407ULL;
      values.push_back(static_cast<double>(state >> 11) * 0x1p-40);
    }
    load({{"__name__", "x_total"}, {"i", std::to_string(i)}, {"g", std::to_string(i % 7)}}, values);
  }
  core::WorkerPool pool({.thread_count = 3});
  const EngineOptions parallel{.workers = &pool};
  for (const std::string_view query :
       {"sum(rate(x_total[3m]))", "avg by (g) (x_total)", "stddev(x_total)", "x_total",
        "quantile by (g) (0.9, x_total)", "topk(3, x_total)", "count(x_total > 100)",
        "min by (g) (-x_total)", "sum by (i) (x_total) + sum by (i) (x_total)"}) {
    EXPECT_EQ(text_of(range(query, 1, 7, 1, parallel)), text_of(range(query, 1, 7, 1))) << query;
  }
  // Long rows are worked on in smaller batches: no bit may tell.
  for (const std::string_view query :
       {"sum(max_over_time(x_total[{}]))", "avg by (g) (x_total + sum_over_time(x_total[{}]))",
        "stddev(max_over_time(x_total[{}]))", "max_over_time(x_total[{}])",
        "sum by (g) (max_over_time(sum by (g, i) (x_total)[7m:1m]) + max_over_time(x_total[{}]))",
        "sum(last_over_time(x_total{i=~\"..?\"}[{}]))"}) {
    std::string brief(query);
    brief.replace(brief.find("{}"), 2, "20m");
    std::string lengthy(query);
    lengthy.replace(lengthy.find("{}"), 2, "300d");
    EXPECT_EQ(text_of(range(lengthy, 1, 7, 1, parallel)), text_of(range(brief, 1, 7, 1))) << query;
  }
}

/// "labels time value", sorted: what a range answer says, or many instant answers.
void collect(const Result<Answer>& answer, std::vector<std::string>& lines) {
  ASSERT_TRUE(answer) << answer.error().message;
  if (const auto* vector = std::get_if<std::vector<VectorElement>>(&answer->value)) {
    for (const VectorElement& element : *vector) {
      lines.push_back(fmt::format("{} {} {}", text_of(element.labels), element.timestamp_ms,
                                  text_of(element.value)));
    }
    return;
  }
  for (const ResultSeries& series : std::get<std::vector<ResultSeries>>(answer->value)) {
    for (const Point& point : series.points) {
      lines.push_back(fmt::format("{} {} {}", text_of(series.labels), point.timestamp_ms,
                                  text_of(point.value)));
    }
  }
}

/// All steps at once must say what each step says alone. Gaps, resets, stale markers and NaN
/// included.
TEST_F(EngineTest, RangeAnswersEqualInstantAnswersAtEachStep) {
  std::uint64_t state = 7;
  const auto next = [&state] {
    state = (state * 6364136223846793005ULL) + 1442695040888963407ULL;
    return static_cast<int>(state >> 33 & 0xffff);
  };
  for (int i = 0; i < 40; ++i) {
    std::vector<double> values;
    double total = 0;
    for (int k = 0; k < 90; ++k) {
      total = next() % 23 == 0 ? 0 : total + (next() % 50);
      double value = total;
      if (next() % 11 == 0) value = telemetry::stale_nan();
      if (next() % 37 == 0) value = std::nan("");
      values.push_back(value);
    }
    load({{"__name__", "x_total"}, {"g", std::to_string(i % 5)}, {"i", std::to_string(i)}}, values);
    if (i < 5) load({{"__name__", "limit"}, {"g", std::to_string(i)}}, values);
  }
  for (const std::string_view query : {"x_total",
                                       "rate(x_total[5m])",
                                       "max_over_time(x_total[7m])",
                                       "topk(3, x_total)",
                                       "bottomk by (g) (2, x_total)",
                                       "topk(100, x_total)",
                                       "quantile by (g) (0.3, x_total)",
                                       "sum by (g) (x_total)",
                                       "min(x_total)",
                                       "max by (g) (x_total)",
                                       "count(x_total > 100)",
                                       "avg(rate(x_total[5m]))",
                                       "stddev by (g) (x_total)",
                                       "count_values('v', limit)",
                                       "x_total - on (g) group_left limit",
                                       "x_total and on (g) limit > 200",
                                       "limit or x_total unless on (g) limit > 100",
                                       "absent(limit > 600)",
                                       "sum_over_time(rate(x_total[5m])[6m:2m])",
                                       "deriv(x_total[9m] offset 3m)",
                                       "predict_linear(limit[9m] @ 1800, 60)",
                                       "scalar(limit{g='1'}) + x_total",
                                       "timestamp(limit)",
                                       "label_replace(limit, 'h', 'x$1', 'g', '([0-2])')"}) {
    std::vector<std::string> at_once;
    collect(range(query, 0, 89, 1), at_once);
    std::vector<std::string> alone;
    for (int minute = 0; minute < 90; ++minute) collect(instant(query, minute), alone);
    std::ranges::sort(at_once);
    std::ranges::sort(alone);
    EXPECT_EQ(at_once, alone) << query;
  }
}

}  // namespace
}  // namespace gantry::promql
