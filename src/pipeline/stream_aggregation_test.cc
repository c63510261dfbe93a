#include "pipeline/stream_aggregation.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "pipeline/testing/collected_text.h"
#include "pipeline/testing/sample_request.h"
#include "telemetry/sample.h"

namespace gantry::pipeline {
namespace {

using testing::SampleRequest;
using Lines = std::vector<std::string>;

/// 2026-11-21 12:00:00 UTC: a window of any of the intervals here begins.
constexpr std::int64_t kStart = 1'795'262'400'000;

/// Of the clock of the tests, in seconds since kStart.
constexpr TimestampMs at(std::int64_t seconds) {
  return {kStart + seconds * 1000};
}

class StreamAggregationTest : public ::testing::Test {
 protected:
  void start(std::string_view rules, std::int64_t started_at_s = 0, std::size_t series_max = 100,
             std::size_t inputs_max = 100) {
    auto parsed = StreamAggregation::parse(rules, {.registry = registry_,
                                                   .labels = {{"stack", "7"}},
                                                   .started_at = at(started_at_s),
                                                   .series_max = series_max,
                                                   .inputs_max = inputs_max});
    ASSERT_TRUE(parsed) << parsed.error().message;
    aggregation_ = *std::move(parsed);
  }

  /// One sample that arrives when it was taken.
  void observe(std::string_view series, std::int64_t second, double value,
               std::int64_t start_ms = 0) {
    SampleRequest request;
    request.add(series, at(second).since_epoch, value, start_ms);
    static_cast<void>(aggregation_->observe(request.batch(), at(second)));
  }

  /// `series value@seconds since kStart`, sorted.
  static Lines lines_of(const std::unique_ptr<const FinishedWindows>& finished) {
    if (!finished) return {};
    Lines lines = testing::sample_lines(finished->batch());
    for (std::string& line : lines) {
      const std::size_t where = line.rfind('@') + 1;
      const std::int64_t ms = std::stoll(line.substr(where)) - kStart;
      line = line.substr(0, where) + fmt::format("{}", static_cast<double>(ms) / 1000);
    }
    return lines;
  }

  Lines collect(std::int64_t second) { return lines_of(aggregation_->collect(at(second))); }

  [[nodiscard]] std::uint64_t refused(const std::string& reason) {
    return registry_
        .counter("gantry_pipeline_refused_total", "",
                 {{"processor", "stream_aggregation"}, {"reason", reason}})
        .value();
  }

  core::MetricRegistry registry_;
  std::unique_ptr<StreamAggregation> aggregation_;
};

TEST_F(StreamAggregationTest, AWindowOfEveryOutput) {
  start(R"([{"match":"m","interval":"1m","by":["job"],
             "outputs":["sum_samples","count_samples","count_series","avg","min","max","last"]}])");
  observe(R"(m{job="a",i="1"})", 1, 1);
  observe(R"(m{job="a",i="1"})", 10, 5);
  observe(R"(m{job="a",i="2"})", 5, 3);
  observe(R"(m{job="b",i="1"})", 59, -2);
  observe(R"(other{job="a"})", 5, 1000);
  EXPECT_EQ(collect(59), Lines{});
  EXPECT_EQ(collect(60),
            (Lines{R"(m:1m_avg{job="a"} 3@60)", R"(m:1m_avg{job="b"} -2@60)",
                   R"(m:1m_count_samples{job="a"} 3@60)", R"(m:1m_count_samples{job="b"} 1@60)",
                   R"(m:1m_count_series{job="a"} 2@60)", R"(m:1m_count_series{job="b"} 1@60)",
                   R"(m:1m_last{job="a"} 5@60)", R"(m:1m_last{job="b"} -2@60)",
                   R"(m:1m_max{job="a"} 5@60)", R"(m:1m_max{job="b"} -2@60)",
                   R"(m:1m_min{job="a"} 1@60)", R"(m:1m_min{job="b"} -2@60)",
                   R"(m:1m_sum_samples{job="a"} 9@60)", R"(m:1m_sum_samples{job="b"} -2@60)"}));
  EXPECT_EQ(collect(61), Lines{}) << "each window once";
}

TEST_F(StreamAggregationTest, CountersOverResetsAndSilence) {
  start(R"([{"match":"c","interval":"1m","without":["i"],"outputs":["total","increase"]}])");
  observe(R"(c{i="1"})", 10, 100);  // may come from far back
  observe(R"(c{i="1"})", 20, 130);
  observe(R"(c{i="1"})", 15, 120);  // late, and counted already
  observe(R"(c{i="1"})", 30, 5);    // began anew
  EXPECT_EQ(collect(60), (Lines{"c:1m_increase 35@60", "c:1m_total 35@60"}));
  observe(R"(c{i="1"})", 70, 25);
  EXPECT_EQ(collect(120), (Lines{"c:1m_increase 20@120", "c:1m_total 55@120"}));
  EXPECT_EQ(collect(180), (Lines{"c:1m_increase 0@180", "c:1m_total 55@180"}));
  EXPECT_EQ(collect(240), (Lines{"c:1m_increase stale@240", "c:1m_total stale@240"}));
  EXPECT_EQ(collect(600), Lines{});
  observe(R"(c{i="1"})", 610, 30);
  EXPECT_EQ(collect(660), (Lines{"c:1m_increase 5@660", "c:1m_total 5@660"}))
      << "what it counted meanwhile is not lost";
}

TEST_F(StreamAggregationTest, ANewSeriesCountsFromZeroOnceOldOnesAreKnown) {
  start(R"([{"match":"c","interval":"1m","outputs":["total"]}])");
  observe(R"(c{i="old"})", 10, 1000);
  observe(R"(c{i="begun"})", 10, 7, at(5).since_epoch);
  EXPECT_EQ(collect(60), (Lines{R"(c:1m_total{i="begun"} 7@60)", R"(c:1m_total{i="old"} 0@60)"}));
  observe(R"(c{i="new"})", 130, 3);
  observe(R"(c{i="long"})", 130, 900, at(-1000).since_epoch);
  EXPECT_EQ(collect(180),
            (Lines{R"(c:1m_total{i="begun"} 7@120)", R"(c:1m_total{i="begun"} stale@180)",
                   R"(c:1m_total{i="long"} 0@180)", R"(c:1m_total{i="new"} 3@180)",
                   R"(c:1m_total{i="old"} 0@120)", R"(c:1m_total{i="old"} stale@180)"}));
}

TEST_F(StreamAggregationTest, OnlyTheTopValuesStayApart) {
  start(R"([{"match":"c","interval":"1m","by":["path"],"outputs":["total"],
             "top":{"n":1,"label":"path"}}])",
        -600);
  observe(R"(c{path="/a"})", 10, 10);
  observe(R"(c{path="/b"})", 10, 30);
  observe(R"(c{path="/c"})", 10, 5);
  EXPECT_EQ(collect(60),
            (Lines{R"(c:1m_total{path="/b"} 30@60)", R"(c:1m_total{path="other"} 15@60)"}));
  observe(R"(c{path="/a"})", 70, 110);
  observe(R"(c{path="/b"})", 70, 31);
  observe(R"(c{path="/c"})", 70, 6);
  EXPECT_EQ(collect(120),
            (Lines{R"(c:1m_total{path="/a"} 100@120)", R"(c:1m_total{path="/b"} stale@120)",
                   R"(c:1m_total{path="other"} 17@120)"}))
      << "a counter has what it counted while it was apart, so that none goes back";
  observe(R"(c{path="/b"})", 130, 1031);
  EXPECT_EQ(collect(180),
            (Lines{R"(c:1m_total{path="/a"} stale@180)", R"(c:1m_total{path="/b"} 1030@180)",
                   R"(c:1m_total{path="other"} 17@180)"}));
  // Ever: 110 and 6 of 1147.
  EXPECT_DOUBLE_EQ(
      registry_.gauge("gantry_aggregation_other_ratio", "", {{"stack", "7"}, {"rule", "0"}})
          .value(),
      116.0 / 1147);
}

TEST_F(StreamAggregationTest, OthersAreCombinedByWhatTheOutputMeans) {
  start(R"([{"match":"m","interval":"1m","by":["p","z"],
             "outputs":["sum_samples","count_series","avg","min","max","last"],
             "top":{"n":1,"label":"p","rank_by":"max"}}])");
  observe(R"(m{p="top",z="1"})", 1, 100);
  observe(R"(m{p="a",z="1"})", 2, 1);
  observe(R"(m{p="a",z="1"})", 3, 2);
  observe(R"(m{p="b",z="1"})", 4, 9);
  observe(R"(m{p="other", z="1"})", 5, 8);
  observe(R"(m{p="b",z="2"})", 6, 4);
  Lines lines = collect(60);
  std::erase_if(lines, [](const std::string& line) { return line.contains("top"); });
  EXPECT_EQ(
      lines,
      (Lines{R"(m:1m_avg{p="other", z="1"} 5@60)", R"(m:1m_avg{p="other", z="2"} 4@60)",
             R"(m:1m_count_series{p="other", z="1"} 3@60)",
             R"(m:1m_count_series{p="other", z="2"} 1@60)", R"(m:1m_last{p="other", z="1"} 19@60)",
             R"(m:1m_last{p="other", z="2"} 4@60)", R"(m:1m_max{p="other", z="1"} 9@60)",
             R"(m:1m_max{p="other", z="2"} 4@60)", R"(m:1m_min{p="other", z="1"} 1@60)",
             R"(m:1m_min{p="other", z="2"} 4@60)", R"(m:1m_sum_samples{p="other", z="1"} 20@60)",
             R"(m:1m_sum_samples{p="other", z="2"} 4@60)"}));
}

TEST_F(StreamAggregationTest, ANameWithoutTheMetricMakesOneOfSeveral) {
  start(R"([{"match":"{__name__=~\"hits|clicks\"}","interval":"30s","by":[],
             "outputs":["sum_samples"],"name":"events:<interval>"}])");
  observe("hits", 1, 2);
  observe("clicks", 1, 3);
  EXPECT_EQ(collect(30), (Lines{"events:30s 5@30"}));
}

TEST_F(StreamAggregationTest, InputIsLeftOutWhereARuleSaysSo) {
  start(R"([{"match":"dropped","interval":"1m","outputs":["total"],"keep_input":false},
            {"match":"kept","interval":"1m","outputs":["total"]}])");
  SampleRequest request;
  request.add("kept", kStart, 1).add("dropped", kStart, 2).add("unmatched", kStart, 3);
  request.add("dropped", kStart + 1, 4).add("kept", kStart + 1, 5);
  const PartialBatch rest = aggregation_->observe(request.batch(), at(1));
  Lines lines = testing::sample_lines(rest.batch());
  for (std::string& line : lines) line.resize(line.rfind('@'));
  EXPECT_EQ(lines, (Lines{"kept 1", "kept 5", "unmatched 3"}));
  EXPECT_EQ(rest.dropped_count(), 2U);
  telemetry::AppendResult stored{.samples_written = 2, .refused_samples = {2}};
  stored = rest.of_input(stored);
  EXPECT_EQ(stored.samples_written, 4U);
  EXPECT_EQ(stored.refused_samples, (std::vector<std::uint32_t>{4}));

  SampleRequest other;
  other.add("unmatched", kStart, 3);
  EXPECT_EQ(&aggregation_->observe(other.batch(), at(1)).batch(), &other.batch());
}

TEST_F(StreamAggregationTest, ASeriesIsTheSameHoweverItComes) {
  start(R"([{"match":"c","interval":"1m","outputs":["total","count_series"]}])");
  for (const std::uint64_t protocol : {1U, 2U}) {
    SampleRequest request(protocol);
    request.add("c", at(10).since_epoch + static_cast<std::int64_t>(protocol),
                static_cast<double>(protocol * 10));
    static_cast<void>(aggregation_->observe(request.batch(), at(10)));
  }
  EXPECT_EQ(collect(60), (Lines{"c:1m_count_series 1@60", "c:1m_total 10@60"}));
}

TEST_F(StreamAggregationTest, LimitsAreKeptAndCounted) {
  start(R"([{"match":"m","interval":"1m","outputs":["sum_samples"],"keep_input":false}])", 0, 2, 3);
  for (const std::string_view i : {"1", "2", "3"}) observe(fmt::format(R"(m{{i="{}"}})", i), 1, 1);
  EXPECT_EQ(refused("series_limit"), 1U);
  SampleRequest fourth;
  fourth.add(R"(m{i="4"})", kStart, 1);
  const PartialBatch rest = aggregation_->observe(fourth.batch(), at(1));
  EXPECT_EQ(rest.dropped_count(), 0U) << "what cannot be aggregated is not lost";
  EXPECT_EQ(refused("input_limit"), 1U);
  EXPECT_EQ(collect(60).size(), 2U);
  EXPECT_EQ(
      registry_.gauge("gantry_aggregation_series", "", {{"stack", "7"}, {"rule", "0"}}).value(), 2);
}

TEST_F(StreamAggregationTest, SamplesThatAreTooOldOrNoNumbersAreLeftOut) {
  start(R"([{"match":"m","interval":"1m","outputs":["count_samples"]}])");
  SampleRequest request;
  request.add("m", at(0).since_epoch, 1)
      .add("m", at(0).since_epoch - 1, 1)
      .add("m", at(300).since_epoch, telemetry::stale_nan())
      .add("m", at(300).since_epoch, std::numeric_limits<double>::quiet_NaN());
  static_cast<void>(aggregation_->observe(request.batch(), at(300)));
  EXPECT_EQ(collect(360), (Lines{"m:1m_count_samples 1@360"}));
  EXPECT_EQ(
      registry_
          .counter("gantry_aggregation_late_dropped_total", "", {{"stack", "7"}, {"rule", "0"}})
          .value(),
      1U);
}

TEST_F(StreamAggregationTest, FlushSaysWhatTheOpenWindowHas) {
  start(R"([{"match":"m","interval":"1m","outputs":["sum_samples"]}])");
  observe("m", 10, 1);
  observe("m", 70, 2);
  EXPECT_EQ(lines_of(aggregation_->flush(at(75))),
            (Lines{"m:1m_sum_samples 1@60", "m:1m_sum_samples 2@75"}));
  EXPECT_EQ(lines_of(aggregation_->flush(at(76))), Lines{});
}

TEST_F(StreamAggregationTest, WindowsEndWithoutACollectorToo) {
  start(R"([{"match":"m","interval":"1m","outputs":["sum_samples"]}])");
  observe("m", 10, 1);
  observe("m", 70, 2);
  observe("m", 130, 4);
  EXPECT_EQ(collect(180),
            (Lines{"m:1m_sum_samples 1@60", "m:1m_sum_samples 2@120", "m:1m_sum_samples 4@180"}));
}

telemetry::NativeHistogram histogram(std::uint64_t first, std::uint64_t second) {
  return telemetry::IntegerHistogram{.count = first + second,
                                     .sum = static_cast<double>(first + 2 * second),
                                     .positive_spans = {{.offset = 0, .length = 2}},
                                     .positive_counts = {first, second}};
}

std::string histogram_text(const telemetry::MetricBatch& batch, std::size_t index) {
  return telemetry::format_histogram(telemetry::to_float(batch.histograms.at(index).histogram));
}

TEST_F(StreamAggregationTest, NativeHistogramsAreMerged) {
  start(R"([{"match":"h","interval":"1m","by":[],"outputs":["sum_samples","total"]}])", -600);
  SampleRequest request;
  request.add(R"(h{i="1"})", at(10).since_epoch, histogram(1, 2))
      .add(R"(h{i="2"})", at(10).since_epoch, histogram(10, 0))
      .add(R"(h{i="1"})", at(20).since_epoch, histogram(4, 2))
      .add(R"(h{i="1"})", at(30).since_epoch, histogram(1, 0));  // began anew
  static_cast<void>(aggregation_->observe(request.batch(), at(30)));
  const auto finished = aggregation_->collect(at(60));
  ASSERT_TRUE(finished);
  ASSERT_EQ(finished->batch().histograms.size(), 2U);
  EXPECT_TRUE(finished->batch().samples.empty());
  EXPECT_EQ(histogram_text(finished->batch(), 0), "{count:20, sum:24, (0.5,1]:16, (1,2]:4}");
  EXPECT_EQ(histogram_text(finished->batch(), 1), "{count:17, sum:19, (0.5,1]:15, (1,2]:2}");
  EXPECT_EQ(refused("histogram"), 0U);
}

TEST_F(StreamAggregationTest, WhatHistogramsDoNotHaveIsLeftOutAndCounted) {
  start(R"([{"match":"h","interval":"1m","by":[],"outputs":["sum_samples","avg"]},
            {"match":"h","interval":"1m","by":[],"outputs":["max"]}])");
  SampleRequest request;
  request.add("h", at(10).since_epoch, histogram(1, 2));
  static_cast<void>(aggregation_->observe(request.batch(), at(10)));
  EXPECT_EQ(refused("histogram"), 2U);
  observe(R"(h{i="2"})", 11, 1);
  EXPECT_EQ(refused("mixed_types"), 1U) << "the first rule's group has histograms";
  const auto finished = aggregation_->collect(at(60));
  ASSERT_TRUE(finished);
  EXPECT_EQ(finished->batch().histograms.size(), 1U);
  EXPECT_EQ(lines_of(finished), (Lines{"h:1m_max 1@60"}));
}

TEST_F(StreamAggregationTest, ManyThreadsMayObserve) {
  start(R"([{"match":"c","interval":"1s","by":[],"outputs":["sum_samples"]}])");
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  std::vector<std::jthread> threads;
  std::atomic<double> collected = 0;
  const auto add_up = [&](const std::unique_ptr<const FinishedWindows>& finished) {
    if (!finished) return;
    for (const telemetry::FloatSample& sample : finished->batch().samples)
      if (!telemetry::is_stale_nan(sample.value)) collected.fetch_add(sample.value);
  };
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        SampleRequest request;
        request.add(fmt::format(R"(c{{i="{}"}})", t), at(i).since_epoch, 1);
        static_cast<void>(aggregation_->observe(request.batch(), at(i)));
      }
    });
  for (int i = 0; i < kRounds; ++i) add_up(aggregation_->collect(at(i)));
  threads.clear();
  add_up(aggregation_->flush(at(kRounds)));
  EXPECT_EQ(collected, kThreads * kRounds);
}

}  // namespace
}  // namespace gantry::pipeline
