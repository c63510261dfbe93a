// What a part of node-exporter-like series takes on disk, and what a sample costs to write, merge
// and read back through the cache.

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "metrics/encoding/testing/sample_data.h"
#include "metrics/part/part_merge.h"
#include "metrics/part/part_reader.h"
#include "metrics/part/part_writer.h"
#include "storage/faulty_file_system.h"
#include "telemetry/labels.h"

namespace gantry::metrics {
namespace {

constexpr std::size_t kHosts = 20;
constexpr std::size_t kSeriesPerHost = 500;
constexpr std::int64_t kStart = 1'700'006'400'000;  // a midnight
constexpr std::int64_t kStep = 15'000;
constexpr std::size_t kSamples = 480;

/// Of 20 series: 2 CPU seconds, 8 integer counters, 5 gauges, 5 constants.
std::vector<double> make_values(Random& random, std::size_t kind, std::size_t count) {
  switch (kind % 20) {
    case 0:
    case 1:
      return make_decimal_counter(random, count);
    case 10:
    case 11:
      return make_decimal_gauge(random, count);
    case 12:
      return make_byte_gauge(random, count);
    case 13:
    case 14:
      return make_steps(random, count);
    case 15:
    case 16:
    case 17:
    case 18:
    case 19:
      return make_constant(count, static_cast<double>(kind));
    default:
      return make_counter(random, count, 300);
  }
}

/// Labels of series `i` in label order: metric, then host.
std::vector<std::string> make_texts(std::size_t i) {
  const std::string metric = std::to_string(1'000 + i / kHosts);
  return {"node_metric_" + metric.substr(0, 3), "cpu" + metric.substr(3),
          "host-" + std::to_string(100 + i % kHosts) + ".example.com:9100"};
}

/// Two hours of every series.
const std::vector<std::vector<double>>& columns() {
  static const std::vector<std::vector<double>> made = [] {
    Random random(1);
    std::vector<std::vector<double>> all;
    for (std::size_t i = 0; i < kHosts * kSeriesPerHost; ++i) {
      all.push_back(make_values(random, i / kHosts, kSamples));
    }
    return all;
  }();
  return made;
}

PartSummary write(storage::FileSystem& files, const storage::Path& directory, std::size_t first,
                  std::size_t count) {
  static_cast<void>(files.create_directories(directory));
  auto writer = *PartWriter::create(files, directory, {});
  std::vector<std::int64_t> times(count);
  for (std::size_t i = 0; i < kHosts * kSeriesPerHost; ++i) {
    const auto texts = make_texts(i);
    const std::vector<telemetry::LabelView> labels = {
        {"__name__", texts[0]}, {"cpu", texts[1]}, {"instance", texts[2]}, {"job", "node"}};
    static_cast<void>(writer->begin_series(labels));
    const auto host_ms = static_cast<std::int64_t>(i % kHosts) * 700;
    for (std::size_t n = 0; n < count; ++n) {
      times[n] = kStart + host_ms + static_cast<std::int64_t>(first + n) * kStep;
    }
    const auto values = std::span<const double>(columns()[i]).subspan(first, count);
    static_cast<void>(writer->add_floats(times, values, {}));
  }
  return *writer->finish();
}

void report(benchmark::State& state, const PartSummary& summary) {
  const auto samples = static_cast<double>(summary.sample_count);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(summary.sample_count));
  state.counters["bytes/sample"] =
      static_cast<double>(summary.data_bytes + summary.index_bytes) / samples;
  state.counters["index_bytes/series"] =
      static_cast<double>(summary.index_bytes) / static_cast<double>(summary.series_count);
  state.counters["ns/sample"] = benchmark::Counter(
      samples * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void write_flush(benchmark::State& state) {
  columns();
  PartSummary summary;
  storage::FaultyFileSystem files;
  for (auto _ : state) {
    summary = write(files, "/part", 0, static_cast<std::size_t>(state.range(0)));
    static_cast<void>(files.remove_all("/part"));
  }
  report(state, summary);
}

/// Twelve flushes of ten minutes into one part of two hours.
void merge_flushes(benchmark::State& state) {
  storage::FaultyFileSystem files;
  FrameCache cache(64 << 20);
  std::vector<std::unique_ptr<PartReader>> parts;
  std::vector<const PartReader*> inputs;
  for (std::size_t i = 0; i < kSamples / 40; ++i) {
    const storage::Path directory = "/part" + std::to_string(i);
    write(files, directory, i * 40, 40);
    parts.push_back(*PartReader::open(files, directory, cache));
    inputs.push_back(parts.back().get());
  }
  PartSummary summary;
  int count = 0;
  for (auto _ : state) {
    const storage::Path directory = "/merged" + std::to_string(count++);
    static_cast<void>(files.create_directories(directory));
    auto writer = *PartWriter::create(files, directory, {.level = 1});
    static_cast<void>(merge_parts(inputs, {}, *writer));
    summary = *writer->finish();
    static_cast<void>(files.remove_all(directory));
  }
  report(state, summary);
}

void read_series(benchmark::State& state) {
  storage::FaultyFileSystem files;
  FrameCache cache(256 << 20);
  const PartSummary summary = write(files, "/part", 0, kSamples);
  const auto part = *PartReader::open(files, "/part", cache);
  PartReader::Scratch scratch;
  promql::SampleColumns out;
  for (auto _ : state) {
    for (std::uint32_t i = 0; i < summary.series_count; ++i) {
      out.timestamps_ms.clear();
      out.values.clear();
      static_cast<void>(
          part->read(i, kStart, std::numeric_limits<std::int64_t>::max(), scratch, out));
      benchmark::DoNotOptimize(out.values.data());
    }
  }
  report(state, summary);
}

void list_series(benchmark::State& state) {
  storage::FaultyFileSystem files;
  FrameCache cache(64 << 20);
  const PartSummary summary = write(files, "/part", 0, 2);
  const auto part = *PartReader::open(files, "/part", cache);
  for (auto _ : state) {
    const auto cursor = *part->series();
    while (cursor->next().value_or(false)) benchmark::DoNotOptimize(cursor->labels().data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(summary.series_count));
}

BENCHMARK(write_flush)->Arg(40)->Arg(kSamples)->Unit(benchmark::kMillisecond);
BENCHMARK(merge_flushes)->Unit(benchmark::kMillisecond);
BENCHMARK(read_series)->Unit(benchmark::kMillisecond);
BENCHMARK(list_series)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace gantry::metrics

BENCHMARK_MAIN();
