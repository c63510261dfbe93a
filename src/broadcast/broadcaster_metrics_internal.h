#pragma once

// The metrics of broadcasting, by destination.

#include <array>
#include <cstdint>
#include <string>

#include "broadcast/dead_letters.h"
#include "broadcast/decision.h"
#include "broadcast/delivery.h"
#include "broadcast/queue.h"
#include "core/metrics.h"

namespace gantry::broadcast {

/// Of all lanes of a destination.
[[nodiscard]] QueueDepth depth_of(const Queue& queue, const DestinationId& id);

/// Of one destination, for as long as the registry lives: families have no members that go.
/// `count` may be called on any thread, the rest on one.
class DestinationMetrics {
 public:
  /// The registry must outlive it.
  DestinationMetrics(core::MetricRegistry& registry, DestinationId id);

  /// An event that was not taken.
  void count(Decision decision);

  /// Events that were taken and could not be queued.
  void count_lost(std::uint64_t events) { dropped_.add(events); }

  /// Takes over what has happened since the last time.
  void update(const Queue& queue, const DeadLetters& letters, TimestampMs now);
  void update(Signal signal, const DeliveryStatistics& statistics);

  /// The next statistics of the signal are those of a new delivery.
  void begin_delivery(Signal signal) {
    retries_seen_.at(static_cast<std::size_t>(signal) - 1) = {};
  }

  [[nodiscard]] core::Histogram& send_seconds() { return send_seconds_; }

 private:
  using Retries = std::array<std::uint64_t, kFailureKindCount>;

  core::MetricRegistry& registry_;
  const DestinationId id_;
  core::Counter& sent_;
  core::Counter& sampled_;
  core::Counter& filtered_;
  core::Counter& key_filtered_;
  core::Counter& disabled_;
  core::Counter& dropped_;
  core::Counter& dead_;
  core::Gauge& queue_events_;
  core::Gauge& queue_bytes_;
  core::Gauge& oldest_seconds_;
  core::Gauge& dead_letters_;
  core::Histogram& send_seconds_;
  std::uint64_t sent_seen_ = 0;
  std::uint64_t dropped_seen_ = 0;
  std::uint64_t dead_seen_ = 0;
  std::array<Retries, kSignals.size()> retries_seen_{};
};

}  // namespace gantry::broadcast
