#include "api/tempo_json.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "api/tempo_values.h"
#include "core/json_writer.h"

namespace gantry::api {
namespace {

using core::JsonWriter;
using traceql::Static;
using traceql::StaticType;

void add_text(JsonWriter& json, std::string_view key, std::string_view text) {
  if (!text.empty()) json.key(key).string(text);
}

/// A 64-bit member.
template <class Integer>
void add_long(JsonWriter& json, std::string_view key, Integer number) {
  if (number != 0) json.key(key).string(std::to_string(number));
}

/// A 32-bit member.
template <class Integer>
void add_count(JsonWriter& json, std::string_view key, Integer number) {
  if (number != 0) json.key(key).integer(number);
}

void add_double_value(JsonWriter& json, double value) {
  if (std::isnan(value)) {
    json.string("NaN");
  } else if (std::isinf(value)) {
    json.string(value > 0 ? "Infinity" : "-Infinity");
  } else {
    json.number(value);
  }
}

/// An AnyValue.
void add_value(JsonWriter& json, const Static& value) {
  json.begin_object();
  switch (value.type) {
    case StaticType::Nil:
      break;
    case StaticType::Int:
      json.key("intValue").string(std::to_string(value.integer));
      break;
    case StaticType::Float:
      add_double_value(json.key("doubleValue"), value.number);
      break;
    case StaticType::Bool:
      json.key("boolValue").boolean(value.boolean);
      break;
    case StaticType::String:
      json.key("stringValue").string(value.text);
      break;
    case StaticType::Duration:
      json.key("stringValue").string(traceql::format_go_duration(value.integer));
      break;
    case StaticType::Status:
      json.key("stringValue")
          .string(traceql::status_text(static_cast<std::uint8_t>(value.integer)));
      break;
    case StaticType::Kind:
      json.key("stringValue").string(traceql::kind_text(static_cast<std::uint8_t>(value.integer)));
      break;
    case StaticType::IntArray:
    case StaticType::FloatArray:
    case StaticType::StringArray:
    case StaticType::BoolArray:
      json.key("arrayValue").begin_object();
      if (!value.elements.empty()) {
        json.key("values").begin_array();
        for (const Static& element : value.elements) add_value(json, element);
        json.end_array();
      }
      json.end_object();
      break;
  }
  json.end_object();
}

void add_named_values(JsonWriter& json, std::string_view key,
                      const std::vector<traceql::NamedValue>& values) {
  if (values.empty()) return;
  json.key(key).begin_array();
  for (const traceql::NamedValue& each : values) {
    json.begin_object();
    add_text(json, "key", each.key);
    add_value(json.key("value"), each.value);
    json.end_object();
  }
  json.end_array();
}

/// SearchMetrics: no more than Grafana's older versions know.
void add_search_metrics(JsonWriter& json, const traceql::SearchStatistics& statistics) {
  json.key("metrics").begin_object();
  add_count(json, "inspectedTraces", statistics.inspected_traces);
  add_long(json, "inspectedBytes", statistics.inspected_bytes);
  add_count(json, "totalBlocks", statistics.total_groups);
  add_count(json, "completedJobs", statistics.completed_groups);
  add_count(json, "totalJobs", statistics.total_groups);
  add_long(json, "totalBlockBytes", statistics.total_bytes);
  json.end_object();
}

/// MetadataMetrics.
void add_tag_metrics(JsonWriter& json, const traceql::SearchStatistics& statistics) {
  json.key("metrics").begin_object();
  add_long(json, "inspectedBytes", statistics.inspected_bytes);
  add_count(json, "totalJobs", statistics.total_groups);
  add_count(json, "completedJobs", statistics.completed_groups);
  json.end_object();
}

void add_span(JsonWriter& json, const traceql::FoundSpan& span) {
  json.begin_object();
  json.key("spanID").string(fmt::format("{:016x}", span.span_id));
  add_text(json, "name", span.name);
  add_long(json, "startTimeUnixNano", span.start_ns);
  add_long(json, "durationNanos", span.duration_ns);
  add_named_values(json, "attributes", span.attributes);
  json.end_object();
}

void add_spanset(JsonWriter& json, const traceql::FoundSpanset& set) {
  json.begin_object();
  if (!set.spans.empty()) {
    json.key("spans").begin_array();
    for (const traceql::FoundSpan& span : set.spans) add_span(json, span);
    json.end_array();
  }
  add_count(json, "matched", set.matched);
  add_named_values(json, "attributes", set.attributes);
  json.end_object();
}

void add_trace(JsonWriter& json, const traceql::FoundTrace& trace) {
  constexpr std::int64_t kNsPerMs = 1'000'000;
  json.begin_object();
  json.key("traceID").string(short_trace_id(trace.trace_id));
  add_text(json, "rootServiceName",
           trace.has_root ? std::string_view(trace.root_service) : kRootNotReceived);
  if (trace.has_root) add_text(json, "rootTraceName", trace.root_name);
  add_long(json, "startTimeUnixNano", trace.start_ns);
  add_count(json, "durationMs", trace.duration_ns / kNsPerMs);
  if (!trace.spansets.empty()) {
    add_spanset(json.key("spanSet"), trace.spansets.front());
    json.key("spanSets").begin_array();
    for (const traceql::FoundSpanset& set : trace.spansets) add_spanset(json, set);
    json.end_array();
  }
  if (!trace.services.empty()) {
    json.key("serviceStats").begin_object();
    for (const auto& [service, counts] : trace.services) {
      json.key(service).begin_object();
      add_count(json, "spanCount", counts.spans);
      add_count(json, "errorCount", counts.errors);
      json.end_object();
    }
    json.end_object();
  }
  json.end_object();
}

void add_exemplars(JsonWriter& json, const std::vector<traceql::MetricsExemplar>& exemplars) {
  if (exemplars.empty()) return;
  json.key("exemplars").begin_array();
  for (const traceql::MetricsExemplar& exemplar : exemplars) {
    json.begin_object();
    add_named_values(json, "labels", exemplar.labels);
    if (exemplar.value != 0) add_double_value(json.key("value"), exemplar.value);
    add_long(json, "timestampMs", exemplar.timestamp_ms);
    json.end_object();
  }
  json.end_array();
}

void add_range_series(JsonWriter& json, const traceql::MetricsSeries& series) {
  json.begin_object();
  add_named_values(json, "labels", series.labels);
  json.key("samples").begin_array();
  for (const auto& [timestamp_ms, value] : series.samples) {
    if (std::isnan(value)) continue;
    json.begin_object();
    add_long(json, "timestampMs", timestamp_ms);
    if (value != 0) add_double_value(json.key("value"), value);
    json.end_object();
  }
  json.end_array();
  add_exemplars(json, series.exemplars);
  json.end_object();
}

void add_instant_series(JsonWriter& json, const traceql::MetricsSeries& series) {
  json.begin_object();
  add_named_values(json, "labels", series.labels);
  const double value = series.samples.front().second;
  if (value != 0) add_double_value(json.key("value"), value);
  json.end_object();
}

template <class AddSeries>
std::string metrics_json(const traceql::MetricsAnswer& answer,
                         const traceql::SearchStatistics& statistics,
                         std::string_view partial_message, AddSeries add_series) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.key("series").begin_array();
  for (const traceql::MetricsSeries& series : answer.series)
    if (has_sample(series)) add_series(json, series);
  json.end_array();
  add_search_metrics(json, statistics);
  if (!partial_message.empty()) {
    json.key("status").string("PARTIAL");
    json.key("message").string(partial_message);
  }
  json.end_object();
  return out;
}

/// A list member, left out when it is empty; then the metrics.
template <class Items, class Add>
std::string tags_json(std::string_view key, const Items& items,
                      const traceql::SearchStatistics& statistics, Add add) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  if (!items.empty()) {
    json.key(key).begin_array();
    for (const auto& item : items) add(json, item);
    json.end_array();
  }
  add_tag_metrics(json, statistics);
  json.end_object();
  return out;
}

}  // namespace

std::string short_trace_id(const telemetry::TraceId& id) {
  std::string text;
  for (const std::uint8_t byte : id.bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  text.erase(0, std::min(text.find_first_not_of('0'), text.size()));
  return text;
}

std::string search_json(const traceql::SearchAnswer& answer,
                        const traceql::SearchStatistics& statistics) {
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  if (!answer.traces.empty()) {
    json.key("traces").begin_array();
    for (const traceql::FoundTrace& trace : answer.traces) add_trace(json, trace);
    json.end_array();
  }
  add_search_metrics(json, statistics);
  json.end_object();
  return out;
}

std::string range_json(const traceql::MetricsAnswer& answer,
                       const traceql::SearchStatistics& statistics,
                       std::string_view partial_message) {
  return metrics_json(answer, statistics, partial_message, add_range_series);
}

std::string instant_json(const traceql::MetricsAnswer& answer,
                         const traceql::SearchStatistics& statistics,
                         std::string_view partial_message) {
  return metrics_json(answer, statistics, partial_message, add_instant_series);
}

std::string tag_names_json(const std::vector<std::string>& names,
                           const traceql::SearchStatistics& statistics) {
  return tags_json("tagNames", names, statistics,
                   [](JsonWriter& json, const std::string& name) { json.string(name); });
}

std::string tag_scopes_json(const std::vector<TagScope>& scopes,
                            const traceql::SearchStatistics& statistics) {
  return tags_json("scopes", scopes, statistics, [](JsonWriter& json, const TagScope& scope) {
    if (scope.tags.empty()) return;
    json.begin_object();
    json.key("name").string(scope.name);
    json.key("tags").begin_array();
    for (const std::string& tag : scope.tags) json.string(tag);
    json.end_array();
    json.end_object();
  });
}

std::string tag_values_json(const std::vector<Static>& values,
                            const traceql::SearchStatistics& statistics) {
  return tags_json("tagValues", values, statistics, [](JsonWriter& json, const Static& value) {
    json.string(tag_value_text(value));
  });
}

std::string typed_tag_values_json(const std::vector<Static>& values,
                                  const traceql::SearchStatistics& statistics) {
  return tags_json("tagValues", values, statistics, [](JsonWriter& json, const Static& value) {
    json.begin_object();
    json.key("type").string(tag_value_type(value.type));
    add_text(json, "value", tag_value_text(value));
    json.end_object();
  });
}

}  // namespace gantry::api
