#pragma once

// What one collection yields: metric families, as an exposition page would list them.

#include <string>
#include <string_view>
#include <vector>

#include "core/metrics.h"
#include "telemetry/metric_batch.h"

namespace gantry::collect {

struct FamilySample {
  std::string name;  ///< The family's, or with _bucket, _sum, _count.
  core::MetricLabels labels;
  double value = 0;
};

struct Family {
  std::string name;
  std::string help;
  telemetry::MetricType type = telemetry::MetricType::Unknown;
  std::vector<FamilySample> samples;
};

/// Families by name, in order of first use. Adding is O(families) at worst, for tens of them.
class FamilySet {
 public:
  /// Help and type of the first call for the name stay.
  void add(std::string_view name, std::string_view help, telemetry::MetricType type,
           core::MetricLabels labels, double value);

  void counter(std::string_view name, std::string_view help, core::MetricLabels labels,
               double value) {
    add(name, help, telemetry::MetricType::Counter, std::move(labels), value);
  }

  void gauge(std::string_view name, std::string_view help, core::MetricLabels labels,
             double value) {
    add(name, help, telemetry::MetricType::Gauge, std::move(labels), value);
  }

  [[nodiscard]] std::vector<Family> take() { return std::move(families_); }

 private:
  std::vector<Family> families_;
};

/// Gantry's own metrics as families.
[[nodiscard]] std::vector<Family> own_families(const core::MetricRegistry& registry);

}  // namespace gantry::collect
