#include "broadcast/test_connection.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "broadcast/export_body.h"
#include "codec/otlp_metrics_encoder.h"
#include "codec/otlp_traces_encoder.h"
#include "codec/otlp_traces_json_encoder.h"
#include "codec/remote_write.h"
#include "codec/remote_write_encoder.h"
#include "telemetry/span_batch.h"

namespace gantry::broadcast {
namespace {

constexpr std::uint64_t kNanosecondsPerMs = 1'000'000;
constexpr std::string_view kTestMetric = "gantry_connection_test";

std::string encode(Encoding encoding, const telemetry::SpanBatch& batch) {
  if (encoding == Encoding::Protobuf) return codec::encode_otlp_traces(batch);
  std::string body;
  codec::append_otlp_traces_json(batch, body);
  return body;
}

/// A span that receivers know by its name and its ids.
void add_test_span(telemetry::SpanBatch& batch, std::string_view service_name, TimestampMs now) {
  using telemetry::AttributeValue;
  const std::string_view service = batch.arena.copy(service_name);
  batch.attributes.push_back(
      {.key = "service.name", .value = {.kind = AttributeValue::Kind::String, .text = service}});
  batch.resources.push_back({.attributes = {.begin = 0, .count = 1}});
  batch.scopes.push_back({.name = service});
  telemetry::BatchSpan span{
      .span_id = 1, .kind = telemetry::SpanKind::Internal, .status = telemetry::SpanStatus::Ok};
  span.trace_id.bytes.back() = 1;
  span.name = batch.arena.copy(std::string(service_name).append("-connection-test"));
  span.end_ns = static_cast<std::uint64_t>(now.since_epoch) * kNanosecondsPerMs;
  span.start_ns = span.end_ns - kNanosecondsPerMs;
  batch.spans.push_back(span);
}

codec::WriteRequest test_request(std::string_view service_name, TimestampMs now) {
  codec::WriteSeries series{
      .labels = {{"__name__", std::string(kTestMetric)}, {"service", std::string(service_name)}},
      .samples = {{.timestamp_ms = now.since_epoch, .value = 1}}};
  series.metadata.type = telemetry::MetricType::Gauge;
  return {.series = {std::move(series)}, .metadata = {}};
}

/// As a delivery would make it of what is queued.
std::string test_metrics(const Destination& destination, const codec::WriteRequest& request) {
  std::string message;
  codec::encode_remote_write(codec::RemoteWriteVersion::V1, request, message);
  codec::RemoteWriteDecoder decoder;
  std::string body;
  if (!decoder.decode(codec::RemoteWriteVersion::V1, message)) return body;
  codec::OtlpMetricsEncoder encoder(otlp_names(destination.type));
  if (destination.config.encoding == Encoding::Json)
    encoder.append_json(decoder.batch(), body);
  else
    encoder.append_protobuf(decoder.batch(), body);
  return body;
}

std::string test_body(const Destination& destination, std::string_view service_name,
                      TimestampMs now) {
  telemetry::SpanBatch batch;
  switch (destination.type) {
    case DestinationType::Grafana:
    case DestinationType::OtelCollector:
    case DestinationType::Gantry:
      if (signal_of(destination) == Signal::Metrics)
        return test_metrics(destination, test_request(service_name, now));
      add_test_span(batch, service_name, now);
      return encode(destination.config.encoding, batch);
    case DestinationType::Webhook:
      return encode(destination.config.encoding, batch);
    case DestinationType::PrometheusRemoteWrite: {
      std::string body;
      codec::encode_remote_write(destination.config.remote_write_version == 2
                                     ? codec::RemoteWriteVersion::V2
                                     : codec::RemoteWriteVersion::V1,
                                 test_request(service_name, now), body);
      return body;
    }
    case DestinationType::Influx:
      return fmt::format("{} value=1 {}\n", kTestMetric,
                         now.since_epoch * static_cast<std::int64_t>(kNanosecondsPerMs));
  }
  return "";
}

bool passes(const Destination& destination, int status, const Classified& classified) {
  if (classified.kind == FailureKind::None) return true;
  return destination.type == DestinationType::Webhook && status == 400;
}

/// Of a narrowed destination.
ConnectionTestResult test_signal(const Destination& destination, std::string_view service_name,
                                 Transport& transport, const Clock& clock,
                                 const CancelToken& cancel) {
  ConnectionTestResult result;
  const auto fail_with = [&](Classified classified) {
    result.kind = classified.kind;
    result.message = std::move(classified.message);
    return result;
  };
  auto request =
      make_export_request(destination, test_body(destination, service_name, clock.now()));
  if (!request) return fail_with(classify_config_error(request.error().message));
  request->headers.set("X-Test-Connection", "true");
  const std::int64_t start_ns = monotonic_ns();
  const auto answer = transport.send(*request, kConnectionTestTimeout, cancel);
  result.latency = {(monotonic_ns() - start_ns) / 1'000'000};
  if (!answer) return fail_with(classify_failure(destination, answer.error()));
  result.status = answer->status;
  Classified classified = classify_answer(destination, *answer, clock.now());
  if (!passes(destination, answer->status, classified)) return fail_with(std::move(classified));
  result.is_ok = true;
  return result;
}

}  // namespace

ConnectionTestResult test_connection(const Destination& destination, std::string_view service_name,
                                     Transport& transport, const Clock& clock,
                                     const CancelToken& cancel) {
  ConnectionTestResult result;
  DurationMs latency;
  for (const Signal signal : kSignals) {
    if (!takes(destination, signal)) continue;
    result = test_signal(narrowed_to(destination, signal), service_name, transport, clock, cancel);
    latency = std::max(latency, result.latency);
    if (!result.is_ok) break;
  }
  result.latency = latency;
  return result;
}

}  // namespace gantry::broadcast
