#include <algorithm>
#include <string_view>
#include <utility>

#include "broadcast/broadcaster_metrics_internal.h"

namespace gantry::broadcast {
namespace {

core::Counter& events_counter(core::MetricRegistry& registry, const DestinationId& id,
                              std::string_view result) {
  return registry.counter(
      "gantry_broadcast_events_total",
      "Finished LLM calls, and what one request brought of spans, by what became of them.",
      {{"destination", id}, {"result", std::string(result)}});
}

core::Gauge& gauge(core::MetricRegistry& registry, const DestinationId& id, std::string_view name,
                   std::string_view help) {
  return registry.gauge(name, help, {{"destination", id}});
}

/// What `now` has more than `seen`, which catches up.
std::uint64_t take_growth(std::uint64_t& seen, std::uint64_t now) {
  const std::uint64_t before = std::exchange(seen, now);
  return now > before ? now - before : 0;
}

}  // namespace

QueueDepth depth_of(const Queue& queue, const DestinationId& id) {
  QueueDepth all;
  for (const Signal signal : kSignals) {
    const QueueDepth depth = queue.depth(lane_of(id, signal));
    all.items += depth.items;
    all.bytes += depth.bytes;
    if (depth.oldest_ms)
      all.oldest_ms = std::min(all.oldest_ms.value_or(*depth.oldest_ms), *depth.oldest_ms);
  }
  return all;
}

DestinationMetrics::DestinationMetrics(core::MetricRegistry& registry, DestinationId id)
    : registry_(registry),
      id_(std::move(id)),
      sent_(events_counter(registry, id_, "sent")),
      sampled_(events_counter(registry, id_, "sampled")),
      filtered_(events_counter(registry, id_, "filtered")),
      key_filtered_(events_counter(registry, id_, "key_filtered")),
      disabled_(events_counter(registry, id_, "disabled")),
      dropped_(events_counter(registry, id_, "dropped")),
      dead_(events_counter(registry, id_, "dead")),
      queue_events_(
          gauge(registry, id_, "gantry_broadcast_queue_events", "Events that wait to be sent.")),
      queue_bytes_(gauge(registry, id_, "gantry_broadcast_queue_bytes",
                         "Bytes of events that wait to be sent.")),
      oldest_seconds_(gauge(registry, id_, "gantry_broadcast_oldest_seconds",
                            "Age of the oldest event that waits to be sent; 0: none does.")),
      dead_letters_(gauge(registry, id_, "gantry_broadcast_dead_letters",
                          "Events that were refused for good and are kept.")),
      send_seconds_(registry.histogram("gantry_broadcast_send_seconds",
                                       "Time of a request to a destination.",
                                       core::default_duration_bounds(), {{"destination", id_}})) {}

void DestinationMetrics::count(Decision decision) {
  switch (decision) {
    case Decision::Taken:
      return;
    case Decision::Disabled:
      return disabled_.add();
    case Decision::KeyFiltered:
      return key_filtered_.add();
    case Decision::Sampled:
      return sampled_.add();
    case Decision::Filtered:
      return filtered_.add();
  }
}

void DestinationMetrics::update(const Queue& queue, const DeadLetters& letters, TimestampMs now) {
  std::uint64_t sent = 0;
  std::uint64_t dead = 0;
  std::uint64_t dropped = 0;
  for (const Signal signal : kSignals) {
    const DestinationId lane = lane_of(id_, signal);
    sent += queue.finished(lane, Outcome::Sent);
    dead += queue.finished(lane, Outcome::DeadLettered);
    for (std::size_t reason = 0; reason < kDropReasonCount; ++reason)
      dropped += queue.dropped(lane, static_cast<DropReason>(reason));
  }
  sent_.add(take_growth(sent_seen_, sent));
  dead_.add(take_growth(dead_seen_, dead));
  dropped_.add(take_growth(dropped_seen_, dropped));
  const QueueDepth depth = depth_of(queue, id_);
  queue_events_.set(static_cast<double>(depth.items));
  queue_bytes_.set(static_cast<double>(depth.bytes));
  oldest_seconds_.set(
      depth.oldest_ms ? static_cast<double>(now.since_epoch - *depth.oldest_ms) / 1000 : 0);
  dead_letters_.set(static_cast<double>(letters.count(id_).letters));
}

void DestinationMetrics::update(Signal signal, const DeliveryStatistics& statistics) {
  Retries& seen = retries_seen_.at(static_cast<std::size_t>(signal) - 1);
  for (std::size_t i = 0; i < kFailureKindCount; ++i) {
    const std::uint64_t growth = take_growth(seen.at(i), statistics.retries.at(i));
    if (growth == 0) continue;
    registry_
        .counter("gantry_broadcast_retries_total", "Requests to be repeated, by why.",
                 {{"destination", id_},
                  {"reason", std::string(failure_kind_name(static_cast<FailureKind>(i)))}})
        .add(growth);
  }
}

}  // namespace gantry::broadcast
