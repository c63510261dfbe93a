// Queries of many native histograms: that they keep to their limits, and that workers change no
// bit. What they answer is in tests/promql/histogram_*.test.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/worker_pool.h"
#include "promql/engine.h"
#include "promql/histogram/size.h"
#include "promql/testing/forwarding_source.h"
#include "promql/testing/memory_source.h"
#include "telemetry/labels.h"

namespace gantry::promql {
namespace {

using promqltest::ForwardingSet;
using promqltest::ForwardingSource;
using promqltest::MemorySource;
using promqltest::Sample;
using telemetry::FloatHistogram;

constexpr std::int64_t kMinuteMs = 60'000;

/// Counts the series that are read from another source.
class CountingSource final : public ForwardingSource {
 public:
  using ForwardingSource::ForwardingSource;

  [[nodiscard]] std::size_t take_reads() const { return reads_.exchange(0); }

  Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request,
                                            const CancelToken& cancel) const override {
    GANTRY_TRY(std::unique_ptr<SeriesSet> set, ForwardingSource::select(request, cancel));
    return std::make_unique<Set>(std::move(set), reads_);
  }

 private:
  class Set final : public ForwardingSet {
   public:
    Set(std::unique_ptr<SeriesSet> set, std::atomic<std::size_t>& reads)
        : ForwardingSet(std::move(set)), reads_(reads) {}

    Result<void> read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                      SampleColumns& out) const override {
      ++reads_;
      return ForwardingSet::read(series, start_ms, end_ms, out);
    }

   private:
    std::atomic<std::size_t>& reads_;
  };

  mutable std::atomic<std::size_t> reads_{0};
};

constexpr int kSeries = 300;  // More than two batches.
constexpr int kSteps = 50;
constexpr std::size_t kBuckets = 100;

/// Deterministic and with many digits: sums depend on the order of their terms.
double awkward(int a, int b, std::size_t c) {
  const auto x = static_cast<double>((a * 7919) + (b * 104'729) + (static_cast<int>(c) * 1299));
  return 1 + (x / 3.0);
}

FloatHistogram make_histogram(int series, int step) {
  FloatHistogram histogram;
  histogram.hint = telemetry::CounterResetHint::Gauge;
  histogram.positive_spans = {{.offset = 0, .length = kBuckets}};
  for (std::size_t i = 0; i < kBuckets; ++i) {
    histogram.positive_counts.push_back(awkward(series, step, i));
    histogram.count += histogram.positive_counts.back();
  }
  histogram.sum = awkward(series, step, 1000);
  return histogram;
}

class HistogramQueryTest : public testing::Test {
 protected:
  HistogramQueryTest() {
    for (int series = 0; series < kSeries; ++series) {
      std::vector<Sample> samples;
      for (int step = 0; step < kSteps; ++step) {
        samples.push_back(
            {.timestamp_ms = step * kMinuteMs,
             .start_timestamp_ms = 0,
             .value = 0,
             .histogram = std::make_shared<const FloatHistogram>(make_histogram(series, step))});
      }
      memory_.append(telemetry::make_labels({{"__name__", "h"},
                                             {"n", fmt::format("{:03}", series)},
                                             {"g", fmt::format("{}", series % 3)}}),
                     samples);
    }
  }

  Result<Answer> range(std::string_view query, const EngineOptions& options) const {
    return Engine(options).range({.query = query,
                                  .start_ms = 0,
                                  .end_ms = (kSteps - 1) * kMinuteMs,
                                  .step_ms = kMinuteMs,
                                  .lookback_ms = {},
                                  .samples_max = {}},
                                 source_, CancelToken());
  }

  static EngineOptions with_bytes(std::uint64_t bytes, core::WorkerPool* workers = nullptr) {
    EngineOptions options;
    options.parser.experimental_functions = true;
    options.parser.extended_range_selectors = true;
    options.workers = workers;
    options.memory_bytes_max = bytes;
    return options;
  }

  MemorySource memory_;
  CountingSource source_{memory_};
};

std::uint64_t all_bytes() {
  return std::uint64_t{kSeries} * kSteps * histogram::size_bytes(make_histogram(0, 0));
}

TEST_F(HistogramQueryTest, StopsAtTheMemoryLimit) {
  core::WorkerPool pool({.thread_count = 3});
  const std::uint64_t limit = all_bytes() / 4;
  for (core::WorkerPool* const workers : {static_cast<core::WorkerPool*>(nullptr), &pool}) {
    for (const std::string_view query :
         {"h", "h * 2", "-h", "sum by (n) (h)", "avg by (n) (h)", "topk(1, h)", "h or h",
          "count_values('v', h)", "label_replace(h, 'a', 'b', 'n', '.*')", "last_over_time(h[5m])",
          "sort_by_label(h, 'n')", "limitk(1000, h)", "h smoothed", "rate(h[5m] anchored)",
          "increase(h[5m] smoothed)", "delta(h[5m] anchored)"}) {
      const Result<Answer> answer = range(query, with_bytes(limit, workers));
      ASSERT_FALSE(answer) << query;
      EXPECT_EQ(answer.error().code, Code::ResourceExhausted) << query;
      EXPECT_TRUE(answer.error().message.contains("query.memory_bytes_max"))
          << query << ": " << answer.error().message;
      // It stops while it reads, not after it has read everything.
      EXPECT_LT(source_.take_reads(), kSeries / 2U) << query;
    }
  }
}

TEST_F(HistogramQueryTest, OperationsOnWhatIsThereStopToo) {
  // The operand fits, but not a second one of its size.
  const std::uint64_t limit = all_bytes() + (all_bytes() / 2);
  EXPECT_TRUE(range("h", with_bytes(limit)));
  for (const std::string_view query : {"h + h", "h * 2 * on (n, g) (h == h)"}) {
    const Result<Answer> answer = range(query, with_bytes(limit));
    ASSERT_FALSE(answer) << query;
    EXPECT_EQ(answer.error().code, Code::ResourceExhausted) << query;
  }
}

TEST_F(HistogramQueryTest, FoldsInLittleMemory) {
  core::WorkerPool pool({.thread_count = 3});
  for (core::WorkerPool* const workers : {static_cast<core::WorkerPool*>(nullptr), &pool}) {
    for (const std::string_view query : {"sum(h)", "avg by (g) (h)", "count(h)", "max(h)",
                                         "sum(h * 2)", "sum(last_over_time(h[1m]))"}) {
      const Result<Answer> answer = range(query, with_bytes(all_bytes() / 2, workers));
      EXPECT_TRUE(answer) << query << ": " << answer.error().message;
    }
  }
}

TEST_F(HistogramQueryTest, CountsHistogramsBySize) {
  const std::uint64_t of_one = histogram::count_samples(make_histogram(0, 0));
  EXPECT_EQ(of_one, (168 + 8 + (kBuckets * 8) + 8) / 16);
  const auto ask = [&](std::string_view query, std::uint64_t samples_max) {
    return Engine({}).instant(
        {.query = query, .time_ms = 0, .lookback_ms = {}, .samples_max = samples_max}, source_,
        CancelToken());
  };
  for (const std::string_view query : {"h", "h[1m]"}) {
    const Result<Answer> answer = ask(query, kSeries * of_one);
    ASSERT_TRUE(answer) << query;
    EXPECT_EQ(answer->statistics.samples_total, kSeries * of_one) << query;
    EXPECT_EQ(answer->statistics.samples_read, kSeries * of_one) << query;
    EXPECT_EQ(answer->statistics.samples_peak, kSeries * of_one) << query;
    const Result<Answer> refused = ask(query, (kSeries * of_one) - 1);
    ASSERT_FALSE(refused) << query;
    EXPECT_EQ(refused.error().message,
              "query processing would load too many samples into memory in query execution");
  }
  const Result<Answer> counted = ask("count_over_time(h[1m])", kSeries * of_one);
  ASSERT_TRUE(counted);
  EXPECT_EQ(counted->statistics.samples_total, kSeries * of_one);
}

bool is_same(const Result<Answer>& a, const Result<Answer>& b) {
  if (!a || !b) return false;
  const auto& left = std::get<std::vector<ResultSeries>>(a->value);
  const auto& right = std::get<std::vector<ResultSeries>>(b->value);
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].labels != right[i].labels) return false;
    if (left[i].histograms.size() != right[i].histograms.size()) return false;
    for (std::size_t k = 0; k < left[i].histograms.size(); ++k) {
      if (!telemetry::is_identical(*left[i].histograms[k].histogram,
                                   *right[i].histograms[k].histogram)) {
        return false;
      }
    }
  }
  return a->annotations.infos == b->annotations.infos &&
         a->annotations.warnings == b->annotations.warnings;
}

TEST_F(HistogramQueryTest, AnswersDoNotDependOnWorkers) {
  core::WorkerPool pool({.thread_count = 3});
  constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30;
  for (const std::string_view query :
       {"sum(h)", "avg(h)", "sum by (g) (h)", "avg by (g) (h / 3)", "h * 0.1", "-h", "h + h / 7",
        "sum(h) + avg(h)", "sum(h </ 7)", "h </ 1 </ h"}) {
    const Result<Answer> alone = range(query, with_bytes(kPlenty));
    ASSERT_TRUE(alone) << query << ": " << alone.error().message;
    EXPECT_TRUE(is_same(alone, range(query, with_bytes(kPlenty, &pool)))) << query;
    EXPECT_TRUE(is_same(alone, range(query, with_bytes(kPlenty, &pool)))) << query;
  }
}

}  // namespace
}  // namespace gantry::promql
