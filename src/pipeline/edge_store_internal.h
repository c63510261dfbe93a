#pragma once

// Half-known requests that wait for their other span. Private to this folder.

#include <cstddef>
#include <iterator>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>

#include "core/hash.h"
#include "core/time.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

/// A request is known by its client's span, which the server's span has as its parent.
struct EdgeKey {
  telemetry::TraceId trace_id;
  telemetry::SpanId client_span = 0;  ///< 0: the server's span is a root.

  friend bool operator==(const EdgeKey&, const EdgeKey&) = default;
};

struct Edge {
  EdgeKey key;
  std::string client;
  std::string server;
  std::string_view connection_type;  ///< Of static duration.
  std::string peer;
  double client_seconds = 0;
  double server_seconds = 0;
  bool is_failed = false;
  TimestampMs expires;

  [[nodiscard]] bool is_complete() const { return !client.empty() && !server.empty(); }
};

/// Edges by key and by age. Not thread-safe.
class EdgeStore {
 public:
  EdgeStore(DurationMs wait, std::size_t waiting_max) : wait_(wait), waiting_max_(waiting_max) {}

  /// Takes the waiting edge of `key` out, or makes one.
  Edge take(const EdgeKey& key, TimestampMs now) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) {
      Edge edge;
      edge.key = key;
      edge.expires = now + wait_;
      return edge;
    }
    Edge edge = std::move(*found->second);
    by_age_.erase(found->second);
    by_key_.erase(found);
    return edge;
  }

  /// False when there is no room: the edge is lost.
  [[nodiscard]] bool put(Edge edge) {
    if (by_age_.size() >= waiting_max_) return false;
    // An edge that was taken out and comes back keeps its place in time.
    auto place = by_age_.end();
    while (place != by_age_.begin() && std::prev(place)->expires > edge.expires) --place;
    const EdgeKey key = edge.key;
    by_key_[key] = by_age_.insert(place, std::move(edge));
    return true;
  }

  /// The oldest edge if its time is up.
  [[nodiscard]] std::optional<Edge> take_expired(TimestampMs now) {
    if (by_age_.empty() || by_age_.front().expires > now) return std::nullopt;
    Edge edge = std::move(by_age_.front());
    by_key_.erase(edge.key);
    by_age_.pop_front();
    return edge;
  }

  [[nodiscard]] std::size_t size() const { return by_age_.size(); }

 private:
  struct HashOfKey {
    std::size_t operator()(const EdgeKey& key) const {
      const std::string_view bytes(reinterpret_cast<const char*>(key.trace_id.bytes.data()),
                                   key.trace_id.bytes.size());
      return core::hash64(bytes, core::process_hash_seed() ^ key.client_span);
    }
  };

  DurationMs wait_;
  std::size_t waiting_max_;
  std::list<Edge> by_age_;
  boost::unordered_flat_map<EdgeKey, std::list<Edge>::iterator, HashOfKey> by_key_;
};

}  // namespace gantry::pipeline
