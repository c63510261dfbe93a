#pragma once

// A bounded map whose entries expire: least recently used out first.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/mutex.h"
#include "core/time.h"

namespace gantry::access {

/// Thread-safe. Values are handed out as copies: make them cheap. O(1).
template <class Key, class Value, class Hash>
class ExpiringCache {
 public:
  /// `kept_for`: how long `find_stale` still finds an entry; at least its time to live.
  ExpiringCache(std::size_t entries_max, DurationMs time_to_live, DurationMs kept_for = {0})
      : entries_max_(entries_max),
        time_to_live_(time_to_live),
        kept_for_(std::max(kept_for, time_to_live)) {}

  /// An entry is live from when it was put until its time to live has passed; a clock that was set
  /// back ends its life too.
  std::optional<Value> find(const Key& key, TimestampMs now) {
    return find_younger(key, now, time_to_live_);
  }

  /// An entry past its time to live but not older than `kept_for`: for when nothing better can be
  /// had.
  std::optional<Value> find_stale(const Key& key, TimestampMs now) {
    return find_younger(key, now, kept_for_);
  }

  /// Counts the calls of `clear`. Take it before reading the value that `put` is given: a value
  /// that was read before a clearing is then not kept after it.
  [[nodiscard]] std::uint64_t generation() const {
    const core::Lock lock(mutex_);
    return generation_;
  }

  void put(const Key& key, Value value, TimestampMs now, std::uint64_t generation) {
    const core::Lock lock(mutex_);
    if (generation != generation_) return;
    if (const auto found = index_.find(key); found != index_.end()) {
      entries_.erase(found->second);
      index_.erase(found);
    }
    entries_.push_front({.key = key, .value = std::move(value), .put_at = now});
    index_.emplace(key, entries_.begin());
    if (entries_.size() <= entries_max_) return;
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }

  void clear() {
    const core::Lock lock(mutex_);
    ++generation_;
    index_.clear();
    entries_.clear();
  }

  [[nodiscard]] std::size_t size() const {
    const core::Lock lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    Key key;
    Value value;
    TimestampMs put_at;
  };

  std::optional<Value> find_younger(const Key& key, TimestampMs now, DurationMs age_max) {
    const core::Lock lock(mutex_);
    const auto found = index_.find(key);
    if (found == index_.end()) return std::nullopt;
    const TimestampMs put_at = found->second->put_at;
    if (now < put_at || now - put_at >= kept_for_) {
      entries_.erase(found->second);
      index_.erase(found);
      return std::nullopt;
    }
    if (now - put_at >= age_max) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  const std::size_t entries_max_;
  const DurationMs time_to_live_;
  const DurationMs kept_for_;
  mutable core::Mutex mutex_;
  std::uint64_t generation_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::list<Entry> entries_ GANTRY_GUARDED_BY(mutex_);
  std::unordered_map<Key, typename std::list<Entry>::iterator, Hash> index_
      GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::access
