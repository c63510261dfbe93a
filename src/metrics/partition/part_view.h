#pragma once

// The parts of a store as queries see them: an immutable list, replaced when parts come and go.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "metrics/head/column_merge.h"
#include "metrics/index/series_registry.h"
#include "metrics/part/part_merge.h"
#include "metrics/part/part_reader.h"
#include "metrics/partition/manifest.h"

namespace gantry::metrics {

/// An open part and where each of the registry's series is in it: 8 bytes per series, or 4 when the
/// part's order is the registry's. Immutable but for the mark of damage; thread-safe.
class Part {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  /// Opens the part below `store_directory` and finds or adds its series in `registry`, counting
  /// itself in each one's `part_count`.
  static Result<std::shared_ptr<Part>> open(storage::FileSystem& files,
                                            const storage::Path& store_directory,
                                            const PartEntry& entry, FrameCache& cache,
                                            SeriesRegistry& registry);

  Part(const PartEntry& entry, std::unique_ptr<PartReader> reader);

  [[nodiscard]] const PartEntry& entry() const { return entry_; }

  [[nodiscard]] const PartReader& reader() const { return *reader_; }

  [[nodiscard]] const PartSummary& summary() const { return reader_->summary(); }

  [[nodiscard]] std::uint64_t bytes() const { return summary().data_bytes + summary().index_bytes; }

  /// Registry ids of its series, ascending.
  [[nodiscard]] std::span<const std::uint32_t> series() const { return series_; }

  /// Ordinal in the part of `series()[at]`.
  [[nodiscard]] std::uint32_t ordinal(std::size_t at) const {
    return ordinals_.empty() ? static_cast<std::uint32_t>(at) : ordinals_[at];
  }

  /// kNone if the part does not have the series.
  [[nodiscard]] std::uint32_t find(std::uint32_t series) const;

  [[nodiscard]] bool overlaps(std::int64_t start_ms, std::int64_t end_ms) const {
    return summary().time_ms_min <= end_ms && summary().time_ms_max >= start_ms;
  }

  [[nodiscard]] std::size_t index_bytes() const {
    return (series_.capacity() + ordinals_.capacity()) * sizeof(std::uint32_t);
  }

 private:
  Result<void> map_series(SeriesRegistry& registry);

  PartEntry entry_;
  std::unique_ptr<PartReader> reader_;
  std::vector<std::uint32_t> series_;
  std::vector<std::uint32_t> ordinals_;
};

/// A deletion with the series it hit.
struct Tombstone {
  TombstoneEntry entry;
  std::vector<std::uint32_t> series;  ///< Ascending.
};

struct PartView {
  std::vector<std::shared_ptr<const Part>> parts;  ///< By day; within a day oldest data first.
  std::vector<std::shared_ptr<const Tombstone>> tombstones;
  std::vector<QuarantinedPart> quarantined;
  std::uint64_t version = 0;
  std::int64_t time_ms_max = kNoTime;  ///< Of all parts.

  /// Appends what of [start_ms, end_ms] is deleted for a series of a part.
  void deleted_ranges(const Part& part, std::uint32_t series, std::int64_t start_ms,
                      std::int64_t end_ms, std::vector<TimeRange>& out) const;

  /// Whether any tombstone could hide something of the part.
  [[nodiscard]] bool has_tombstones(const Part& part) const;
};

/// What one thread needs to read from the parts of a view.
struct PartScratch {
  PartReader::Scratch reader;
  std::vector<BlockInfo> blocks;
  std::vector<TimeRange> deleted;
  promql::SampleColumns columns;
};

/// Appends the samples of a series of `part` in [start_ms, end_ms] to `out`, without what is
/// deleted. On an error `out` is as before. Hot: per series.
Result<void> read_part(const PartView& view, const Part& part, std::uint32_t series,
                       std::uint32_t ordinal, TimeRange range, PartScratch& scratch,
                       promql::SampleColumns& out);

/// Whether series of a part have samples in a range. Exact. Remembers what the last shared time
/// column said. One thread.
class PartPresence {
 public:
  PartPresence(const PartView& view, const Part& part, TimeRange range);

  Result<bool> has_sample(std::uint32_t series, std::uint32_t ordinal, PartScratch& scratch);

 private:
  Result<bool> block_has_sample(const BlockInfo& block, PartScratch& scratch);

  const PartView& view_;
  const Part& part_;
  TimeRange range_;
  bool covers_part_;
  bool has_tombstones_;
  std::uint64_t last_column_;
  bool last_answer_ = false;
  std::vector<std::int64_t> times_;
};

}  // namespace gantry::metrics
