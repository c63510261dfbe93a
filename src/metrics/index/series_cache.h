#pragma once

// From a codec's 128-bit series key to the series: so that a known series' labels are never
// decoded.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/hash.h"
#include "core/mutex.h"
#include "telemetry/metric_batch.h"

namespace gantry::metrics {

/// Two generations: when the current one is full it becomes the previous one, and keys that are
/// still used move over; so keys that nobody sends any more go away. 96 bits of a key are compared:
/// with a hash seeded per process, two of 50 million keys collide in one process of 10^13.
/// Thread-safe.
class SeriesCache {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  /// Sets ids[i] to the series of batch[i], or kNone. Hot: per series of a request. The look-ups of
  /// a batch overlap their cache misses.
  void find(std::span<const telemetry::BatchSeries> batch, std::span<std::uint32_t> ids);

  struct Entry {
    core::Hash128 key;
    std::uint32_t series = 0;
  };

  /// `series_count`: how many series there are; decides the size of a generation.
  void insert(std::span<const Entry> entries, std::size_t series_count);

  void clear();

  [[nodiscard]] std::size_t allocated_bytes() const;

 private:
  struct Slot {
    std::uint64_t tag = 0;   ///< The key's high half.
    std::uint32_t home = 0;  ///< 32 bits of its low half: where the slot is looked for.
    std::uint32_t series = kNone;
  };

  class Table {
   public:
    [[nodiscard]] std::uint32_t find(const core::Hash128& key) const {
      if (slots_.empty()) return kNone;
      const auto home = static_cast<std::uint32_t>(key.low);
      for (std::size_t slot = home & mask_;; slot = (slot + 1) & mask_) {
        const Slot& entry = slots_[slot];
        if (entry.series == kNone || (entry.tag == key.high && entry.home == home)) {
          return entry.series;
        }
      }
    }

    void prefetch(const core::Hash128& key) const {
      if (!slots_.empty()) __builtin_prefetch(&slots_[static_cast<std::uint32_t>(key.low) & mask_]);
    }

    /// Overwrites an entry with the same key.
    void insert(const Slot& entry);

    [[nodiscard]] std::size_t size() const { return count_; }

    [[nodiscard]] std::size_t allocated_bytes() const { return slots_.capacity() * sizeof(Slot); }

   private:
    void grow();

    std::vector<Slot> slots_;
    std::size_t mask_ = 0;
    std::size_t count_ = 0;
  };

  mutable core::SharedMutex mutex_;
  Table current_ GANTRY_GUARDED_BY(mutex_);
  Table previous_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::metrics
