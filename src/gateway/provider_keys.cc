#include "gateway/provider_keys.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace gantry::gateway {

ProviderKeys::ProviderKeys(std::span<const ProviderKey> keys, const Clock& clock,
                           RandomSource& random)
    : clock_(clock), random_(random) {
  constexpr TimestampMs kNever{std::numeric_limits<std::int64_t>::min()};
  for (const ProviderKey& key : keys) {
    keys_.push_back({.weight = key.weight, .aside_until = kNever});
  }
}

std::optional<std::size_t> ProviderKeys::pick() {
  const TimestampMs now = clock_.now();
  const core::Lock lock(mutex_);
  if (keys_.empty()) return std::nullopt;
  double total = 0;
  for (const State& key : keys_) total += key.aside_until <= now ? key.weight : 0;
  if (total == 0) {
    const auto soonest = std::ranges::min_element(keys_, {}, &State::aside_until);
    return static_cast<std::size_t>(soonest - keys_.begin());
  }
  double left = random_.unit() * total;
  std::size_t picked = 0;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (keys_[i].aside_until > now) continue;
    picked = i;
    left -= keys_[i].weight;
    if (left < 0) break;
  }
  return picked;
}

void ProviderKeys::put_aside(std::size_t key_index, DurationMs time) {
  const TimestampMs until = clock_.now() + std::min(time, kAsideTimeMax);
  const core::Lock lock(mutex_);
  GANTRY_ASSERT(key_index < keys_.size(), "the index came from pick()");
  keys_[key_index].aside_until = std::max(keys_[key_index].aside_until, until);
}

bool ProviderKeys::has_free_key() const {
  const TimestampMs now = clock_.now();
  const core::Lock lock(mutex_);
  return std::ranges::any_of(keys_, [&](const State& key) { return key.aside_until <= now; });
}

}  // namespace gantry::gateway
