#pragma once

// Which provider served a session last, so that its next call finds the provider's prompt cache.

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/hash.h"
#include "core/mutex.h"
#include "core/time.h"

namespace gantry::gateway {

/// A session of one owner (an API key's hash, say) with one model: a cache is of use to no other
/// model, and another owner's session of the same name is another session.
struct SessionKey {
  std::string_view owner;
  std::string_view session;  ///< session_id, else prompt_cache_key; "": none.
  std::string_view model;
};

/// Thread-safe. Sessions are kept for 10 minutes after their last success; of more than
/// `sessions_max`, those that succeeded longest ago are forgotten. About 200 bytes each.
class StickySessions {
 public:
  static constexpr DurationMs kLifetime{600'000};

  /// `clock` outlives this. Only differences of its times count; best one that never steps.
  explicit StickySessions(const Clock& clock, std::size_t sessions_max = 65'536)
      : clock_(clock), sessions_max_(sessions_max) {}

  /// Without a session: nothing happens.
  void record_success(const SessionKey& key, std::string_view provider_slug);

  /// Nothing without a session, or when it has no provider (any more).
  [[nodiscard]] std::optional<std::string> find_provider(const SessionKey& key) const;

  [[nodiscard]] std::size_t session_count() const;

 private:
  struct Session {
    core::Hash128 key;
    std::string provider_slug;
    TimestampMs succeeded_at;
  };

  struct KeyHash {
    std::size_t operator()(const core::Hash128& key) const { return key.low; }
  };

  void forget(TimestampMs now) GANTRY_REQUIRES(mutex_);

  const Clock& clock_;
  const std::size_t sessions_max_;
  mutable core::Mutex mutex_;
  std::list<Session> sessions_ GANTRY_GUARDED_BY(mutex_);  ///< The latest success first.
  std::unordered_map<core::Hash128, std::list<Session>::iterator, KeyHash> by_key_
      GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::gateway
