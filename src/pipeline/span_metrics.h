#pragma once

// Rates, errors and durations by service and operation, derived from spans: the series of Tempo's
// metrics-generator (grafana/tempo, modules/generator/processor/spanmetrics), under its names and
// with its defaults.
//
//   traces_spanmetrics_calls_total                  spans
//   traces_spanmetrics_latency{_bucket,_sum,_count} their durations in seconds
//   traces_spanmetrics_size_total                   their bytes in protobuf
//   traces_target_info                              a 1 per resource, if wanted
//
// with the labels service, span_name, span_kind (SPAN_KIND_SERVER), status_code
// (STATUS_CODE_ERROR) and those of the options.

#include <string>
#include <utility>
#include <vector>

#include "core/metrics.h"
#include "core/time.h"
#include "pipeline/metric_table.h"
#include "telemetry/metric_batch.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

struct SpanMetricsOptions {
  /// Seconds: 0.002, doubling, 14 of them.
  std::vector<double> bounds = {0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128,
                                0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
  bool has_status_message = false;  ///< The label status_message.
  /// traces_target_info, and with it the labels job (service.namespace/service.name) and instance
  /// (service.instance.id) everywhere.
  bool has_target_info = false;
  /// Attributes that become labels, of the resource or else of the span.
  std::vector<std::string> dimensions;
  std::uint64_t series_max = 100'000;  ///< Of spans and, again, of target_info.
  DurationMs stale_after{15 * 60'000};
  DurationMs interval{15'000};  ///< Between collections.
};

/// `observe` is thread-safe: it takes a lock per span, one of many. `collect` is for one thread.
class SpanMetrics {
 public:
  /// The registry and the clock must outlive it.
  SpanMetrics(SpanMetricsOptions options, core::MetricRegistry& registry, const Clock& clock);

  void observe(const telemetry::SpanBatch& batch);

  /// Replaces `batch` by the samples as of `now`, which must grow from call to call. Views in it
  /// live until the next call.
  void collect(TimestampMs now, telemetry::MetricBatch& batch);

  [[nodiscard]] std::uint64_t active_series() const {
    return spans_.active_series() + target_info_.active_series();
  }

 private:
  struct Resource;

  struct Dimension {
    std::string key;
    std::string label;
  };

  [[nodiscard]] Resource read_resource(const telemetry::SpanBatch& batch,
                                       const telemetry::BatchResource& resource,
                                       core::Arena& arena) const;
  void observe_target_info(const telemetry::SpanBatch& batch,
                           const telemetry::BatchResource& resource, const Resource& read,
                           TimestampMs now, core::Arena& arena);
  void observe_span(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span,
                    const Resource& resource, TimestampMs now, core::Arena& arena,
                    std::vector<telemetry::LabelView>& labels);

  SpanMetricsOptions options_;
  std::vector<Dimension> dimensions_;
  const Clock& clock_;
  MetricTable spans_;
  MetricTable target_info_;
  CollectedSeries collected_;
};

}  // namespace gantry::pipeline
