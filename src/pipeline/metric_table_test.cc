#include "pipeline/metric_table.h"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "pipeline/testing/collected_text.h"

namespace gantry::pipeline {
namespace {

using telemetry::LabelView;
using telemetry::MetricType;
using testing::exemplar_lines;
using testing::sample_lines;
using Lines = std::vector<std::string>;

constexpr TimestampMs kStart{1'000'000};

TimestampMs after_seconds(std::int64_t seconds) {
  return kStart + DurationMs{seconds * 1000};
}

telemetry::TraceId trace(std::uint8_t last) {
  telemetry::TraceId id;
  id.bytes[15] = last;
  return id;
}

class MetricTableTest : public ::testing::Test {
 protected:
  MetricTableOptions options() const {
    return {.families = {{.name = "calls_total", .help = "Calls.", .type = MetricType::Counter},
                         {.name = "seconds", .help = "Time.", .type = MetricType::Histogram},
                         {.name = "info", .help = "Facts.", .type = MetricType::Gauge}},
            .bounds = {0.5, 2},
            .series_max = 100};
  }

  MetricTable make(MetricTableOptions from) { return {std::move(from), registry_, "test"}; }

  static void observe(MetricTable& table, std::string_view service,
                      std::vector<MetricTable::Change> changes, TimestampMs now,
                      telemetry::TraceId trace_id = trace(0xa1)) {
    const std::vector<LabelView> labels = {{.name = "service", .value = service},
                                           {.name = "zone", .value = ""}};
    table.observe(labels, changes, trace_id, now);
  }

  const telemetry::MetricBatch& collect(MetricTable& table, TimestampMs now) {
    collected_.begin(batch_);
    table.collect(now, collected_, batch_);
    return batch_;
  }

  [[nodiscard]] std::uint64_t refused() {
    return registry_
        .counter("gantry_pipeline_refused_total", "",
                 {{"processor", "test"}, {"reason", "series_limit"}})
        .value();
  }

  core::MetricRegistry registry_;
  CollectedSeries collected_;
  telemetry::MetricBatch batch_;
};

TEST_F(MetricTableTest, CountsAddAndTheFirstSampleComesAfterAZero) {
  MetricTable table = make(options());
  observe(table, "a", {{.family = 0, .value = 1}}, kStart);
  observe(table, "a", {{.family = 0, .value = 2}}, kStart);
  EXPECT_EQ(
      sample_lines(collect(table, after_seconds(15))),
      (Lines{"calls_total{service=\"a\"} 0@1000001", "calls_total{service=\"a\"} 3@1015000"}));
  observe(table, "a", {{.family = 0, .value = 1}}, after_seconds(16));
  EXPECT_EQ(sample_lines(collect(table, after_seconds(30))),
            (Lines{"calls_total{service=\"a\"} 4@1030000"}));
  // It is there whether or not something happened.
  EXPECT_EQ(sample_lines(collect(table, after_seconds(45))),
            (Lines{"calls_total{service=\"a\"} 4@1045000"}));
}

TEST_F(MetricTableTest, HistogramsAreCumulativeAndBoundsInclusive) {
  MetricTable table = make(options());
  for (const double value : {0.25, 0.5, 2.0, 7.0}) {
    observe(table, "a", {{.family = 1, .value = value}}, kStart);
  }
  static_cast<void>(collect(table, after_seconds(15)));
  EXPECT_EQ(
      sample_lines(collect(table, after_seconds(30))),
      (Lines{"seconds_bucket{le=\"+Inf\", service=\"a\"} 4@1030000",
             "seconds_bucket{le=\"0.5\", service=\"a\"} 2@1030000",
             "seconds_bucket{le=\"2\", service=\"a\"} 3@1030000",
             "seconds_count{service=\"a\"} 4@1030000", "seconds_sum{service=\"a\"} 9.75@1030000"}));
}

TEST_F(MetricTableTest, GaugesAreSetAndHaveNoZero) {
  MetricTable table = make(options());
  observe(table, "a", {{.family = 2, .value = 1}}, kStart);
  observe(table, "a", {{.family = 2, .value = 1}}, kStart);
  EXPECT_EQ(sample_lines(collect(table, after_seconds(15))),
            (Lines{"info{service=\"a\"} 1@1015000"}));
}

TEST_F(MetricTableTest, ExemplarsAreTheLatestOfEachBucketAndShownOnce) {
  MetricTable table = make(options());
  observe(table, "a", {{.family = 1, .value = 0.1}}, kStart, trace(1));
  observe(table, "a", {{.family = 1, .value = 0.2}}, kStart, trace(2));
  observe(table, "a", {{.family = 1, .value = 9}}, kStart, trace(0xff));
  EXPECT_EQ(exemplar_lines(collect(table, after_seconds(15))),
            (Lines{"seconds_bucket{le=\"+Inf\", service=\"a\"} traceID=ff 9@1015000",
                   "seconds_bucket{le=\"0.5\", service=\"a\"} traceID=2 0.2@1015000"}));
  EXPECT_TRUE(exemplar_lines(collect(table, after_seconds(30))).empty());
}

TEST_F(MetricTableTest, RefusesWhatPassesTheLimitAndCountsIt) {
  MetricTableOptions limited = options();
  limited.series_max = 14;  // Seven for each label set: a counter, five of a histogram, a gauge.
  MetricTable table = make(limited);
  for (const std::string_view service : {"a", "b", "c", "a", "d"}) {
    observe(table, service, {{.family = 0, .value = 1}}, kStart);
  }
  EXPECT_EQ(table.active_series(), 14U);
  EXPECT_EQ(refused(), 2U);
  static_cast<void>(collect(table, after_seconds(15)));
  EXPECT_EQ(
      sample_lines(collect(table, after_seconds(30))),
      (Lines{"calls_total{service=\"a\"} 2@1030000", "calls_total{service=\"b\"} 1@1030000"}));
}

TEST_F(MetricTableTest, QuietLabelSetsEndWithAMarkerAndMakeRoom) {
  MetricTableOptions limited = options();
  limited.series_max = 7;
  MetricTable table = make(limited);
  observe(table, "a", {{.family = 0, .value = 5}}, kStart);
  static_cast<void>(collect(table, after_seconds(15)));
  EXPECT_EQ(sample_lines(collect(table, after_seconds(899))),
            (Lines{"calls_total{service=\"a\"} 5@1899000"}));
  EXPECT_EQ(sample_lines(collect(table, after_seconds(900))),
            (Lines{"calls_total{service=\"a\"} stale@1900000"}));
  EXPECT_TRUE(sample_lines(collect(table, after_seconds(915))).empty());
  EXPECT_EQ(table.active_series(), 0U);
  // It comes back as a new series, later than its marker.
  observe(table, "a", {{.family = 0, .value = 1}}, after_seconds(916));
  EXPECT_EQ(
      sample_lines(collect(table, after_seconds(930))),
      (Lines{"calls_total{service=\"a\"} 0@1915001", "calls_total{service=\"a\"} 1@1930000"}));
}

TEST_F(MetricTableTest, WhatEndsBeforeItsFirstCollectionLeavesNothing) {
  MetricTable table = make(options());
  observe(table, "a", {{.family = 0, .value = 5}}, kStart);
  EXPECT_TRUE(sample_lines(collect(table, after_seconds(901))).empty());
}

TEST_F(MetricTableTest, SeriesKeysAreDistinctAndStayTheSame) {
  MetricTable table = make(options());
  for (const std::string_view service : {"a", "b"}) {
    observe(table, service, {{.family = 0, .value = 1}, {.family = 1, .value = 1}}, kStart);
  }
  const auto keys = [&](TimestampMs now) {
    std::vector<core::Hash128> all;
    for (const auto& series : collect(table, now).series) all.push_back(series.key);
    std::ranges::sort(all);
    return all;
  };
  const auto first = keys(after_seconds(15));
  EXPECT_EQ(first.size(), 12U);
  EXPECT_EQ(std::ranges::adjacent_find(first), first.end());
  EXPECT_EQ(keys(after_seconds(30)), first);
}

TEST_F(MetricTableTest, LosesNothingBetweenThreads) {
  MetricTable table = make(options());
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        observe(table, i % 2 == 0 ? "a" : "b", {{.family = 0, .value = 1}}, kStart);
      }
    });
  }
  for (int i = 1; i <= 20; ++i) static_cast<void>(sample_lines(collect(table, after_seconds(i))));
  threads.clear();
  // The round before has had the zeros, if only just.
  static_cast<void>(collect(table, after_seconds(30)));
  EXPECT_EQ(sample_lines(collect(table, after_seconds(45))),
            (Lines{"calls_total{service=\"a\"} 4000@1045000",
                   "calls_total{service=\"b\"} 4000@1045000"}));
}

}  // namespace
}  // namespace gantry::pipeline
