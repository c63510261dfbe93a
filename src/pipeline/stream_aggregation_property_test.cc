// The aggregation against a plain evaluation that keeps every sample.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include "pipeline/stream_aggregation.h"
#include "pipeline/testing/collected_text.h"
#include "pipeline/testing/sample_request.h"

namespace gantry::pipeline {
namespace {

using Lines = std::vector<std::string>;

constexpr std::int64_t kStart = 1'795'262'400'000;
constexpr std::int64_t kInterval = 10'000;
constexpr std::int64_t kWindows = 12;

/// A sample that arrives when it was taken.
struct Arrival {
  std::int64_t ms = 0;  ///< Since kStart.
  int job = 0;
  int instance = 0;
  double value = 0;

  [[nodiscard]] std::int64_t window() const { return ms / kInterval; }
};

std::vector<Arrival> random_arrivals() {
  std::vector<Arrival> arrivals;
  for (int i = *rc::gen::inRange(0, 60); i > 0; --i)
    arrivals.push_back({.ms = *rc::gen::inRange<std::int64_t>(0, kWindows * kInterval),
                        .job = *rc::gen::inRange(0, 2),
                        .instance = *rc::gen::inRange(0, 3),
                        .value = static_cast<double>(*rc::gen::inRange(0, 50))});
  std::ranges::stable_sort(arrivals, {}, &Arrival::ms);
  return arrivals;
}

/// Increases by arrival, over the whole history of each series.
std::vector<double> plain_increases(const std::vector<Arrival>& arrivals) {
  std::vector<double> increases(arrivals.size());
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    const Arrival* before = nullptr;
    for (std::size_t j = 0; j < i; ++j)
      if (arrivals[j].job == arrivals[i].job && arrivals[j].instance == arrivals[i].instance &&
          (before == nullptr || arrivals[j].ms > before->ms))
        before = &arrivals[j];
    const double value = arrivals[i].value;
    if (before == nullptr)
      increases[i] = arrivals[i].ms >= 2 * kInterval ? value : 0;
    else if (before->ms == arrivals[i].ms)
      increases[i] = 0;
    else
      increases[i] = value < before->value ? value : value - before->value;
  }
  return increases;
}

/// One job's outputs at the end of each window.
void evaluate_plainly(const std::vector<Arrival>& arrivals, const std::vector<double>& increases,
                      int job, Lines& lines) {
  std::int64_t last = -100;  // the window of the last sample so far
  double total = 0;
  bool is_shown = false;
  for (std::int64_t window = 0; window < kWindows; ++window) {
    double sum = 0;
    double increase = 0;
    std::map<int, int> samples;
    int count = 0;
    for (std::size_t i = 0; i < arrivals.size(); ++i) {
      if (arrivals[i].job != job || arrivals[i].window() != window) continue;
      sum += arrivals[i].value;
      increase += increases[i];
      ++samples[arrivals[i].instance];
      ++count;
    }
    // The counter is kept one window longer than it is shown.
    if (count > 0 && window - last >= 4) total = 0;
    if (count > 0) last = window;
    total += increase;
    const auto add = [&](std::string_view output, const std::string& value) {
      lines.push_back(fmt::format("c:10s_{}{{job=\"{}\"}} {}@{}", output, job, value,
                                  kStart + (window + 1) * kInterval));
    };
    if (window - last >= 2) {
      if (is_shown)
        for (const char* output : {"total", "increase", "sum_samples", "count_series"})
          add(output, "stale");
      is_shown = false;
      continue;
    }
    is_shown = true;
    add("total", fmt::format("{}", total));
    add("increase", fmt::format("{}", increase));
    if (count == 0) continue;
    add("sum_samples", fmt::format("{}", sum));
    add("count_series", fmt::format("{}", samples.size()));
  }
}

void add_lines(const std::unique_ptr<const FinishedWindows>& finished, Lines& lines) {
  if (!finished) return;
  for (std::string& line : testing::sample_lines(finished->batch()))
    lines.push_back(std::move(line));
}

RC_GTEST_PROP(StreamAggregationProperty, AgreesWithAPlainEvaluation, ()) {
  const std::vector<Arrival> arrivals = random_arrivals();
  core::MetricRegistry registry;
  const auto aggregation = StreamAggregation::parse(
      R"([{"match":"c","interval":"10s","by":["job"],
           "outputs":["total","increase","sum_samples","count_series"]}])",
      {.registry = registry, .labels = {}, .started_at = TimestampMs{kStart}});
  RC_ASSERT(aggregation.has_value());
  Lines lines;
  for (const Arrival& arrival : arrivals) {
    if (*rc::gen::arbitrary<bool>())
      add_lines((*aggregation)->collect(TimestampMs{kStart + arrival.ms}), lines);
    testing::SampleRequest request;
    request.add(fmt::format(R"(c{{job="{}",instance="{}"}})", arrival.job, arrival.instance),
                kStart + arrival.ms, arrival.value);
    static_cast<void>((*aggregation)->observe(request.batch(), TimestampMs{kStart + arrival.ms}));
  }
  add_lines((*aggregation)->collect(TimestampMs{kStart + kWindows * kInterval}), lines);
  std::ranges::sort(lines);

  Lines expected;
  const std::vector<double> increases = plain_increases(arrivals);
  for (const int job : {0, 1}) evaluate_plainly(arrivals, increases, job, expected);
  std::ranges::sort(expected);
  RC_ASSERT(lines == expected);
}

/// What goes into groups comes out of them, whatever is the top.
RC_GTEST_PROP(StreamAggregationProperty, TopAndOtherAddUp, ()) {
  const std::vector<Arrival> arrivals = random_arrivals();
  core::MetricRegistry registry;
  const auto aggregation = StreamAggregation::parse(
      R"([{"match":"c","interval":"10s","by":["instance"],"outputs":["sum_samples"],
           "top":{"n":1,"label":"instance"}}])",
      {.registry = registry, .labels = {}, .started_at = TimestampMs{kStart}});
  RC_ASSERT(aggregation.has_value());
  std::map<std::int64_t, double> expected;
  for (const Arrival& arrival : arrivals) {
    testing::SampleRequest request;
    request.add(fmt::format(R"(c{{job="{}",instance="{}"}})", arrival.job, arrival.instance),
                kStart + arrival.ms, arrival.value);
    static_cast<void>((*aggregation)->observe(request.batch(), TimestampMs{kStart + arrival.ms}));
    expected[kStart + (arrival.window() + 1) * kInterval] += arrival.value;
  }
  const auto finished = (*aggregation)->collect(TimestampMs{kStart + kWindows * kInterval});
  std::map<std::int64_t, double> sums;
  std::map<std::int64_t, int> series;
  if (finished)
    for (const telemetry::FloatSample& sample : finished->batch().samples) {
      if (std::isnan(sample.value)) continue;
      sums[sample.timestamp_ms] += sample.value;
      ++series[sample.timestamp_ms];
    }
  RC_ASSERT(sums == expected);
  for (const auto& [ms, count] : series) RC_ASSERT(count <= 2);
}

}  // namespace
}  // namespace gantry::pipeline
