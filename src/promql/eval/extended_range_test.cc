// Anchored and smoothed selectors through the engine.

#include "promql/eval/extended_range.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "promql/engine.h"
#include "promql/testing/forwarding_source.h"
#include "promql/testing/memory_source.h"
#include "telemetry/sample.h"

namespace gantry::promql::eval {
namespace {

using promqltest::ForwardingSource;
using promqltest::MemorySource;
using promqltest::Sample;

/// Keeps what was asked for.
class RecordingSource final : public ForwardingSource {
 public:
  struct Asked {
    std::int64_t start_ms = 0;
    std::int64_t end_ms = 0;
    std::string function;
  };

  using ForwardingSource::ForwardingSource;

  Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request,
                                            const CancelToken& cancel) const override {
    asked.push_back({.start_ms = request.start_ms,
                     .end_ms = request.end_ms,
                     .function = std::string(request.hints.function)});
    return ForwardingSource::select(request, cancel);
  }

  mutable std::vector<Asked> asked;
};

std::string text_of(const Result<Answer>& answer) {
  if (!answer) return "error: " + answer.error().message;
  std::string out;
  if (const auto* vector = std::get_if<std::vector<VectorElement>>(&answer->value)) {
    for (const VectorElement& element : *vector) {
      out += fmt::format("{}{:g}", out.empty() ? "" : " ",
                         element.histogram ? element.histogram->count : element.value);
    }
    return out;
  }
  for (const ResultSeries& series : std::get<std::vector<ResultSeries>>(answer->value)) {
    for (const Point& point : series.points) {
      out +=
          fmt::format("{}{:g}@{}", out.empty() ? "" : " ", point.value, point.timestamp_ms / 1000);
    }
  }
  return out;
}

class ExtendedRangeTest : public testing::Test {
 protected:
  ExtendedRangeTest() {
    options_.parser.extended_range_selectors = true;
    options_.parser.experimental_functions = true;
  }

  /// A sample every ten seconds from time 0.
  void load(telemetry::Labels labels, const std::vector<double>& values,
            const std::vector<std::int64_t>& starts_ms = {}) {
    std::vector<Sample> samples;
    for (std::size_t i = 0; i < values.size(); ++i) {
      samples.push_back({.timestamp_ms = static_cast<std::int64_t>(i) * 10'000,
                         .start_timestamp_ms = starts_ms.empty() ? 0 : starts_ms[i],
                         .value = values[i],
                         .histogram = nullptr});
    }
    memory_.append(telemetry::make_labels(std::move(labels)), samples);
  }

  void load_histogram(telemetry::Labels labels, std::int64_t timestamp_ms, double count) {
    auto histogram = std::make_shared<telemetry::FloatHistogram>();
    histogram->count = count;
    const Sample sample{.timestamp_ms = timestamp_ms,
                        .start_timestamp_ms = 0,
                        .value = 0,
                        .histogram = std::move(histogram)};
    memory_.append(telemetry::make_labels(std::move(labels)), std::span(&sample, 1));
  }

  Result<Answer> instant(std::string_view query, std::int64_t second) {
    return Engine(options_).instant(
        {.query = query, .time_ms = second * 1000, .lookback_ms = 60'000}, source_, CancelToken());
  }

  Result<Answer> range(std::string_view query, std::int64_t from, std::int64_t to,
                       std::int64_t step) {
    return Engine(options_).range({.query = query,
                                   .start_ms = from * 1000,
                                   .end_ms = to * 1000,
                                   .step_ms = step * 1000,
                                   .lookback_ms = 60'000},
                                  source_, CancelToken());
  }

  std::string last_asked() const {
    const RecordingSource::Asked& asked = source_.asked.back();
    return fmt::format("{}-{} {}", asked.start_ms, asked.end_ms, asked.function);
  }

  EngineOptions options_;
  MemorySource memory_;
  RecordingSource source_{memory_};
};

TEST_F(ExtendedRangeTest, ReadsAsFarAsTheLookback) {
  load({{"__name__", "m_total"}}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});

  struct Case {
    std::string_view query, asked;
  };

  for (const Case& c : {
           Case{"increase(m_total[20s])", "80001-100000 increase"},
           Case{"increase(m_total[20s] anchored)", "20001-100000 increase"},
           Case{"increase(m_total[20s] smoothed)", "20001-160000 increase"},
           Case{"increase(m_total[20s] anchored offset 10s)", "10001-90000 increase"},
           Case{"increase(m_total[20s] smoothed @ 50 offset 10s)", "-39999-100000 increase"},
           Case{"m_total smoothed", "40001-160000 "},
           Case{"m_total[20s] smoothed", "20001-160000 "},
           Case{"sum_over_time(increase(m_total[20s] anchored)[30s:10s])", "1-100000 increase"},
       }) {
    EXPECT_TRUE(instant(c.query, 100)) << c.query;
    EXPECT_EQ(last_asked(), c.asked) << c.query;
  }
  EXPECT_TRUE(range("rate(m_total[20s] smoothed)", 100, 200, 10));
  EXPECT_EQ(last_asked(), "20001-260000 rate");
}

TEST_F(ExtendedRangeTest, RangeAnswersEqualInstantAnswers) {
  load({{"__name__", "m_total"}}, {0, 5, 9, 2, 2, 7, telemetry::stale_nan(), 1, 4, 4, 30});
  for (const std::string_view query :
       {"increase(m_total[25s] anchored)", "increase(m_total[25s] smoothed)",
        "rate(m_total[7s] smoothed)", "delta(m_total[25s] anchored)",
        "changes(m_total[25s] anchored)", "resets(m_total[25s] anchored)", "m_total smoothed",
        "increase(m_total[25s] smoothed offset 13s)", "delta(m_total[9s] smoothed @ 42)",
        "max_over_time(rate(m_total[20s] anchored)[1m:9s])",
        "sum_over_time((m_total smoothed)[1m:9s])"}) {
    std::string expected;
    for (std::int64_t second = 0; second <= 200; second += 7) {
      const std::string value = text_of(instant(query, second));
      if (value.empty()) continue;
      expected += fmt::format("{}{}@{}", expected.empty() ? "" : " ", value, second);
    }
    EXPECT_EQ(text_of(range(query, 0, 200, 7)), expected) << query;
    EXPECT_FALSE(expected.empty()) << query;
  }
}

TEST_F(ExtendedRangeTest, RootsShowTheEndsOfTheRange) {
  load({{"__name__", "m"}}, {0, 10, 20, 30});
  EXPECT_EQ(text_of(instant("m[12s] anchored", 25)), "10@13 20@20 20@25");
  EXPECT_EQ(text_of(instant("m[12s] smoothed", 25)), "13@13 20@20 25@25");
  EXPECT_EQ(text_of(instant("(m[10s] smoothed)", 20)), "10@10 20@20");
  EXPECT_EQ(text_of(instant("m[10s] smoothed @ 25", 500)), "15@15 20@20 25@25");
  EXPECT_EQ(text_of(instant("m[5s] anchored", 300)), "");
  load_histogram({{"__name__", "h"}}, 20'000, 1);
  EXPECT_EQ(text_of(instant("h[12s] anchored", 25)),
            "error: anchored modifier is not supported with histograms");
  EXPECT_EQ(text_of(instant("h[12s] smoothed", 25)),
            "error: smoothed modifier is not supported with histograms");
}

TEST_F(ExtendedRangeTest, OtherFunctionsRefuse) {
  EXPECT_EQ(text_of(instant("absent_over_time(m[1m] anchored)", 0)),
            "error: anchored modifier can only be used with: changes, delta, increase, rate, "
            "resets - not with absent_over_time");
  EXPECT_EQ(text_of(instant("changes((m[1m] smoothed))", 0)),
            "error: smoothed modifier can only be used with: delta, increase, rate - not with "
            "changes");
  EXPECT_EQ(instant("irate(m[1m] smoothed)", 0).error().code, Code::FailedPrecondition);
}

TEST_F(ExtendedRangeTest, SmoothedSelectorsCarryTheLastValueAndLookNoFurtherThanTheLookback) {
  load({{"__name__", "m"}}, {4, 8});
  EXPECT_EQ(text_of(instant("m smoothed", 5)), "6");
  EXPECT_EQ(text_of(instant("m smoothed", 69)), "8");
  EXPECT_EQ(text_of(instant("m smoothed", 70)), "");
  EXPECT_EQ(text_of(instant("m smoothed", -1)), "");
  EXPECT_EQ(text_of(instant("m anchored", 5)), "4");
  EXPECT_EQ(text_of(instant("timestamp(m smoothed)", 15)), "10");
  load_histogram({{"__name__", "h"}}, 0, 10);
  load_histogram({{"__name__", "h"}}, 10'000, 20);
  EXPECT_EQ(text_of(instant("histogram_count(h smoothed)", 5)), "15");
  EXPECT_EQ(text_of(instant("histogram_count(h smoothed)", 60)), "20");
}

TEST_F(ExtendedRangeTest, MixedKindsGiveAWarningAndNothing) {
  load({{"__name__", "m"}}, {1, 2});
  load_histogram({{"__name__", "m"}}, 20'000, 1);
  for (const std::string_view query : {"m smoothed", "rate(m[30s] anchored)"}) {
    const auto answer = instant(query, 25);
    ASSERT_TRUE(answer);
    EXPECT_EQ(text_of(answer), "");
    ASSERT_EQ(answer->annotations.warnings.size(), 1U) << query;
    EXPECT_TRUE(answer->annotations.warnings[0].starts_with(
        "PromQL warning: encountered a mix of histograms and floats for metric name \"m\" (1:"));
  }
}

TEST_F(ExtendedRangeTest, NamesGoAndDoubtfulCountersAreNoted) {
  load({{"__name__", "m"}, {"__type__", "gauge"}}, {1, 2, 3});
  auto answer = instant("rate(m[15s] anchored)", 20);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(std::get<std::vector<VectorElement>>(answer->value)[0].labels.empty());
  ASSERT_EQ(answer->annotations.infos.size(), 1U);
  EXPECT_EQ(answer->annotations.infos[0],
            "PromQL info: metric might not be a counter, name does not end in "
            "_total/_sum/_count/_bucket: \"m\" (1:6)");
  options_.type_and_unit_labels = true;
  load({{"__name__", "untyped_total"}}, {1, 2, 3});
  load({{"__name__", "typed"}, {"__type__", "counter"}}, {1, 2, 3});
  const auto info_of = [&](std::string_view query) -> std::string {
    answer = instant(query, 20);
    return answer && answer->annotations.infos.size() == 1 ? answer->annotations.infos[0] : "";
  };
  EXPECT_EQ(info_of("rate(m[15s] anchored)"),
            "PromQL info: metric might not be a counter, __type__ label is not set to \"counter\" "
            "or \"histogram\", got \"gauge\": \"m\" (1:6)");
  EXPECT_EQ(info_of("increase(untyped_total[15s])"),
            "PromQL info: metric might not be a counter, __type__ label is not set to \"counter\" "
            "or \"histogram\", got \"\": \"untyped_total\" (1:10)");
  EXPECT_EQ(info_of("rate(m[15s:5s])"),
            "PromQL info: metric might not be a counter, __type__ label is not set to \"counter\" "
            "or \"histogram\", got \"gauge\": \"m\" (1:6)");
  EXPECT_EQ(info_of("rate(typed[15s])"), "");
}

TEST_F(ExtendedRangeTest, StartTimestampsTellResetsButNoRates) {
  load({{"__name__", "m_total"}}, {1, 2, 3}, {0, 0, 15'000});
  EXPECT_EQ(text_of(instant("resets(m_total[15s] anchored)", 20)), "0");
  EXPECT_EQ(text_of(instant("increase(m_total[15s] anchored)", 20)), "2");
  EXPECT_EQ(text_of(instant("start_timestamp(m_total)", 20)), "");
  options_.use_start_timestamps = true;
  EXPECT_EQ(text_of(instant("start_timestamp(m_total)", 20)), "15");
  EXPECT_EQ(text_of(instant("start_timestamp(m_total + 0)", 20)), "");
  EXPECT_EQ(text_of(instant("resets(m_total[15s] anchored)", 20)), "1");
  EXPECT_EQ(text_of(instant("increase(m_total[15s] anchored)", 20)), "2");
}

}  // namespace
}  // namespace gantry::promql::eval
