#pragma once

// One thing that is collected, turned into the batches that Prometheus would store for its scrapes:
// the samples with job and instance, `up` and the scrape_* series, and stale markers for series
// that were there the last time.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collect/family.h"
#include "core/hash.h"
#include "core/time.h"
#include "telemetry/labels.h"
#include "telemetry/metric_batch.h"

namespace gantry::collect {

/// Families at a time; none means that the target is down.
using Gather = std::function<std::vector<Family>(TimestampMs)>;

/// One thread at a time.
class Target {
 public:
  struct Options {
    std::string job;
    std::string instance;
  };

  Target(Options options, Gather gather);
  ~Target();
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  /// Gathers now and stamps every sample with `at`. A label of the target's own called job or
  /// instance becomes exported_job or exported_instance; of equal series in one collection the
  /// first counts. The batch is valid until the next call or destruction.
  const telemetry::MetricBatch& collect(TimestampMs at);

  [[nodiscard]] const std::string& job() const { return options_.job; }

 private:
  class Resolver;

  telemetry::Labels target_labels(std::string_view name, const core::MetricLabels& labels) const;
  /// False when the batch has the series already.
  bool append(telemetry::Labels labels, std::int64_t timestamp_ms, double value);
  void append_report(std::string_view name, TimestampMs at, double value);
  void append_stale_markers(TimestampMs at);

  Options options_;
  Gather gather_;
  std::vector<Family> families_;           // what the batch's metadata refers to
  std::vector<telemetry::Labels> labels_;  // of the batch's series
  std::map<core::Hash128, telemetry::Labels> previous_;
  std::map<core::Hash128, telemetry::Labels> current_;
  std::unique_ptr<Resolver> resolver_;
  telemetry::MetricBatch batch_;
};

}  // namespace gantry::collect
