#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/mutex.h"
#include "core/time.h"
#include "gateway/catalogue.h"
#include "gateway/random_source.h"

namespace gantry::gateway {

/// Chooses among the keys of one provider: by weight, of those that were not put aside. If all
/// were, the one whose time is over soonest. Thread-safe.
class ProviderKeys {
 public:
  /// However long a provider asks to wait, its key is tried again after this.
  static constexpr DurationMs kAsideTimeMax{3'600'000};

  /// `clock` and `random` outlive this.
  ProviderKeys(std::span<const ProviderKey> keys, const Clock& clock, RandomSource& random);

  /// The index of a key; nothing if the provider has none.
  [[nodiscard]] std::optional<std::size_t> pick();

  /// Until `time` from now, or later if it was put aside for longer before.
  void put_aside(std::size_t key_index, DurationMs time);

  [[nodiscard]] bool has_free_key() const;

 private:
  struct State {
    std::uint32_t weight = 1;
    TimestampMs aside_until;
  };

  const Clock& clock_;
  RandomSource& random_;
  mutable core::Mutex mutex_;
  std::vector<State> keys_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::gateway
