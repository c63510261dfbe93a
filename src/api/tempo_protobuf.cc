#include "api/tempo_protobuf.h"

#include <cmath>
#include <cstdint>

#include <fmt/format.h>

#include "api/tempo_values.h"
#include "codec/message_builder.h"

namespace gantry::api {
namespace {

using codec::MessageBuilder;
using traceql::NamedValue;
using traceql::Static;
using traceql::StaticType;

enum class AnyValue : std::uint32_t { Text = 1, Bool = 2, Int = 3, Double = 4, Array = 5 };
enum class ArrayValue : std::uint32_t { Values = 1 };
enum class KeyValue : std::uint32_t { Key = 1, Value = 2 };
enum class SearchMetrics : std::uint32_t {
  InspectedTraces = 1,
  InspectedBytes = 2,
  TotalBlocks = 3,
  CompletedJobs = 4,
  TotalJobs = 5,
  TotalBlockBytes = 6,
  InspectedSpans = 7,
};
enum class MetadataMetrics : std::uint32_t {
  InspectedBytes = 1,
  TotalJobs = 2,
  CompletedJobs = 3,
};
/// All answers: their list, then what the search for it took.
enum class Answer : std::uint32_t { Items = 1, Metrics = 2, Status = 3, Message = 4 };
enum class Trace : std::uint32_t {
  TraceId = 1,
  RootServiceName = 2,
  RootTraceName = 3,
  StartTimeUnixNano = 4,
  DurationMs = 5,
  SpanSet = 6,
  SpanSets = 7,
  ServiceStats = 8,
};
enum class MapEntry : std::uint32_t { Key = 1, Value = 2 };
enum class ServiceStats : std::uint32_t { SpanCount = 1, ErrorCount = 2 };
enum class SpanSet : std::uint32_t { Spans = 1, Matched = 2, Attributes = 3 };
enum class Span : std::uint32_t {
  SpanId = 1,
  Name = 2,
  StartTimeUnixNano = 3,
  DurationNanos = 4,
  Attributes = 5,
};
enum class TimeSeries : std::uint32_t { Labels = 1, Samples = 2, Exemplars = 4 };
enum class InstantSeries : std::uint32_t { Labels = 1, Value = 2 };
enum class Sample : std::uint32_t { Value = 1, TimestampMs = 2 };
enum class Exemplar : std::uint32_t { Labels = 1, Value = 2, TimestampMs = 3 };
enum class TagScopeField : std::uint32_t { Name = 1, Tags = 2 };
enum class TagValue : std::uint32_t { Type = 1, Value = 2 };

constexpr std::int64_t kPartial = 1;  // PartialStatus

void write_value(MessageBuilder<AnyValue>& out, const Static& value) {
  switch (value.type) {
    case StaticType::Nil:
      break;
    case StaticType::Int:
      out.add_int64(AnyValue::Int, value.integer);
      break;
    case StaticType::Float:
      out.add_double(AnyValue::Double, value.number);
      break;
    case StaticType::Bool:
      out.add_bool(AnyValue::Bool, value.boolean);
      break;
    case StaticType::String:
    case StaticType::Duration:
    case StaticType::Status:
    case StaticType::Kind:
      out.add_string(AnyValue::Text, tag_value_text(value));
      break;
    case StaticType::IntArray:
    case StaticType::FloatArray:
    case StaticType::StringArray:
    case StaticType::BoolArray: {
      MessageBuilder<ArrayValue> array(out, AnyValue::Array);
      for (const Static& element : value.elements) {
        MessageBuilder<AnyValue> item(array, ArrayValue::Values);
        write_value(item, element);
      }
      break;
    }
  }
}

/// Default values are left out, as proto3 does.
template <class Message>
void write_text(MessageBuilder<Message>& out, Message field, std::string_view text) {
  if (!text.empty()) out.add_string(field, text);
}

template <class Message, class Integer>
void write_count(MessageBuilder<Message>& out, Message field, Integer number) {
  if (number != 0) out.add_uint64(field, static_cast<std::uint64_t>(number));
}

template <class Message>
void write_named(MessageBuilder<Message>& out, Message field,
                 const std::vector<NamedValue>& values) {
  for (const NamedValue& each : values) {
    MessageBuilder<KeyValue> pair(out, field);
    write_text(pair, KeyValue::Key, each.key);
    MessageBuilder<AnyValue> value(pair, KeyValue::Value);
    write_value(value, each.value);
  }
}

void write_search_metrics(MessageBuilder<Answer>& out,
                          const traceql::SearchStatistics& statistics) {
  MessageBuilder<SearchMetrics> metrics(out, Answer::Metrics);
  write_count(metrics, SearchMetrics::InspectedTraces, statistics.inspected_traces);
  write_count(metrics, SearchMetrics::InspectedBytes, statistics.inspected_bytes);
  write_count(metrics, SearchMetrics::TotalBlocks, statistics.total_groups);
  write_count(metrics, SearchMetrics::CompletedJobs, statistics.completed_groups);
  write_count(metrics, SearchMetrics::TotalJobs, statistics.total_groups);
  write_count(metrics, SearchMetrics::TotalBlockBytes, statistics.total_bytes);
  write_count(metrics, SearchMetrics::InspectedSpans, statistics.inspected_spans);
}

void write_tag_metrics(MessageBuilder<Answer>& out, const traceql::SearchStatistics& statistics) {
  MessageBuilder<MetadataMetrics> metrics(out, Answer::Metrics);
  write_count(metrics, MetadataMetrics::InspectedBytes, statistics.inspected_bytes);
  write_count(metrics, MetadataMetrics::TotalJobs, statistics.total_groups);
  write_count(metrics, MetadataMetrics::CompletedJobs, statistics.completed_groups);
}

void write_spanset(MessageBuilder<Trace>& out, Trace field, const traceql::FoundSpanset& found) {
  MessageBuilder<SpanSet> set(out, field);
  for (const traceql::FoundSpan& each : found.spans) {
    MessageBuilder<Span> span(set, SpanSet::Spans);
    span.add_string(Span::SpanId, fmt::format("{:016x}", each.span_id));
    write_text(span, Span::Name, each.name);
    write_count(span, Span::StartTimeUnixNano, each.start_ns);
    write_count(span, Span::DurationNanos, each.duration_ns);
    write_named(span, Span::Attributes, each.attributes);
  }
  write_count(set, SpanSet::Matched, found.matched);
  write_named(set, SpanSet::Attributes, found.attributes);
}

void write_trace(MessageBuilder<Answer>& out, const traceql::FoundTrace& found) {
  constexpr std::int64_t kNsPerMs = 1'000'000;
  MessageBuilder<Trace> trace(out, Answer::Items);
  trace.add_string(Trace::TraceId, short_trace_id(found.trace_id));
  write_text(trace, Trace::RootServiceName,
             found.has_root ? std::string_view(found.root_service) : kRootNotReceived);
  if (found.has_root) write_text(trace, Trace::RootTraceName, found.root_name);
  write_count(trace, Trace::StartTimeUnixNano, found.start_ns);
  write_count(trace, Trace::DurationMs, found.duration_ns / kNsPerMs);
  if (!found.spansets.empty()) write_spanset(trace, Trace::SpanSet, found.spansets.front());
  for (const traceql::FoundSpanset& set : found.spansets)
    write_spanset(trace, Trace::SpanSets, set);
  for (const auto& [service, counts] : found.services) {
    MessageBuilder<MapEntry> entry(trace, Trace::ServiceStats);
    entry.add_string(MapEntry::Key, service);
    MessageBuilder<ServiceStats> stats(entry, MapEntry::Value);
    write_count(stats, ServiceStats::SpanCount, counts.spans);
    write_count(stats, ServiceStats::ErrorCount, counts.errors);
  }
}

void write_range_series(MessageBuilder<Answer>& out, const traceql::MetricsSeries& series) {
  MessageBuilder<TimeSeries> written(out, Answer::Items);
  write_named(written, TimeSeries::Labels, series.labels);
  for (const auto& [timestamp_ms, value] : series.samples) {
    if (std::isnan(value)) continue;
    MessageBuilder<Sample> sample(written, TimeSeries::Samples);
    if (value != 0) sample.add_double(Sample::Value, value);
    write_count(sample, Sample::TimestampMs, timestamp_ms);
  }
  for (const traceql::MetricsExemplar& each : series.exemplars) {
    MessageBuilder<Exemplar> exemplar(written, TimeSeries::Exemplars);
    write_named(exemplar, Exemplar::Labels, each.labels);
    if (each.value != 0) exemplar.add_double(Exemplar::Value, each.value);
    write_count(exemplar, Exemplar::TimestampMs, each.timestamp_ms);
  }
}

void write_instant_series(MessageBuilder<Answer>& out, const traceql::MetricsSeries& series) {
  MessageBuilder<InstantSeries> written(out, Answer::Items);
  write_named(written, InstantSeries::Labels, series.labels);
  const double value = series.samples.front().second;
  if (value != 0) written.add_double(InstantSeries::Value, value);
}

template <class WriteSeries>
std::string metrics_protobuf(const traceql::MetricsAnswer& answer,
                             const traceql::SearchStatistics& statistics,
                             std::string_view partial_message, WriteSeries write_series) {
  std::string bytes;
  MessageBuilder<Answer> out(bytes);
  for (const traceql::MetricsSeries& series : answer.series)
    if (has_sample(series)) write_series(out, series);
  write_search_metrics(out, statistics);
  if (!partial_message.empty()) {
    out.add_int64(Answer::Status, kPartial);
    write_text(out, Answer::Message, partial_message);
  }
  return bytes;
}

}  // namespace

std::string search_protobuf(const traceql::SearchAnswer& answer,
                            const traceql::SearchStatistics& statistics) {
  std::string bytes;
  MessageBuilder<Answer> out(bytes);
  for (const traceql::FoundTrace& trace : answer.traces) write_trace(out, trace);
  write_search_metrics(out, statistics);
  return bytes;
}

std::string range_protobuf(const traceql::MetricsAnswer& answer,
                           const traceql::SearchStatistics& statistics,
                           std::string_view partial_message) {
  return metrics_protobuf(answer, statistics, partial_message, write_range_series);
}

std::string instant_protobuf(const traceql::MetricsAnswer& answer,
                             const traceql::SearchStatistics& statistics,
                             std::string_view partial_message) {
  return metrics_protobuf(answer, statistics, partial_message, write_instant_series);
}

std::string tag_names_protobuf(const std::vector<std::string>& names,
                               const traceql::SearchStatistics& statistics) {
  std::string bytes;
  MessageBuilder<Answer> out(bytes);
  for (const std::string& name : names) out.add_string(Answer::Items, name);
  write_tag_metrics(out, statistics);
  return bytes;
}

std::string tag_scopes_protobuf(const std::vector<TagScope>& scopes,
                                const traceql::SearchStatistics& statistics) {
  std::string bytes;
  MessageBuilder<Answer> out(bytes);
  for (const TagScope& each : scopes) {
    if (each.tags.empty()) continue;
    MessageBuilder<TagScopeField> scope(out, Answer::Items);
    write_text(scope, TagScopeField::Name, each.name);
    for (const std::string& tag : each.tags) scope.add_string(TagScopeField::Tags, tag);
  }
  write_tag_metrics(out, statistics);
  return bytes;
}

std::string tag_values_protobuf(const std::vector<Static>& values,
                                const traceql::SearchStatistics& statistics) {
  std::string bytes;
  MessageBuilder<Answer> out(bytes);
  for (const Static& value : values) out.add_string(Answer::Items, tag_value_text(value));
  write_tag_metrics(out, statistics);
  return bytes;
}

std::string typed_tag_values_protobuf(const std::vector<Static>& values,
                                      const traceql::SearchStatistics& statistics) {
  std::string bytes;
  MessageBuilder<Answer> out(bytes);
  for (const Static& each : values) {
    MessageBuilder<TagValue> value(out, Answer::Items);
    write_text(value, TagValue::Type, tag_value_type(each.type));
    write_text(value, TagValue::Value, tag_value_text(each));
  }
  write_tag_metrics(out, statistics);
  return bytes;
}

}  // namespace gantry::api
