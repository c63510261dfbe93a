// What a value costs in a block: nanoseconds to encode and decode, bytes on disk, by kind of
// series.

#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "metrics/encoding/histogram_block.h"
#include "metrics/encoding/testing/sample_data.h"
#include "metrics/encoding/testing/sample_histograms.h"
#include "metrics/encoding/value_block.h"
#include "storage/encoding/integer_block.h"

namespace gantry::metrics {
namespace {

enum Shape : int {
  kConstant,
  kCounter,
  kDecimalCounter,
  kDecimalGauge,
  kByteGauge,
  kSteps,
  kResets,
  kNoise,
  kShapeCount,
};

std::vector<double> make(int shape, std::size_t count) {
  Random random(1);
  switch (shape) {
    case kConstant:
      return make_constant(count, 1);
    case kCounter:
      return make_counter(random, count, 300);
    case kDecimalCounter:
      return make_decimal_counter(random, count);
    case kDecimalGauge:
      return make_decimal_gauge(random, count);
    case kByteGauge:
      return make_byte_gauge(random, count);
    case kSteps:
      return make_steps(random, count);
    case kResets:
      return make_with_resets(random, count);
    default:
      return make_noise(random, count);
  }
}

const char* label(int shape) {
  constexpr const char* kNames[kShapeCount] = {"constant",      "counter",    "decimal_counter",
                                               "decimal_gauge", "byte_gauge", "steps",
                                               "resets",        "noise"};
  return kNames[shape];
}

void report(benchmark::State& state, std::size_t values, std::size_t bytes) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(values));
  state.counters["bytes/value"] = static_cast<double>(bytes) / static_cast<double>(values);
  state.counters["ns/value"] = benchmark::Counter(
      static_cast<double>(values) * 1e-9,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void encode_value_block(benchmark::State& state) {
  const auto values =
      make(static_cast<int>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  std::vector<std::byte> bytes;
  for (auto _ : state) {
    bytes.clear();
    encode_values(values, bytes);
    benchmark::DoNotOptimize(bytes.data());
  }
  state.SetLabel(label(static_cast<int>(state.range(0))));
  report(state, values.size(), bytes.size());
}

void decode_value_block(benchmark::State& state) {
  const auto values =
      make(static_cast<int>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  std::vector<std::byte> bytes;
  encode_values(values, bytes);
  std::vector<double> decoded(values.size());
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_values(bytes, decoded).has_value());
    benchmark::DoNotOptimize(decoded.data());
  }
  state.SetLabel(label(static_cast<int>(state.range(0))));
  report(state, values.size(), bytes.size());
}

void decode_timestamp_block(benchmark::State& state) {
  Random random(1);
  const auto jitter = static_cast<std::uint64_t>(state.range(0));
  std::vector<std::int64_t> values(1024);
  std::int64_t time = 1'700'000'000'000;
  for (auto& value : values) {
    value = time + static_cast<std::int64_t>(random() % jitter);
    time += 15'000;
  }
  std::vector<std::byte> bytes;
  storage::encode_timestamps(values, bytes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(storage::decode_timestamps(bytes, values).has_value());
    benchmark::DoNotOptimize(values.data());
  }
  report(state, values.size(), bytes.size());
}

void decode_histogram_block(benchmark::State& state) {
  Random random(1);
  const auto histograms = make_latency_histograms(random, 120);
  std::vector<std::byte> bytes;
  encode_histograms(histograms, bytes);
  std::vector<std::shared_ptr<const telemetry::FloatHistogram>> decoded(histograms.size());
  for (auto _ : state) {
    benchmark::DoNotOptimize(decode_float_histograms(bytes, decoded).has_value());
  }
  report(state, histograms.size(), bytes.size());
}

BENCHMARK(encode_value_block)
    ->ArgsProduct({benchmark::CreateDenseRange(0, kShapeCount - 1, 1), {120, 1024}});
BENCHMARK(decode_value_block)
    ->ArgsProduct({benchmark::CreateDenseRange(0, kShapeCount - 1, 1), {120, 1024}});
BENCHMARK(decode_timestamp_block)->Arg(1)->Arg(20);
BENCHMARK(decode_histogram_block);

}  // namespace
}  // namespace gantry::metrics

BENCHMARK_MAIN();
