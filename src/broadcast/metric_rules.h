#pragma once

// What a destination's own rules make of samples on their way to it: metric_relabel_configs, then
// stream aggregation.

#include <functional>
#include <memory>
#include <string>

#include "broadcast/destination.h"
#include "broadcast/metric_items.h"
#include "core/metrics.h"
#include "core/time.h"
#include "pipeline/relabelled_batch.h"
#include "pipeline/stream_aggregation.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"

namespace gantry::broadcast {

/// Rules with what they have seen. Thread-safe.
class MetricRules {
 public:
  /// Called once, with views as long as the call; all in it is for the destination.
  using Sink = std::function<void(const telemetry::MetricBatch& batch)>;

  /// Null: the destination has none. `registry` outlives it.
  static std::shared_ptr<MetricRules> make(const Destination& destination,
                                           core::MetricRegistry& registry, TimestampMs now);

  /// `aggregation` may be null.
  MetricRules(const Destination& destination,
              std::unique_ptr<pipeline::StreamAggregation> aggregation);

  /// Whether these are the destination's: a change begins anew.
  [[nodiscard]] bool are_of(const Destination& destination) const;

  /// The samples that a store has taken, without those that `stored` says it refused.
  void pass(const telemetry::MetricBatch& batch, const telemetry::AppendResult& stored,
            TimestampMs now, const Sink& sink);

  /// By the relabelling alone: the windows of the aggregation are those of the present.
  void relabel(const telemetry::MetricBatch& batch, const Sink& sink);

  /// Windows that have ended up to `now`. The sink is not called when there are none.
  void collect(TimestampMs now, const Sink& sink);

  /// Those, and what open windows have.
  void flush(TimestampMs now, const Sink& sink);

  /// When the destination was last told what of families: it is told of other ones than the rest.
  [[nodiscard]] MetadataRhythm& metadata() { return metadata_; }

 private:
  const std::string relabel_json_;
  const std::string aggregation_json_;
  pipeline::Relabeller relabeller_;
  const std::unique_ptr<pipeline::StreamAggregation> aggregation_;
  MetadataRhythm metadata_;
};

}  // namespace gantry::broadcast
