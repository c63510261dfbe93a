#pragma once

// What changed behind the newest sample of a series while somebody read: lets a reader leave out
// what came after its moment.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/mutex.h"
#include "promql/series_source.h"
#include "telemetry/native_histogram.h"

namespace gantry::metrics {

/// One timestamp of a series as it was before it changed: absent, a float or a histogram.
struct LateChange {
  enum class Before : std::uint8_t { Absent, Float, Histogram };

  std::uint64_t sequence = 0;  ///< Of all changes of the store, ascending.
  std::int64_t timestamp_ms = 0;
  Before before = Before::Absent;
  double value = 0;  ///< Of Before::Float.
  std::int64_t start_timestamp_ms = 0;
  std::shared_ptr<const telemetry::FloatHistogram> histogram;  ///< Of Before::Histogram.
};

/// What `columns` have at `timestamp_ms`.
[[nodiscard]] LateChange make_change(const promql::SampleColumns& columns,
                                     std::int64_t timestamp_ms);

/// Puts `columns` (finished) back to what they were before `changes`, which ascend by sequence.
void undo_changes(std::span<const LateChange> changes, promql::SampleColumns& columns);

/// What an append is about to replace, as it was when that was checked.
struct ReplacedSamples {
  std::vector<LateChange> floats;      ///< One for each overwriting float, in their order.
  std::vector<LateChange> histograms;  ///< The same.
};

/// The changes of one shard of the head, under its lock.
class LateLog {
 public:
  void add(std::uint32_t series, LateChange change);

  /// Replaces `out` by the changes of `series` after `mark` at times in [start_ms, end_ms], in the
  /// order in which they happened.
  void find(std::uint32_t series, std::uint64_t mark, std::int64_t start_ms, std::int64_t end_ms,
            std::vector<LateChange>& out) const;

  /// Forgets what came up to `mark`; returns how many that were.
  std::size_t forget(std::uint64_t mark);

 private:
  std::uint64_t newest_ = 0;
  std::unordered_map<std::uint32_t, std::vector<LateChange>> changes_;
};

/// Who reads, since when; numbers the changes. Thread-safe.
class LateReaders {
 public:
  /// Changes that are kept, of all shards; some 80 MiB. Beyond it they are not, and reads that go
  /// on then may see them.
  static constexpr std::size_t kChangesMax = 1U << 20;

  /// From now on changes are kept. Returns the mark of this moment.
  std::uint64_t begin();

  /// The reader with `mark` is done. Returns up to which mark changes should be forgotten now;
  /// nothing when that would not pay.
  std::optional<std::uint64_t> end(std::uint64_t mark);

  /// After `end` said so.
  void note_forgotten(std::size_t count);

  /// Whether a change must be kept, under the lock of its shard. A reader registers before it takes
  /// that lock for the first time, so that no stronger order is needed here.
  [[nodiscard]] bool has_any() const { return count_.load(std::memory_order_relaxed) > 0; }

  /// Changes that are kept now.
  [[nodiscard]] std::size_t kept() const { return kept_.load(std::memory_order_relaxed); }

  /// The number of a change that is to be kept; nothing when there are too many.
  std::optional<std::uint64_t> next_sequence();

 private:
  static constexpr std::size_t kForgetAt = 1024;

  std::atomic<std::uint32_t> count_{0};
  std::atomic<std::uint64_t> sequence_{0};
  std::atomic<std::size_t> kept_{0};
  core::Mutex mutex_;
  std::multiset<std::uint64_t> marks_ GANTRY_GUARDED_BY(mutex_);
  std::size_t forget_at_ GANTRY_GUARDED_BY(mutex_) = kForgetAt;
};

}  // namespace gantry::metrics
