// How long dashboards' queries take in the engine alone: 10,000 series of a node-exporter-like
// shape, 15 s apart, from memory. The argument of each benchmark is the number of worker threads
// beside the caller.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/cancel.h"
#include "core/worker_pool.h"
#include "promql/engine.h"
#include "promql/series_source.h"

namespace gantry::promql {
namespace {

constexpr std::int64_t kIntervalMs = 15'000;
constexpr std::size_t kSamples = 300;

/// Counters `requests_total{instance,job,path,le}`: 10 jobs, 100 instances, 10 buckets, 10 paths.
/// The series of one instance are scraped together.
class FakeSource final : public SeriesSource {
 public:
  struct Series {
    std::vector<LabelSymbols> labels;
    std::vector<std::int64_t> timestamps_ms;
    std::vector<double> values;
  };

  explicit FakeSource(std::size_t series_count) {
    constexpr std::array<std::string_view, 10> kBounds = {"0.005", "0.01", "0.05", "0.1", "0.5",
                                                          "1",     "2.5",  "5",    "10",  "+Inf"};
    for (std::size_t i = 0; i < series_count; ++i) {
      Series series;
      const std::size_t instance = i / 100 % 100;
      const std::size_t bucket = i % 10;
      add(series, "__name__", "requests_bucket");
      add(series, "instance", "host-" + std::to_string(instance) + ":9100");
      add(series, "job", "job-" + std::to_string(instance % 10));
      add(series, "le", std::string(kBounds[bucket]));
      add(series, "path", "/api/" + std::to_string(i / 10 % 10 + (i / 10'000 * 10)));
      double value = 0;
      for (std::size_t k = 0; k < kSamples; ++k) {
        series.timestamps_ms.push_back((static_cast<std::int64_t>(k) * kIntervalMs) +
                                       static_cast<std::int64_t>(instance * 137));
        value += static_cast<double>(((i + 1) * (k + 7) * 2654435761U % 5) * (bucket + 1));
        if (k % 190 == 189 && i % 50 == 0) value = 0;
        series.values.push_back(value);
      }
      series_.push_back(std::move(series));
    }
  }

  [[nodiscard]] const std::vector<Series>& series() const { return series_; }

  [[nodiscard]] std::string_view symbol(std::uint32_t id) const { return symbols_[id]; }

  Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request,
                                            const CancelToken& cancel) const override;

  Result<LabelStrings> label_names(std::span<const Matcher>, std::int64_t, std::int64_t,
                                   std::size_t, const CancelToken&) const override {
    return LabelStrings{};
  }

  Result<LabelStrings> label_values(std::string_view, std::span<const Matcher>, std::int64_t,
                                    std::int64_t, std::size_t, const CancelToken&) const override {
    return LabelStrings{};
  }

  Result<std::vector<ExemplarSeries>> exemplars(std::span<const std::vector<Matcher>>, std::int64_t,
                                                std::int64_t, const CancelToken&) const override {
    return std::vector<ExemplarSeries>{};
  }

 private:
  void add(Series& series, const std::string& name, const std::string& value) {
    series.labels.push_back({.name = intern(name), .value = intern(value)});
  }

  std::uint32_t intern(const std::string& text) {
    const auto [place, is_new] = index_.emplace(text, static_cast<std::uint32_t>(symbols_.size()));
    if (is_new) symbols_.push_back(text);
    return place->second;
  }

  std::vector<Series> series_;
  std::vector<std::string> symbols_;
  std::unordered_map<std::string, std::uint32_t> index_;
};

class FakeSet final : public SeriesSet {
 public:
  explicit FakeSet(const FakeSource& source) : source_(source) {}

  [[nodiscard]] std::size_t size() const override { return source_.series().size(); }

  [[nodiscard]] std::span<const LabelSymbols> labels(std::size_t series) const override {
    return source_.series()[series].labels;
  }

  [[nodiscard]] std::string_view symbol(std::uint32_t id) const override {
    return source_.symbol(id);
  }

  Result<void> read(std::size_t series, std::int64_t, std::int64_t,
                    SampleColumns& out) const override {
    const FakeSource::Series& from = source_.series()[series];
    out.clear();
    out.timestamps_ms = from.timestamps_ms;
    out.values = from.values;
    return {};
  }

 private:
  const FakeSource& source_;
};

Result<std::unique_ptr<SeriesSet>> FakeSource::select(const SelectRequest&,
                                                      const CancelToken&) const {
  return std::make_unique<FakeSet>(*this);
}

const FakeSource& source() {
  static const FakeSource instance(10'000);
  return instance;
}

void run_range(benchmark::State& state, std::string_view query) {
  const auto threads = static_cast<std::size_t>(state.range(0));
  std::unique_ptr<core::WorkerPool> pool;
  if (threads > 0)
    pool = std::make_unique<core::WorkerPool>(core::WorkerPool::Options{.thread_count = threads});
  const Engine engine({.workers = pool.get()});
  const RangeRequest request{.query = query,
                             .start_ms = 300'000,
                             .end_ms = static_cast<std::int64_t>(kSamples) * kIntervalMs,
                             .step_ms = kIntervalMs,
                             .lookback_ms = {}};
  std::uint64_t samples = 0;
  for (auto _ : state) {
    const Result<Answer> answer = engine.range(request, source(), CancelToken());
    if (!answer) {
      state.SkipWithError(answer.error().message.c_str());
      return;
    }
    samples += answer->statistics.samples_read;
    benchmark::DoNotOptimize(answer->value);
  }
  state.counters["samples/s"] =
      benchmark::Counter(static_cast<double>(samples), benchmark::Counter::kIsRate);
}

void run_instant(benchmark::State& state, std::string_view query) {
  const auto threads = static_cast<std::size_t>(state.range(0));
  std::unique_ptr<core::WorkerPool> pool;
  if (threads > 0)
    pool = std::make_unique<core::WorkerPool>(core::WorkerPool::Options{.thread_count = threads});
  const Engine engine({.workers = pool.get()});
  const InstantRequest request{.query = query,
                               .time_ms = static_cast<std::int64_t>(kSamples) * kIntervalMs,
                               .lookback_ms = {}};
  for (auto _ : state) {
    const Result<Answer> answer = engine.instant(request, source(), CancelToken());
    if (!answer) {
      state.SkipWithError(answer.error().message.c_str());
      return;
    }
    benchmark::DoNotOptimize(answer->value);
  }
}

#define GANTRY_RANGE(name, query) \
  BENCHMARK_CAPTURE(run_range, name, query)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)
#define GANTRY_INSTANT(name, query) \
  BENCHMARK_CAPTURE(run_instant, name, query)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond)

GANTRY_RANGE(sum_rate, "sum(rate(requests_bucket[5m]))");
GANTRY_RANGE(sum_by_instance_rate, "sum by (instance) (rate(requests_bucket[5m]))");
GANTRY_RANGE(quantile, "histogram_quantile(0.9, sum by (le, job) (rate(requests_bucket[5m])))");
GANTRY_RANGE(max_over_time, "max by (job) (max_over_time(requests_bucket[5m]))");
GANTRY_RANGE(count_selector, "count(requests_bucket)");
GANTRY_RANGE(sum_selector, "sum by (job) (requests_bucket)");
GANTRY_RANGE(topk, "topk(5, rate(requests_bucket[5m]))");
GANTRY_RANGE(ratio, "sum by (job) (rate(requests_bucket[5m])) / sum by (job) (requests_bucket)");
GANTRY_RANGE(join, "requests_bucket * on (instance, path, le) requests_bucket");
GANTRY_RANGE(whole_rate, "rate(requests_bucket[5m])");
GANTRY_INSTANT(instant_count, "count by (job) (requests_bucket)");
GANTRY_INSTANT(instant_rate, "sum by (job) (rate(requests_bucket[5m]))");
GANTRY_INSTANT(instant_all, "requests_bucket");

}  // namespace
}  // namespace gantry::promql

BENCHMARK_MAIN();
