#pragma once

// The newest samples of all series, in shards. Nothing in it is on disk by itself: the log is.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "metrics/head/head_series.h"
#include "metrics/index/series_registry.h"
#include "metrics/log/log_record.h"

namespace gantry::metrics {

/// Runs of 64 series ids share a shard: a pass over ascending ids takes few locks, and the series
/// of one sender still spread over all shards.
///
/// Generations: what is stored under generation g is sealed before anything of g + 1 is stored, so
/// a flush that has begun g + 1 finds everything older in immutable blocks.
class Head {
 public:
  static constexpr std::size_t kShardCount = 16;

  explicit Head(SeriesRegistry& registry) : registry_(registry) {}

  ~Head();
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  [[nodiscard]] static constexpr std::size_t shard_of(std::uint32_t series) {
    return (series >> 6) % kShardCount;
  }

  /// Calls `use(record, context)` with the series' shard locked.
  template <class Use>
  auto with_series(std::uint32_t series, const Use& use) const {
    Shard& shard = shards_[shard_of(series)];
    const core::Lock lock(shard.mutex);
    return use(registry_.record(series), shard.context);
  }

  /// Calls `use(i, record, context)` for each of `series` with its shard locked; takes a lock only
  /// where the shard changes from one to the next. Hot: per series.
  template <class Use>
  void for_each_series(std::span<const std::uint32_t> series, const Use& use) const {
    for (std::size_t i = 0; i < series.size();) {
      const std::size_t shard_index = shard_of(series[i]);
      Shard& shard = shards_[shard_index];
      const core::Lock lock(shard.mutex);
      for (; i < series.size() && shard_of(series[i]) == shard_index; ++i) {
        if (i + kPrefetchAhead < series.size()) {
          __builtin_prefetch(&registry_.record(series[i + kPrefetchAhead]));
        }
        use(i, registry_.record(series[i]), shard.context);
      }
    }
  }

  /// The shards whose number leaves `remainder`: how a replay is shared between threads.
  struct ShardSet {
    std::size_t modulus = 1;
    std::size_t remainder = 0;
  };

  /// Stores what a replay has read, of the series of some shards. Nobody reads yet. Hot: per
  /// sample.
  void apply(std::span<const PlannedFloat> floats, ShardSet shards) { apply(floats, shards, {}); }

  /// Stores what has been checked and logged. `replaced` has what each sample of mode Overwrite
  /// replaces, in their order; not needed while nobody reads. Hot: per sample.
  void apply(std::span<const PlannedFloat> floats, std::span<const LateChange> replaced) {
    apply(floats, {}, replaced);
  }

  void apply(std::span<const PlannedHistogram> histograms, std::span<const LateChange> replaced);

  [[nodiscard]] std::uint32_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }

  /// No append may run. Returns the new generation.
  std::uint32_t begin_generation() {
    return generation_.fetch_add(1, std::memory_order_acq_rel) + 1;
  }

  /// Counts the series as active, under its shard's lock.
  void activate(SeriesRecord& record, HeadContext& context) const {
    if (record.has(kSeriesIsInHead)) return;
    record.set(kSeriesIsInHead);
    ++context.active_series;
    active_count_.fetch_add(1, std::memory_order_relaxed);
  }

  /// No longer active if nothing is left, under its shard's lock.
  void deactivate_if_empty(SeriesRecord& record, HeadContext& context) const {
    if (!record.has(kSeriesIsInHead) || has_data(record)) return;
    record.reset(kSeriesIsInHead);
    --context.active_series;
    active_count_.fetch_sub(1, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t active_count() const {
    return active_count_.load(std::memory_order_relaxed);
  }

  /// The moment since which somebody reads. While it lives, what changes behind the newest samples
  /// of their series is kept, so that it can be undone in what was read. The head lives longer.
  class Moment {
   public:
    explicit Moment(const Head& head) : head_(&head), mark_(head.readers_.begin()) {}

    ~Moment() {
      if (head_ != nullptr) head_->end_moment(mark_);
    }

    Moment(Moment&& other) noexcept
        : head_(std::exchange(other.head_, nullptr)), mark_(other.mark_) {}

    Moment(const Moment&) = delete;
    Moment& operator=(const Moment&) = delete;
    Moment& operator=(Moment&&) = delete;

    /// For LateLog::find.
    [[nodiscard]] std::uint64_t mark() const { return mark_; }

   private:
    const Head* head_;
    std::uint64_t mark_;
  };

  struct Memory {
    std::size_t open = 0;
    std::size_t sealed = 0;
    std::size_t extra = 0;
    std::size_t late_changes = 0;  ///< Kept for readers.
    std::uint64_t sealed_count = 0;
  };

  [[nodiscard]] Memory memory() const;

  /// Bounds of the times of all samples there have been since the process began; kNoTime twice when
  /// there were none.
  struct Times {
    std::int64_t min_ms = kNoTime;
    std::int64_t max_ms = kNoTime;
  };

  [[nodiscard]] Times times() const {
    return {.min_ms = time_min_.load(std::memory_order_relaxed),
            .max_ms = time_max_.load(std::memory_order_relaxed)};
  }

 private:
  static constexpr std::size_t kPrefetchAhead = 8;

  struct alignas(64) Shard {
    core::Mutex mutex;
    HeadContext context GANTRY_GUARDED_BY(mutex);
  };

  void apply(std::span<const PlannedFloat> floats, ShardSet shards,
             std::span<const LateChange> replaced);
  void keep_change(std::uint32_t series, const SeriesRecord& record, HeadContext& context,
                   std::int64_t timestamp_ms, const LateChange* replaced);
  void end_moment(std::uint64_t mark) const;
  void widen_times(std::int64_t min_ms, std::int64_t max_ms);

  SeriesRegistry& registry_;
  mutable std::array<Shard, kShardCount> shards_;
  mutable LateReaders readers_;
  std::atomic<std::uint32_t> generation_{1};
  mutable std::atomic<std::uint64_t> active_count_{0};
  std::atomic<std::int64_t> time_min_{kNoTime};
  std::atomic<std::int64_t> time_max_{kNoTime};
};

}  // namespace gantry::metrics
