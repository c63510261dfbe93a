#pragma once

// Collects targets at a fixed interval on a thread of its own and hands the batches on.
//
//   std::vector<std::unique_ptr<Target>> targets;
//   targets.push_back(std::make_unique<Target>(
//       Target::Options{.job = "node", .instance = host_name()},
//       [&](TimestampMs at) { return host->read(at); }));
//   Collector collector({.interval = {15'000}}, std::move(targets), sink, registry, clock);
//   collector.start();

#include <functional>
#include <memory>
#include <vector>

#include "collect/target.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/own_span.h"
#include "core/time.h"
#include "telemetry/metric_batch.h"

namespace gantry::collect {

/// Takes one target's batch; may block until it is durable. Views in the batch live for the call.
using Sink = std::function<Result<void>(const telemetry::MetricBatch&)>;

/// `start`, `stop` and `collect_round` from one thread; the sink is called from the collector's.
class Collector {
 public:
  struct Options {
    DurationMs interval{15'000};
    /// Gets each round's spans; empty: nobody does.
    std::function<void(std::vector<core::OwnSpan>)> record;
  };

  /// The registry and the clock must outlive it.
  Collector(Options options, std::vector<std::unique_ptr<Target>> targets, Sink sink,
            core::MetricRegistry& metrics, const Clock& clock);

  /// stop()
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  /// Collects once per interval, at its multiples since the epoch, which are also the timestamps.
  /// Rounds that were missed (the machine slept, the sink hung) are left out.
  void start();

  /// Returns when a round that is going on has ended. May be called twice.
  void stop();

  /// One round now, on the calling thread. Not while started. A batch that the sink refuses is
  /// lost, counted in gantry_collect_failures_total, and logged when the refusals begin and end.
  void collect_round(TimestampMs at);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::collect
