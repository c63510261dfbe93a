// What a sample costs from a decoded batch to its acknowledgement, what a series costs in memory,
// and how long a selector takes. 100,000 series with 10 labels, 2,000 samples to a request, a real
// directory.

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "core/hash.h"
#include "metrics/store.h"
#include "storage/file.h"
#include "telemetry/metric_batch.h"

namespace gantry::metrics {
namespace {

constexpr std::int64_t kStartMs = 1'795'219'200'000;
constexpr std::int64_t kStepMs = 15'000;
constexpr std::size_t kSeriesPerRequest = 2000;
constexpr std::int64_t kAll = std::int64_t{1} << 60;

/// Node-exporter-like series: 1,000 to a host, the kinds of values of spec'd loads.
class Load final : public telemetry::SeriesResolver {
 public:
  explicit Load(std::size_t series_count) {
    values_.resize(series_count);
    random_.seed(7);
    for (std::size_t first = 0; first < series_count; first += kSeriesPerRequest) {
      telemetry::MetricBatch& batch = batches_.emplace_back();
      for (std::size_t i = first; i < std::min(series_count, first + kSeriesPerRequest); ++i) {
        const std::string key = std::to_string(i);
        batch.series.push_back({.key = core::hash128(key, core::process_hash_seed())});
      }
      batch.resolver = this;
    }
  }

  /// The batches of one scrape interval.
  std::vector<telemetry::MetricBatch>& step(std::int64_t number) {
    std::size_t series = 0;
    for (telemetry::MetricBatch& batch : batches_) {
      first_of_batch_ = series;
      batch.samples.clear();
      for (std::uint32_t i = 0; i < batch.series.size(); ++i, ++series) {
        batch.samples.push_back({.series = i,
                                 .timestamp_ms = kStartMs + number * kStepMs,
                                 .value = next_value(series)});
      }
    }
    return batches_;
  }

  Result<void> append_step(Store& store, std::int64_t number) {
    std::size_t first = 0;
    for (telemetry::MetricBatch& batch : step(number)) {
      first_of_batch_ = first;
      GANTRY_TRY(const auto result, store.append(batch, {}));
      if (result.samples_written != batch.samples.size()) {
        return fail(Code::Internal, result.rejections.at(0).message);
      }
      first += batch.series.size();
    }
    return {};
  }

  Result<void> resolve(std::uint32_t series, core::Arena& arena,
                       std::vector<telemetry::LabelView>& labels) const override {
    const std::size_t number = first_of_batch_ + series;
    const auto add = [&](std::string_view name, const std::string& value) {
      labels.push_back({.name = name, .value = arena.copy(value)});
    };
    const std::size_t of_host = number % 1000;
    add("__name__", fmt::format("node_metric_{}_total", of_host / 20));
    add("cluster", "production-eu-west-1");
    add("cpu", std::to_string(of_host % 20));
    add("device", fmt::format("nvme{}n1", of_host % 4));
    add("env", "production");
    add("instance", fmt::format("10.1.{}.{}:9100", number / 256'000, number / 1000 % 256));
    add("job", "node-exporter");
    add("mode", of_host % 2 == 0 ? "user" : "system");
    add("region", "eu-west-1");
    add("team", fmt::format("team-{}", number / 1000 % 7));
    return {};
  }

 private:
  double next_value(std::size_t series) {
    // In hundredths, so that the values are the decimals that a program would print.
    std::int64_t& value = values_[series];
    switch (series % 20) {
      case 0:
      case 1:
        value += static_cast<std::int64_t>(random_() % 1500);  // CPU seconds
        break;
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        value += static_cast<std::int64_t>(random_() % 300) * 100;  // counters
        break;
      case 10:
      case 11:
      case 12:
      case 13:
      case 14:
        value += static_cast<std::int64_t>(random_() % 200) - 100;  // gauges
        break;
      default:
        break;  // constant
    }
    return static_cast<double>(value) / 100;
  }

  std::minstd_rand random_;
  std::vector<std::int64_t> values_;
  std::vector<telemetry::MetricBatch> batches_;
  std::size_t first_of_batch_ = 0;
};

/// A store in a directory of its own, removed at the end.
class BenchStore {
 public:
  BenchStore() {
    const char* const base = std::getenv("TMPDIR");
    std::string name = std::string(base != nullptr ? base : "/tmp") + "/gantry-store-bench-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    open();
  }

  ~BenchStore() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  BenchStore(const BenchStore&) = delete;
  BenchStore& operator=(const BenchStore&) = delete;

  void open() {
    store_.reset();
    StoreOptions options;
    options.wal_bytes_max = std::uint64_t{8} << 30;
    // What a sample costs the processor, not what this disk's sync takes.
    options.durability = Durability::Written;
    auto opened =
        Store::open(directory_, options, {.files = files_, .clock = clock_, .registry = registry_});
    if (!opened) std::abort();
    store_ = *std::move(opened);
  }

  Store& operator*() { return *store_; }

  Store* operator->() { return store_.get(); }

  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

  core::MetricRegistry& registry() { return registry_; }

 private:
  std::filesystem::path directory_;
  storage::PosixFileSystem files_;
  ManualClock clock_{TimestampMs{kStartMs + 12 * 3'600'000}};
  core::MetricRegistry registry_;
  std::unique_ptr<Store> store_;
};

std::uint64_t bytes_below(const std::filesystem::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

void report_head(benchmark::State& state, BenchStore& store, double series_count) {
  // The gauges are refreshed once a second.
  double total = 0;
  for (int wait = 0; wait < 40 && total == 0; ++wait) {
    for (const core::CollectedFamily& family : store.registry().collect()) {
      if (family.name != "gantry_metrics_head_bytes") continue;
      for (const core::CollectedSample& sample : family.samples) {
        total += sample.value;
        state.counters[sample.labels.at(0).second + "_B"] = sample.value / series_count;
      }
    }
  }
  state.counters["head_B/series"] = total / series_count;
}

void append_known_series(benchmark::State& state) {
  const auto series_count = static_cast<std::size_t>(state.range(0));
  Load load(series_count);
  BenchStore store;
  std::int64_t step = 0;
  if (!load.append_step(*store, step++)) std::abort();
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<telemetry::MetricBatch>& batches = load.step(step++);
    state.ResumeTiming();
    for (const telemetry::MetricBatch& batch : batches) {
      auto result = store->append(batch, {});
      if (!result || result->samples_rejected > 0) std::abort();
    }
  }
  const auto samples = static_cast<double>(state.iterations()) * static_cast<double>(series_count);
  state.counters["ns/sample"] =
      benchmark::Counter(samples * 1e-9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  struct timespec pause = {.tv_sec = 1, .tv_nsec = 200'000'000};
  ::nanosleep(&pause, nullptr);
  report_head(state, store, static_cast<double>(series_count));
}

BENCHMARK(append_known_series)
    ->Arg(100'000)
    ->Iterations(40)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime();

void append_new_series(benchmark::State& state) {
  Load load(100'000);
  for (auto _ : state) {
    state.PauseTiming();
    auto store = std::make_unique<BenchStore>();
    state.ResumeTiming();
    if (!load.append_step(**store, 0)) std::abort();
    state.PauseTiming();
    store.reset();
    state.ResumeTiming();
  }
  state.counters["us/series"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * 0.1,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(append_new_series)->Iterations(3)->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();

void flush_and_replay(benchmark::State& state) {
  Load load(100'000);
  BenchStore store;
  for (std::int64_t step = 0; step < 40; ++step) {
    if (!load.append_step(*store, step)) std::abort();
  }
  for (auto _ : state) {
    const std::int64_t started = monotonic_ns();
    store.open();
    const std::int64_t opened = monotonic_ns();
    if (!store->flush()) std::abort();
    state.counters["replay_ns/sample"] = static_cast<double>(opened - started) / 4e6;
    state.counters["flush_ns/sample"] = static_cast<double>(monotonic_ns() - opened) / 4e6;
    state.counters["part_B/sample"] =
        static_cast<double>(bytes_below(store.directory() / "partitions")) / 4e6;
  }
}

BENCHMARK(flush_and_replay)->Iterations(1)->Unit(benchmark::kMillisecond);

enum Where : std::int64_t { kHead, kPart, kBoth };

void fill(Load& load, BenchStore& store, std::int64_t where) {
  for (std::int64_t step = 0; step < 240; ++step) {
    if (!load.append_step(*store, step)) std::abort();
    if (where == kBoth && step == 200 && !store->flush()) std::abort();
  }
  if (where == kPart && !store->flush()) std::abort();
}

std::vector<promql::Matcher> one_metric_in_fifty() {
  return {*promql::Matcher::make(promql::MatchOp::Equal, "__name__", "node_metric_7_total")};
}

void select_all(benchmark::State& state) {
  Load load(100'000);
  BenchStore store;
  fill(load, store, state.range(0));
  const std::vector<promql::Matcher> matchers = {
      *promql::Matcher::make(promql::MatchOp::Equal, "job", "node-exporter")};
  const std::int64_t end_ms = kStartMs + 239 * kStepMs;
  for (auto _ : state) {
    const auto set = store->source().select(
        {.matchers = matchers, .start_ms = end_ms - 300'000, .end_ms = end_ms}, CancelToken());
    if (!set || (*set)->size() != 100'000) std::abort();
  }
}

BENCHMARK(select_all)->Arg(kHead)->Arg(kPart)->Arg(kBoth)->Unit(benchmark::kMillisecond);

void read_hour(benchmark::State& state) {
  Load load(100'000);
  BenchStore store;
  fill(load, store, state.range(0));
  const std::vector<promql::Matcher> matchers = one_metric_in_fifty();
  promql::SampleColumns columns;
  std::size_t samples = 0;
  for (auto _ : state) {
    const auto set = store->source().select(
        {.matchers = matchers, .start_ms = kStartMs, .end_ms = kAll}, CancelToken());
    if (!set) std::abort();
    for (std::size_t i = 0; i < (*set)->size(); ++i) {
      if (!(*set)->read(i, kStartMs, kAll, columns)) std::abort();
      samples += columns.values.size();
    }
  }
  state.counters["ns/sample"] =
      benchmark::Counter(static_cast<double>(samples) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(read_hour)->Arg(kHead)->Arg(kPart)->Arg(kBoth)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gantry::metrics

BENCHMARK_MAIN();
