#pragma once

// Prometheus series as OTLP metrics: ExportMetricsServiceRequest in protobuf and in JSON.
//
//   codec::OtlpMetricsEncoder encoder(codec::OtlpNames::AsTyped);   // one per destination
//   const auto left_out = encoder.append_protobuf(decoder.batch(), body);
//
// Sources: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", "Prometheus
// Metric points to OTLP"; the reverse of otlp_to_prometheus.h.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "codec/metric_families.h"
#include "telemetry/labels.h"
#include "telemetry/metric_batch.h"

namespace gantry::codec {

/// What decides between a metric's type and its name. Receivers that write Prometheus names put
/// "_total" behind every monotonic sum.
enum class OtlpNames : std::uint8_t {
  AsTyped,  ///< Every counter is a sum.
  Stable,   ///< One that such a receiver would rename is a gauge.
};

/// What OTLP cannot say is left out.
struct OtlpOmissions {
  std::uint64_t labels = 0;  ///< Samples of series whose labels cannot be read, or without name.
  std::uint64_t histograms = 0;  ///< Native ones that are gauges, have float counts, or span more
                                 ///< than kOtlpBucketsMax buckets.

  [[nodiscard]] std::uint64_t total() const { return labels + histograms; }
};

/// OTLP writes the empty buckets between the first and the last.
inline constexpr std::uint64_t kOtlpBucketsMax = 10'000;

/// The resource attributes that series of a job and instance get from their target_info.
using TargetAttributes =
    std::map<std::pair<std::string, std::string>, std::vector<telemetry::Label>>;

/// Remembers what batches say of metric families and targets, for later ones come without.
///
/// job and instance become service.name and service.instance.id, other labels of a target_info
/// attributes of that resource (one that comes alone, or ends, is a gauge as well), otel_scope_*
/// the scope. Names stay as they are; a unit is told where it is the name's last word. Counters are
/// monotonic cumulative sums; histograms and summaries are put together from their series where a
/// batch has all of them at a time, and are else gauges under the names of the series, so that
/// nothing is lost of what senders have split. Stale markers are points without a recorded value;
/// exemplars go with the last point of their series.
///
/// Not thread-safe.
class OtlpMetricsEncoder {
 public:
  explicit OtlpMetricsEncoder(OtlpNames names) : names_(names) {}

  /// Appends nothing when nothing is left to say.
  OtlpOmissions append_protobuf(const telemetry::MetricBatch& batch, std::string& out);
  OtlpOmissions append_json(const telemetry::MetricBatch& batch, std::string& out);

 private:
  static constexpr std::size_t kTargetsMax = 10'000;

  OtlpNames names_;
  MetricFamilies families_;
  TargetAttributes targets_;
};

}  // namespace gantry::codec
