#include "gateway/sticky_sessions.h"

namespace gantry::gateway {
namespace {

core::Hash128 hash_of(const SessionKey& key) {
  // Lengths keep ("a", "bc") and ("ab", "c") apart.
  std::string text;
  for (const std::string_view part : {key.owner, key.session, key.model}) {
    text.append(std::to_string(part.size())).append(1, ':').append(part);
  }
  return core::hash128(text, core::process_hash_seed());
}

}  // namespace

void StickySessions::record_success(const SessionKey& key, std::string_view provider_slug) {
  if (key.session.empty() || sessions_max_ == 0) return;
  const core::Hash128 hash = hash_of(key);
  const TimestampMs now = clock_.now();
  const core::Lock lock(mutex_);
  if (const auto found = by_key_.find(hash); found != by_key_.end()) {
    sessions_.splice(sessions_.begin(), sessions_, found->second);
  } else {
    sessions_.push_front({.key = hash, .provider_slug = {}, .succeeded_at = now});
    by_key_.emplace(hash, sessions_.begin());
  }
  sessions_.front().provider_slug = provider_slug;
  sessions_.front().succeeded_at = now;
  forget(now);
}

std::optional<std::string> StickySessions::find_provider(const SessionKey& key) const {
  if (key.session.empty()) return std::nullopt;
  const core::Hash128 hash = hash_of(key);
  const TimestampMs now = clock_.now();
  const core::Lock lock(mutex_);
  const auto found = by_key_.find(hash);
  if (found == by_key_.end() || now - found->second->succeeded_at >= kLifetime) {
    return std::nullopt;
  }
  return found->second->provider_slug;
}

std::size_t StickySessions::session_count() const {
  const core::Lock lock(mutex_);
  return sessions_.size();
}

void StickySessions::forget(TimestampMs now) {
  while (sessions_.size() > sessions_max_ ||
         (!sessions_.empty() && now - sessions_.back().succeeded_at >= kLifetime)) {
    by_key_.erase(sessions_.back().key);
    sessions_.pop_back();
  }
}

}  // namespace gantry::gateway
