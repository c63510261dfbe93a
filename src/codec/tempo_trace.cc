#include "codec/tempo_trace.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include <protozero/pbf_builder.hpp>

#include "codec/otlp_traces_encoder.h"
#include "codec/span_json_internal.h"
#include "core/json_writer.h"

namespace gantry::codec {
namespace {

using core::JsonWriter;
using telemetry::BatchSpan;
using telemetry::SpanBatch;

/// tempo.proto of grafana/tempo, pkg/tempopb.
enum class TraceByIdResponse : std::uint32_t { Trace = 1, Metrics = 2, Status = 3, Message = 4 };
enum class TraceByIdMetrics : std::uint32_t { InspectedBytes = 1 };
constexpr std::int32_t kPartial = 1;

std::uint64_t bytes_of(std::span<const telemetry::SpanAttribute> attributes) {
  constexpr std::uint64_t kOverhead = 8;
  std::uint64_t bytes = 0;
  for (const telemetry::SpanAttribute& attribute : attributes)
    bytes += kOverhead + attribute.key.size() + attribute.value.text.size();
  return bytes;
}

/// Without its resource and scope.
std::uint64_t bytes_of(const SpanBatch& batch, const BatchSpan& span) {
  constexpr std::uint64_t kSpanOverhead = 60;
  constexpr std::uint64_t kPartOverhead = 20;
  std::uint64_t bytes = kSpanOverhead + span.name.size() + span.status_message.size() +
                        span.trace_state.size() + bytes_of(batch.attributes_of(span.attributes));
  for (const telemetry::BatchEvent& event : batch.events_of(span))
    bytes += kPartOverhead + event.name.size() + bytes_of(batch.attributes_of(event.attributes));
  for (const telemetry::BatchLink& link : batch.links_of(span))
    bytes += 2 * kPartOverhead + link.trace_state.size() +
             bytes_of(batch.attributes_of(link.attributes));
  return bytes;
}

std::uint64_t shared_bytes(const SpanBatch& batch) {
  std::uint64_t bytes = 0;
  for (const telemetry::BatchResource& resource : batch.resources)
    bytes += bytes_of(batch.attributes_of(resource.attributes));
  for (const telemetry::BatchScope& scope : batch.scopes)
    bytes += scope.name.size() + bytes_of(batch.attributes_of(scope.attributes));
  return bytes;
}

}  // namespace

std::string encode_tempo_trace_json(const SpanBatch& batch) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  if (!batch.spans.empty()) append_resource_spans_json(json.key("batches"), batch, SpanJson::Tempo);
  json.end_object();
  return out;
}

std::string encode_tempo_trace(const SpanBatch& batch) {
  return encode_otlp_traces(batch, EmptyResource::Name);
}

std::string encode_tempo_trace_by_id_json(const SpanBatch& batch, const TempoTraceNotes& notes) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.key("trace").begin_object();
  if (!batch.spans.empty())
    append_resource_spans_json(json.key("resourceSpans"), batch, SpanJson::Tempo);
  json.end_object();
  json.key("metrics").begin_object();
  if (notes.inspected_bytes != 0)
    json.key("inspectedBytes").string(std::to_string(notes.inspected_bytes));
  json.end_object();
  if (!notes.partial_message.empty()) {
    json.key("status").string("PARTIAL");
    json.key("message").string(notes.partial_message);
  }
  json.end_object();
  return out;
}

std::string encode_tempo_trace_by_id(const SpanBatch& batch, const TempoTraceNotes& notes) {
  std::string metrics;
  protozero::basic_pbf_builder<std::string, TraceByIdMetrics> metrics_message(metrics);
  if (notes.inspected_bytes != 0)
    metrics_message.add_uint64(TraceByIdMetrics::InspectedBytes, notes.inspected_bytes);
  std::string out;
  protozero::basic_pbf_builder<std::string, TraceByIdResponse> message(out);
  message.add_message(TraceByIdResponse::Trace, encode_tempo_trace(batch));
  message.add_message(TraceByIdResponse::Metrics, metrics);
  if (!notes.partial_message.empty()) {
    message.add_enum(TraceByIdResponse::Status, kPartial);
    message.add_string(TraceByIdResponse::Message, notes.partial_message);
  }
  return out;
}

std::uint64_t estimate_trace_bytes(const SpanBatch& batch) {
  std::uint64_t bytes = shared_bytes(batch);
  for (const BatchSpan& span : batch.spans) bytes += bytes_of(batch, span);
  return bytes;
}

bool cut_trace(SpanBatch& batch, std::uint64_t bytes_max) {
  std::uint64_t bytes = shared_bytes(batch);
  std::size_t kept = 0;
  for (; kept < batch.spans.size(); ++kept) {
    bytes += bytes_of(batch, batch.spans[kept]);
    if (bytes > bytes_max) break;
  }
  const bool is_cut = kept < batch.spans.size();
  batch.spans.resize(kept);
  return is_cut;
}

}  // namespace gantry::codec
