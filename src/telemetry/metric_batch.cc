#include "telemetry/metric_batch.h"

namespace gantry::telemetry {

std::string_view metric_type_name(MetricType type) {
  switch (type) {
    case MetricType::Unknown:
      return "unknown";
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
    case MetricType::GaugeHistogram:
      return "gaugehistogram";
    case MetricType::Summary:
      return "summary";
    case MetricType::Info:
      return "info";
    case MetricType::StateSet:
      return "stateset";
  }
  return "unknown";
}

void MetricBatch::clear() {
  series.clear();
  samples.clear();
  start_timestamps_ms.clear();
  histograms.clear();
  exemplars.clear();
  metadata.clear();
  resolver = nullptr;
  body_bytes = 0;
}

}  // namespace gantry::telemetry
