#include "pipeline/span_metrics.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "pipeline/span_attributes.h"
#include "pipeline/span_size.h"

namespace gantry::pipeline {

namespace {

using telemetry::LabelView;
using telemetry::MetricType;

enum SpanFamily : std::uint8_t { kCalls, kLatency, kSize };

constexpr std::array<std::string_view, 7> kOwnLabels = {
    "service", "span_name", "span_kind", "status_code", "status_message", "job", "instance"};

std::string_view kind_label(telemetry::SpanKind kind) {
  using telemetry::SpanKind;
  switch (kind) {
    case SpanKind::Unspecified:
      break;
    case SpanKind::Internal:
      return "SPAN_KIND_INTERNAL";
    case SpanKind::Server:
      return "SPAN_KIND_SERVER";
    case SpanKind::Client:
      return "SPAN_KIND_CLIENT";
    case SpanKind::Producer:
      return "SPAN_KIND_PRODUCER";
    case SpanKind::Consumer:
      return "SPAN_KIND_CONSUMER";
  }
  return "SPAN_KIND_UNSPECIFIED";
}

std::string_view status_label(telemetry::SpanStatus status) {
  using telemetry::SpanStatus;
  switch (status) {
    case SpanStatus::Unset:
      break;
    case SpanStatus::Ok:
      return "STATUS_CODE_OK";
    case SpanStatus::Error:
      return "STATUS_CODE_ERROR";
  }
  return "STATUS_CODE_UNSET";
}

/// A name of an attribute that is ours already gets two underscores.
std::string label_for(std::string_view key, std::span<const std::string_view> taken) {
  std::string label = sanitized_label_name(key);
  return std::ranges::find(taken, label) == taken.end() ? label : "__" + label;
}

MetricTableOptions span_table(const SpanMetricsOptions& options) {
  return {.families = {{.name = "traces_spanmetrics_calls_total",
                        .help = "Spans.",
                        .type = MetricType::Counter},
                       {.name = "traces_spanmetrics_latency",
                        .help = "Durations of spans in seconds.",
                        .type = MetricType::Histogram},
                       {.name = "traces_spanmetrics_size_total",
                        .help = "Bytes of spans in protobuf.",
                        .type = MetricType::Counter}},
          .bounds = options.bounds,
          .series_max = options.series_max,
          .stale_after = options.stale_after,
          .interval = options.interval};
}

MetricTableOptions target_info_table(const SpanMetricsOptions& options) {
  return {.families = {{.name = "traces_target_info",
                        .help = "Attributes of the resources that spans come from.",
                        .type = MetricType::Gauge}},
          .bounds = {},
          .series_max = options.series_max,
          .stale_after = options.stale_after,
          .interval = options.interval};
}

}  // namespace

/// What a resource gives to the labels of its spans.
struct SpanMetrics::Resource {
  std::string_view service;
  std::string_view job;
  std::string_view instance;
  bool is_observed = false;
};

SpanMetrics::SpanMetrics(SpanMetricsOptions options, core::MetricRegistry& registry,
                         const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      spans_(span_table(options_), registry, "span_metrics"),
      target_info_(target_info_table(options_), registry, "target_info") {
  for (const std::string& key : options_.dimensions) {
    dimensions_.push_back({.key = key, .label = label_for(key, kOwnLabels)});
  }
}

SpanMetrics::Resource SpanMetrics::read_resource(const telemetry::SpanBatch& batch,
                                                 const telemetry::BatchResource& resource,
                                                 core::Arena& arena) const {
  const auto attributes = batch.attributes_of(resource.attributes);
  Resource read{.service = find_text(attributes, "service.name", arena).value_or(""),
                .job = {},
                .instance = {}};
  if (!options_.has_target_info) return read;
  const std::string_view name_space =
      find_text(attributes, "service.namespace", arena).value_or("");
  read.job = read.service.empty() || name_space.empty()
                 ? read.service
                 : arena.copy(std::string(name_space) + "/" + std::string(read.service));
  read.instance = find_text(attributes, "service.instance.id", arena).value_or("");
  return read;
}

void SpanMetrics::observe_target_info(const telemetry::SpanBatch& batch,
                                      const telemetry::BatchResource& resource,
                                      const Resource& read, TimestampMs now, core::Arena& arena) {
  constexpr std::array<std::string_view, 2> kTaken = {"job", "instance"};
  std::vector<LabelView> labels;
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(resource.attributes)) {
    const std::string_view key = attribute.key;
    if (key.empty() || key == "service.name" || key == "service.namespace" ||
        key == "service.instance.id") {
      continue;
    }
    labels.push_back({.name = arena.copy(label_for(key, kTaken)),
                      .value = attribute_text(attribute.value, arena)});
  }
  // It joins attributes to a job or an instance: without both sides it says nothing.
  if (labels.empty() || (read.job.empty() && read.instance.empty())) return;
  // Senders order attributes as they like, and two keys may become one name: the last one stays.
  std::ranges::stable_sort(labels, {}, &LabelView::name);
  const auto repeated = std::ranges::unique(labels, {}, &LabelView::name);
  labels.erase(repeated.begin(), repeated.end());
  labels.push_back({.name = "job", .value = read.job});
  labels.push_back({.name = "instance", .value = read.instance});
  const MetricTable::Change info{.family = 0, .value = 1};
  target_info_.observe(labels, std::span(&info, 1), {}, now);
}

void SpanMetrics::observe_span(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span,
                               const Resource& resource, TimestampMs now, core::Arena& arena,
                               std::vector<LabelView>& labels) {
  labels.clear();
  labels.push_back({.name = "service", .value = resource.service});
  labels.push_back({.name = "span_name", .value = span.name});
  labels.push_back({.name = "span_kind", .value = kind_label(span.kind)});
  labels.push_back({.name = "status_code", .value = status_label(span.status)});
  if (options_.has_status_message) {
    labels.push_back({.name = "status_message", .value = span.status_message});
  }
  const auto of_resource = batch.attributes_of(batch.resources[span.resource].attributes);
  for (const Dimension& dimension : dimensions_) {
    auto value = find_text(of_resource, dimension.key, arena);
    if (!value) value = find_text(batch.attributes_of(span.attributes), dimension.key, arena);
    labels.push_back({.name = dimension.label, .value = value.value_or("")});
  }
  if (options_.has_target_info) {
    labels.push_back({.name = "job", .value = resource.job});
    labels.push_back({.name = "instance", .value = resource.instance});
  }
  const std::array<MetricTable::Change, 3> changes = {{
      {.family = kCalls, .value = 1},
      {.family = kLatency, .value = static_cast<double>(span.duration_ns()) / 1e9},
      {.family = kSize, .value = static_cast<double>(span_size_bytes(batch, span))},
  }};
  spans_.observe(labels, changes, span.trace_id, now);
}

void SpanMetrics::observe(const telemetry::SpanBatch& batch) {
  const TimestampMs now = clock_.now();
  core::Arena arena;
  std::vector<Resource> resources;
  resources.reserve(batch.resources.size());
  for (const telemetry::BatchResource& resource : batch.resources) {
    resources.push_back(read_resource(batch, resource, arena));
  }
  std::vector<LabelView> labels;
  // Hot: per span.
  for (const telemetry::BatchSpan& span : batch.spans) {
    Resource& resource = resources[span.resource];
    observe_span(batch, span, resource, now, arena, labels);
    if (options_.has_target_info && !resource.is_observed) {
      resource.is_observed = true;
      observe_target_info(batch, batch.resources[span.resource], resource, now, arena);
    }
  }
}

void SpanMetrics::collect(TimestampMs now, telemetry::MetricBatch& batch) {
  collected_.begin(batch);
  spans_.collect(now, collected_, batch);
  if (options_.has_target_info) target_info_.collect(now, collected_, batch);
}

}  // namespace gantry::pipeline
