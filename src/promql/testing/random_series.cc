#include "promql/testing/random_series.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "promql/testing/vocabulary.h"
#include "telemetry/labels.h"
#include "telemetry/sample.h"

namespace gantry::promql::promqltest {

namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

class SeriesMaker {
 public:
  SeriesMaker(std::uint64_t seed, const RandomSeriesOptions& options, MemorySource& source)
      : random_(seed), options_(options), source_(source) {}

  void run() {
    for (const std::string_view job : kJobs) {
      for (int instance = 0; instance < options_.instances; ++instance) {
        job_ = job;
        instance_ = "i" + std::to_string(instance);
        if (!one_in(8)) floats();
        if (options_.histograms && !one_in(6)) natives();
      }
    }
  }

 private:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  std::size_t below(std::size_t end) { return random_() % end; }

  bool one_in(std::size_t n) { return below(n) == 0; }

  // ---- times

  std::vector<std::int64_t> times() {
    constexpr std::array<std::int64_t, 4> kIntervals = {15'000, 30'000, 60'000, 17'000};
    const std::int64_t interval = kIntervals[below(kIntervals.size())];
    const bool is_regular = one_in(2);
    std::int64_t now =
        options_.start_ms +
        (is_regular ? 0 : static_cast<std::int64_t>(below(static_cast<std::size_t>(interval))));
    std::vector<std::int64_t> result;
    while (now <= options_.end_ms) {
      result.push_back(now);
      now += interval;
      if (!is_regular) now += static_cast<std::int64_t>(below(2001)) - 1000;
      // A gap, at times longer than the lookback.
      if (one_in(40)) now += interval * static_cast<std::int64_t>(1 + below(30));
    }
    return result;
  }

  void append(const std::string& name, Pairs labels, std::vector<Sample> samples) {
    labels.emplace_back("job", job_);
    labels.emplace_back("instance", instance_);
    labels.emplace_back("__name__", name);
    std::ranges::sort(labels);
    telemetry::Labels result;
    for (auto& [label, value] : labels)
      result.push_back({.name = std::move(label), .value = std::move(value)});
    add_stale_markers(samples);
    source_.append(result, samples);
  }

  void add_stale_markers(std::vector<Sample>& samples) {
    for (Sample& sample : samples) {
      if (!one_in(60)) continue;
      sample.histogram = nullptr;
      sample.value = telemetry::stale_nan();
    }
  }

  // Known, unknown, and overlapping start times.
  void add_start_times(std::vector<Sample>& samples) {
    if (!one_in(3)) return;
    std::int64_t start = options_.start_ms - 10'000;
    for (Sample& sample : samples) {
      if (one_in(15)) start = sample.timestamp_ms - static_cast<std::int64_t>(below(40'000));
      sample.start_timestamp_ms = one_in(20) ? 0 : start;
    }
  }

  // ---- floats

  std::vector<Sample> counter(double step_max) {
    std::vector<Sample> samples;
    double value = one_in(3) ? 0 : static_cast<double>(below(1000));
    const bool is_integer = one_in(2);
    for (const std::int64_t time : times()) {
      const double step = static_cast<double>(below(1000)) / 1000 * step_max;
      value += one_in(6) ? 0 : is_integer ? std::floor(step) : step;
      if (one_in(50)) value = one_in(2) ? 0 : value / 3;
      samples.push_back(
          {.timestamp_ms = time, .start_timestamp_ms = 0, .value = value, .histogram = nullptr});
    }
    add_start_times(samples);
    return samples;
  }

  std::vector<Sample> gauge() {
    std::vector<Sample> samples;
    double value = static_cast<double>(below(200)) - 100;
    const bool is_constant = one_in(6);
    const bool is_integer = one_in(3);
    for (const std::int64_t time : times()) {
      if (!is_constant) value += (static_cast<double>(below(2001)) - 1000) / 137;
      samples.push_back({.timestamp_ms = time,
                         .start_timestamp_ms = 0,
                         .value = is_integer ? std::round(value) : value,
                         .histogram = nullptr});
    }
    return samples;
  }

  double special() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const std::array<double, 14> values = {std::nan(""), kInfinity, -kInfinity, 0.0,    -0.0,
                                           1e308,        -1e308,    1e-308,     5e-324, 1e16,
                                           -1e16,        1.0,       0.1,        -2.5};
    return values[below(values.size())];
  }

  std::vector<Sample> weird() {
    std::vector<Sample> samples = gauge();
    const std::size_t rarity = one_in(3) ? 1 : 8;
    for (Sample& sample : samples) {
      if (one_in(rarity)) sample.value = special();
    }
    return samples;
  }

  std::vector<Sample> constant(double value) {
    std::vector<Sample> samples;
    for (const std::int64_t time : times())
      samples.push_back(
          {.timestamp_ms = time, .start_timestamp_ms = 0, .value = value, .histogram = nullptr});
    return samples;
  }

  void floats() {
    append("errors_total", {}, counter(5));
    append("hits", {}, counter(100));
    append("temperature", {}, gauge());
    std::vector<Sample> up = constant(1);
    for (Sample& sample : up) sample.value = one_in(9) ? 0 : 1;
    append("up", {}, up);
    append("weird", {}, weird());
    for (const std::string_view code : kCodes) {
      if (!one_in(5)) append(std::string(kCodeMetric), {{"code", std::string(code)}}, counter(30));
    }
    for (const std::string_view queue : kQueues) {
      if (!one_in(4)) append(std::string(kQueueMetric), {{"queue", std::string(queue)}}, gauge());
    }
    buckets();
    info();
    if (one_in(3)) return;
    const Pairs service = {{std::string(kQuotedLabel), std::string(kServices[below(2)])}};
    append(std::string(kQuotedMetric), service, counter(10));
  }

  void buckets() {
    const std::vector<std::int64_t> when = times();
    std::vector<std::vector<Sample>> all(kBounds.size());
    std::array<double, kBounds.size()> counts = {};
    double sum = 0;
    std::vector<Sample> sums;
    std::vector<Sample> totals;
    const bool is_broken = one_in(4);
    for (const std::int64_t time : when) {
      for (std::size_t i = below(kBounds.size()); i < kBounds.size(); ++i)
        counts[i] += static_cast<double>(below(4));
      if (one_in(60)) counts.fill(0);
      for (std::size_t i = 1; i < kBounds.size(); ++i)
        counts[i] = std::max(counts[i], counts[i - 1]);
      sum += static_cast<double>(below(100)) / 10;
      for (std::size_t i = 0; i < kBounds.size(); ++i) {
        const double shown = is_broken && one_in(10) ? counts[i] - 2 : counts[i];
        all[i].push_back(
            {.timestamp_ms = time, .start_timestamp_ms = 0, .value = shown, .histogram = nullptr});
      }
      sums.push_back(
          {.timestamp_ms = time, .start_timestamp_ms = 0, .value = sum, .histogram = nullptr});
      totals.push_back({.timestamp_ms = time,
                        .start_timestamp_ms = 0,
                        .value = counts.back(),
                        .histogram = nullptr});
    }
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
      // At times a bound is missing, even the infinite one, or is no number.
      if (one_in(40)) continue;
      append(std::string(kBucketMetric), {{"le", one_in(60) ? "many" : std::string(kBounds[i])}},
             all[i]);
    }
    append("latency_seconds_sum", {}, sums);
    append("latency_seconds_count", {}, totals);
  }

  void info() {
    const Pairs target = {{"version", std::string(kVersions[below(2)])},
                          {"region", std::string(kRegions[below(2)])}};
    append("target_info", target, constant(1));
    if (one_in(3)) return;
    const Pairs build = {{"version", std::string(kVersions[below(2)])},
                         {"revision", "r" + std::to_string(below(3))}};
    append("build_info", build, constant(1));
  }

  // ---- native histograms

  void fill_buckets(std::vector<telemetry::BucketSpan>& spans, std::vector<double>& counts,
                    int first) {
    const std::size_t groups = 1 + below(2);
    for (std::size_t group = 0; group < groups; ++group) {
      const auto length = static_cast<std::uint32_t>(1 + below(4));
      spans.push_back({.offset = group == 0 ? first : static_cast<std::int32_t>(1 + below(3)),
                       .length = length});
      for (std::uint32_t i = 0; i < length; ++i) counts.push_back(static_cast<double>(below(5)));
    }
  }

  FloatHistogram exponential_layout() {
    constexpr std::array<double, 4> kZeroThresholds = {1e-128, 0.001, 0.25, 0};
    FloatHistogram h;
    h.schema = static_cast<std::int32_t>(below(5)) - 1;
    h.zero_threshold = kZeroThresholds[below(kZeroThresholds.size())];
    fill_buckets(h.positive_spans, h.positive_counts, static_cast<int>(below(7)) - 3);
    if (one_in(3))
      fill_buckets(h.negative_spans, h.negative_counts, static_cast<int>(below(5)) - 2);
    h.zero_count = static_cast<double>(below(3));
    return h;
  }

  FloatHistogram custom_layout() {
    FloatHistogram h;
    h.schema = telemetry::kCustomBucketsSchema;
    h.custom_values = one_in(3)   ? std::vector<double>{0.5, 1, 2, 5}
                      : one_in(2) ? std::vector<double>{1, 2, 4}
                                  : std::vector<double>{-1, 0, 1, 5};
    const auto length = static_cast<std::uint32_t>(h.custom_values.size() + 1);
    h.positive_spans.push_back({.offset = 0, .length = length});
    for (std::uint32_t i = 0; i < length; ++i)
      h.positive_counts.push_back(static_cast<double>(below(6)));
    return h;
  }

  /// Observes a few more, or (a gauge) a few less.
  void grow(FloatHistogram& h, bool is_gauge) {
    for (std::vector<double>* counts : {&h.positive_counts, &h.negative_counts}) {
      for (double& count : *counts) {
        if (one_in(2)) count += static_cast<double>(below(4));
        if (is_gauge && one_in(3)) count = std::floor(count / 2);
      }
    }
    if (one_in(4) && !h.uses_custom_buckets()) h.zero_count += 1;
    h.sum += (static_cast<double>(below(1000)) - 200) / 33;
    total(h);
  }

  static void total(FloatHistogram& h) {
    h.count = h.zero_count;
    for (const double count : h.positive_counts) h.count += count;
    for (const double count : h.negative_counts) h.count += count;
  }

  std::vector<Sample> native(bool is_custom, bool is_gauge, bool has_floats) {
    std::vector<Sample> samples;
    FloatHistogram h = is_custom ? custom_layout() : exponential_layout();
    total(h);
    const bool has_hints = one_in(3);
    std::size_t floats = has_floats && one_in(2) ? 20 : 0;
    for (const std::int64_t time : times()) {
      grow(h, is_gauge);
      h.hint = is_gauge ? CounterResetHint::Gauge : CounterResetHint::Unknown;
      if (one_in(40)) {
        h = (has_floats ? one_in(2) : is_custom) ? custom_layout() : exponential_layout();
        h.hint = is_gauge    ? CounterResetHint::Gauge
                 : has_hints ? CounterResetHint::Reset
                             : CounterResetHint::Unknown;
        total(h);
      }
      if (has_floats && floats == 0 && one_in(25)) floats = 1 + below(25);
      Sample sample{
          .timestamp_ms = time, .start_timestamp_ms = 0, .value = 0, .histogram = nullptr};
      if (floats > 0) {
        --floats;
        sample.value = static_cast<double>(below(100));
      } else {
        FloatHistogram shown = h;
        if (one_in(60)) {
          shown.sum = std::nan("");
          shown.count += 2;
        }
        sample.histogram = std::make_shared<const FloatHistogram>(std::move(shown));
      }
      samples.push_back(std::move(sample));
    }
    add_start_times(samples);
    return samples;
  }

  void natives() {
    append("duration_native", {}, native(false, false, false));
    if (!one_in(4)) append("size_native", {}, native(true, false, false));
    if (!one_in(4)) append("gauge_native", {}, native(one_in(3), true, false));
    if (!one_in(3)) {
      const bool is_custom = one_in(3);
      const bool is_gauge = one_in(4);
      append("mixed_native", {}, native(is_custom, is_gauge, true));
    }
    // Beside the classic buckets of the same name.
    if (one_in(6)) append(std::string(kBucketMetric), {}, native(false, false, false));
  }

  std::mt19937_64 random_;
  RandomSeriesOptions options_;
  MemorySource& source_;
  std::string job_;
  std::string instance_;
};

}  // namespace

void add_random_series(std::uint64_t seed, const RandomSeriesOptions& options,
                       MemorySource& source) {
  SeriesMaker(seed, options, source).run();
}

}  // namespace gantry::promql::promqltest
