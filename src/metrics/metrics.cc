#include "metrics/metrics.h"

namespace gantry::metrics {
namespace {

core::Gauge& head_part(core::MetricRegistry& registry, const char* part) {
  return registry.gauge("gantry_metrics_head_bytes",
                        "Memory of the metrics store by what it is used for.", {{"part", part}});
}

std::array<core::Counter*, telemetry::kRejectReasonCount> rejection_counters(
    core::MetricRegistry& registry) {
  std::array<core::Counter*, telemetry::kRejectReasonCount> counters{};
  for (std::size_t i = 0; i < counters.size(); ++i) {
    const auto reason = static_cast<telemetry::RejectReason>(i);
    counters[i] = &registry.counter("gantry_metrics_rejected_total",
                                    "Samples, exemplars and metadata that the store refused.",
                                    {{"reason", std::string(reject_reason_name(reason))}});
  }
  return counters;
}

}  // namespace

StoreMetrics::StoreMetrics(core::MetricRegistry& registry)
    : samples_appended(
          registry.counter("gantry_metrics_samples_appended_total", "Float samples stored.")),
      histograms_appended(registry.counter("gantry_metrics_histograms_appended_total",
                                           "Native histograms stored.")),
      exemplars_appended(
          registry.counter("gantry_metrics_exemplars_appended_total", "Exemplars stored.")),
      series_created(registry.counter("gantry_metrics_series_created_total",
                                      "Series seen for the first time.")),
      series_collected(registry.counter("gantry_metrics_series_collected_total",
                                        "Series forgotten because nothing of them is stored.")),
      append_failures(registry.counter("gantry_metrics_append_failures_total",
                                       "Requests of which nothing could be stored.")),
      rejected(rejection_counters(registry)),
      append_seconds(registry.histogram("gantry_metrics_append_duration_seconds",
                                        "Time from a batch to its acknowledgement.",
                                        core::default_duration_bounds())),
      flush_seconds(registry.histogram("gantry_metrics_flush_duration_seconds",
                                       "Time to cut the head into parts.",
                                       core::default_duration_bounds())),
      merge_seconds(registry.histogram("gantry_metrics_merge_duration_seconds",
                                       "Time to make one part of several.",
                                       core::default_duration_bounds())),
      flush_failures(registry.counter("gantry_metrics_flush_failures_total",
                                      "Flushes that failed; they are tried again.")),
      merge_failures(registry.counter("gantry_metrics_merge_failures_total",
                                      "Merges that failed; they are tried again.")),
      merged_bytes(registry.counter("gantry_metrics_merged_bytes_total",
                                    "Bytes of parts that merges have written.")),
      refused_bytes(registry.counter("gantry_metrics_refused_bytes_total",
                                     "Bytes of the requests that limits.bytes_per_day_max "
                                     "refused.")),
      quarantined_parts(registry.counter("gantry_metrics_quarantined_parts_total",
                                         "Parts set aside because their checksums failed.")),
      dropped_partitions(registry.counter("gantry_metrics_dropped_partitions_total",
                                          "Days removed by retention.")),
      active_series(
          registry.gauge("gantry_metrics_active_series", "Series with a sample in the head.")),
      known_series(registry.gauge("gantry_metrics_known_series",
                                  "Series with a sample in the head or in a part.")),
      log_bytes(registry.gauge("gantry_metrics_log_bytes", "Size of the write-ahead log.")),
      part_count(registry.gauge("gantry_metrics_parts", "Immutable parts.")),
      part_bytes(registry.gauge("gantry_metrics_part_bytes", "Size of all parts.")),
      tombstones(registry.gauge("gantry_metrics_tombstones",
                                "Deletions that merges have not made physical.")),
      exemplars(registry.gauge("gantry_metrics_exemplars", "Exemplars kept.")),
      day_bytes(registry.gauge("gantry_metrics_day_bytes",
                               "Bytes of the requests taken since midnight UTC.")),
      head_bytes{.records = head_part(registry, "records"),
                 .labels = head_part(registry, "labels"),
                 .symbols = head_part(registry, "symbols"),
                 .postings = head_part(registry, "postings"),
                 .label_sets = head_part(registry, "label_sets"),
                 .series_cache = head_part(registry, "series_cache"),
                 .open = head_part(registry, "open"),
                 .sealed = head_part(registry, "sealed"),
                 .extra = head_part(registry, "extra"),
                 .late_changes = head_part(registry, "late_changes"),
                 .exemplars = head_part(registry, "exemplars"),
                 .metadata = head_part(registry, "metadata"),
                 .part_indexes = head_part(registry, "part_indexes")} {}

}  // namespace gantry::metrics
