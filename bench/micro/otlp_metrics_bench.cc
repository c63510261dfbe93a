// How long do OTLP and Influx bodies take, per data point? An SDK's export: 20 metrics of 50
// points, 5 attributes each; the same points as line protocol.

#include <string>

#include <benchmark/benchmark.h>

#include "codec/compression.h"
#include "codec/influx.h"
#include "codec/otlp_json.h"
#include "codec/otlp_metrics.h"

namespace gantry::codec {
namespace {

constexpr int kMetrics = 20;
constexpr int kPoints = 50;

std::string attribute(std::string_view key, std::string_view value) {
  return R"({"key":")" + std::string(key) + R"(","value":{"stringValue":")" + std::string(value) +
         R"("}})";
}

std::string json_body() {
  std::string body = R"({"resourceMetrics":[{"resource":{"attributes":[)" +
                     attribute("service.name", "checkout") + "," +
                     attribute("service.instance.id", "pod-1") + "," +
                     attribute("k8s.pod.name", "pod-1") + R"(]},"scopeMetrics":[{"metrics":[)";
  for (int m = 0; m < kMetrics; ++m) {
    if (m > 0) body += ",";
    body +=
        R"({"name":"http.server.requests.)" + std::to_string(m) +
        R"(","unit":"{request}","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[)";
    for (int p = 0; p < kPoints; ++p) {
      if (p > 0) body += ",";
      body +=
          R"({"startTimeUnixNano":"1700000000000000000","timeUnixNano":"1700000060000000000","asInt":")" +
          std::to_string(p * 1000) + R"(","attributes":[)" +
          attribute("http.request.method", "GET") + "," +
          attribute("http.route", "/api/v1/items/" + std::to_string(p)) + "," +
          attribute("http.response.status_code", "200") + "," + attribute("url.scheme", "https") +
          "," + attribute("server.address", "shop.example.net") + "]}";
    }
    body += "]}}";
  }
  body += "]}]}]}";
  body.reserve(body.size() + kBodyPaddingBytes);
  return body;
}

void finish(benchmark::State& state, std::size_t body_bytes) {
  state.SetItemsProcessed(state.iterations() * kMetrics * kPoints);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(body_bytes));
}

void BM_OtlpProtobuf(benchmark::State& state) {
  std::string body;
  if (!otlp_json_to_protobuf(OtlpJsonMessage::MetricsRequest, json_body(), body)) {
    state.SkipWithError("no body");
  }
  OtlpMetricsDecoder decoder;
  const OtlpOptions options;
  for (auto _ : state) {
    if (!decoder.decode_protobuf(body, options)) state.SkipWithError("decode failed");
    benchmark::DoNotOptimize(decoder.batch().samples.data());
  }
  finish(state, body.size());
}

void BM_OtlpJson(benchmark::State& state) {
  const std::string body = json_body();
  OtlpMetricsDecoder decoder;
  const OtlpOptions options;
  for (auto _ : state) {
    if (!decoder.decode_json(body, options)) state.SkipWithError("decode failed");
    benchmark::DoNotOptimize(decoder.batch().samples.data());
  }
  finish(state, body.size());
}

void BM_Influx(benchmark::State& state) {
  std::string body;
  for (int m = 0; m < kMetrics * kPoints; ++m) {
    body += "http_server,method=GET,route=/api/v1/items/" + std::to_string(m) +
            ",status=200,scheme=https,address=shop.example.net requests=" + std::to_string(m) +
            "i 1700000060000000000\n";
  }
  InfluxDecoder decoder;
  for (auto _ : state) {
    if (!decoder.decode(body, {})) state.SkipWithError("decode failed");
    benchmark::DoNotOptimize(decoder.batch().samples.data());
  }
  finish(state, body.size());
}

BENCHMARK(BM_OtlpProtobuf);
BENCHMARK(BM_OtlpJson);
BENCHMARK(BM_Influx);

}  // namespace
}  // namespace gantry::codec

BENCHMARK_MAIN();
