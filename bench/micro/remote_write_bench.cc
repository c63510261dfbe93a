// How long does it take to decode a remote write body into columns, per sample? The body is what a
// Prometheus that scrapes node_exporter-like targets sends: 2000 series of 8 labels, one sample
// each.

#include <string>

#include <benchmark/benchmark.h>

#include "codec/compression.h"
#include "codec/remote_write.h"
#include "codec/remote_write_encoder.h"

namespace gantry::codec {
namespace {

constexpr int kSeries = 2000;

WriteRequest typical_request() {
  WriteRequest request;
  for (int i = 0; i < kSeries; ++i) {
    const std::string host = "host-" + std::to_string(i / 200) + ".example.net:9100";
    WriteSeries series;
    series.labels = {{"__name__", "node_network_receive_bytes_total"},
                     {"cluster", "eu-west-1"},
                     {"device", "eth" + std::to_string(i % 200)},
                     {"env", "production"},
                     {"instance", host},
                     {"job", "node"},
                     {"region", "eu"},
                     {"team", "platform"}};
    series.samples = {{.timestamp_ms = 1'700'000'000'000 + i, .value = 1.5e9 + i}};
    series.metadata = {.type = telemetry::MetricType::Counter, .help = "Bytes received."};
    request.series.push_back(std::move(series));
  }
  return request;
}

void decode(benchmark::State& state, RemoteWriteVersion version) {
  std::string body;
  encode_remote_write(version, typical_request(), body);
  RemoteWriteDecoder decoder;
  for (auto _ : state) {
    if (!decoder.decode(version, body)) state.SkipWithError("decode failed");
    benchmark::DoNotOptimize(decoder.batch().samples.data());
  }
  state.SetItemsProcessed(state.iterations() * kSeries);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
  state.counters["ns/sample"] = benchmark::Counter(
      static_cast<double>(kSeries) * 1e-9,
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void BM_DecodeV1(benchmark::State& state) {
  decode(state, RemoteWriteVersion::V1);
}

void BM_DecodeV2(benchmark::State& state) {
  decode(state, RemoteWriteVersion::V2);
}

/// What comes before decoding.
void BM_Snappy(benchmark::State& state) {
  std::string body;
  encode_remote_write(RemoteWriteVersion::V1, typical_request(), body);
  std::string sent;
  if (!compress(Encoding::SnappyBlock, body, sent)) state.SkipWithError("compress failed");
  std::string out;
  for (auto _ : state) {
    if (!decompress(Encoding::SnappyBlock, sent, {}, out)) state.SkipWithError("decompress failed");
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * kSeries);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body.size()));
}

BENCHMARK(BM_DecodeV1);
BENCHMARK(BM_DecodeV2);
BENCHMARK(BM_Snappy);

}  // namespace
}  // namespace gantry::codec

BENCHMARK_MAIN();
