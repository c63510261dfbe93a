#pragma once

// What destinations there are, as those see it who offer events: an immutable snapshot, replaced
// whole when destinations change. And the offering itself.

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broadcast/broadcaster.h"
#include "broadcast/broadcaster_metrics_internal.h"
#include "broadcast/metric_items.h"
#include "broadcast/metric_rules.h"
#include "broadcast/recent_items.h"
#include "broadcast/span_views.h"
#include "core/mutex.h"
#include "pipeline/trace_sessions.h"

namespace gantry::broadcast {

struct Target {
  Destination destination;  ///< Without its secrets.
  std::shared_ptr<DestinationMetrics> metrics;
  std::shared_ptr<MetricRules> metric_rules;  ///< Null: it gets metrics as they are.
};

/// Of one stack.
struct StackTargets {
  std::vector<Target> traces;
  std::vector<Target> metrics;
};

using BroadcastPlan = std::map<StackId, StackTargets>;

/// Decides, makes views, encodes and queues. Thread-safe.
class Offers {
 public:
  /// `queue` and `clock` outlive it.
  Offers(Queue& queue, const Clock& clock, std::size_t item_bytes_max)
      : queue_(queue), clock_(clock), item_bytes_max_(item_bytes_max) {}

  void publish(std::shared_ptr<const BroadcastPlan> plan) {
    const core::Lock lock(plan_mutex_);
    plan_ = std::move(plan);
  }

  void offer(const CallEvent& event);
  void offer(StackId stack, const telemetry::SpanBatch& batch);
  void offer(StackId stack, const telemetry::MetricBatch& batch,
             const telemetry::AppendResult& stored);

  /// Queues what stream aggregations have finished.
  void collect_aggregates();

  /// Queues what is in a destination's aggregation, open windows too: it has no use any more.
  void flush_aggregates(const Target& target);

  /// The same for all destinations.
  void flush_aggregates();

  /// As ReplayOutlet has it, but for whether the queue knows the destination.
  Result<Requeued> requeue(StackId stack, const DestinationId& id,
                           const telemetry::SpanBatch& batch);
  Result<std::uint64_t> requeue(StackId stack, const DestinationId& id,
                                const telemetry::MetricBatch& batch);

  /// Null: there is none that takes traces (metrics). Shares the plan.
  [[nodiscard]] std::shared_ptr<const Target> find_trace_target(StackId stack,
                                                                const DestinationId& id) const;
  [[nodiscard]] std::shared_ptr<const Target> find_metric_target(StackId stack,
                                                                 const DestinationId& id) const;

 private:
  struct View;

  [[nodiscard]] std::shared_ptr<const BroadcastPlan> plan() const {
    const core::Lock lock(plan_mutex_);
    return plan_;
  }

  /// By index of `groups`; counts what takes nothing.
  [[nodiscard]] std::vector<bool> kept_groups(const Target& target,
                                              std::span<const TraceGroup> groups,
                                              std::span<const std::string> sampling_keys) const;
  [[nodiscard]] std::vector<std::string> sampling_keys(StackId stack,
                                                       std::span<const TraceGroup> groups,
                                                       std::span<const Target> targets);
  /// Queues them for all of `targets`, whose stack it is.
  void queue_spans(StackId stack, const telemetry::SpanBatch& batch,
                   std::span<const Target> targets);
  void encode_view(const View& view, const telemetry::SpanBatch& batch,
                   std::span<const TraceGroup> groups, const ItemSink& sink) const;
  void queue_view(StackId stack, const View& view, const telemetry::SpanBatch& batch,
                  std::span<const TraceGroup> groups);
  Result<void> append(StackId stack, std::span<const Target* const> targets,
                      std::string_view payload, std::uint32_t spans);
  void queue_samples(StackId stack, std::span<const Target* const> targets,
                     const telemetry::MetricBatch& batch, const telemetry::AppendResult& stored,
                     MetadataRhythm& metadata);
  /// Several, or one at a time where one is too large.
  Result<std::uint64_t> append_past(const Target& target, std::span<const QueueItem> items);
  void queue_ruled(const Target& target, const telemetry::MetricBatch& batch);
  /// Counts and logs that `items` items are lost, if they are.
  void note(StackId stack, std::span<const Target* const> targets, std::size_t items,
            const Result<void>& appended);

  Queue& queue_;
  const Clock& clock_;
  const std::size_t item_bytes_max_;
  pipeline::TraceSessions sessions_;
  MetadataRhythm metadata_;
  RecentItems recent_;
  std::atomic<bool> is_failing_ =
      false;  ///< Only changes are logged: each event would fill a disk.
  /// Held to copy the pointer. An atomic one is a lock too in libstdc++, and one that
  /// ThreadSanitizer cannot follow.
  mutable core::Mutex plan_mutex_;
  std::shared_ptr<const BroadcastPlan> plan_ GANTRY_GUARDED_BY(plan_mutex_) =
      std::make_shared<const BroadcastPlan>();
};

}  // namespace gantry::broadcast
