#pragma once

// Cuts what the head has into one part per day.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "core/error.h"
#include "metrics/part/part_writer.h"
#include "metrics/partition/catalog.h"
#include "metrics/store_state.h"

namespace gantry::metrics {

/// Writes all samples of generations below `generation`, series by series, so that memory does not
/// grow with the head. Nothing may free sealed blocks meanwhile. One thread, one use.
class HeadFlush {
 public:
  HeadFlush(storage::FileSystem& files, Catalog& catalog, StoreState& state,
            std::uint32_t generation, std::uint64_t clean_sequence)
      : files_(files),
        catalog_(catalog),
        state_(state),
        generation_(generation),
        clean_sequence_(clean_sequence) {}

  /// `order`: all series by their labels. On an error what was written is removed, and the head
  /// still has everything.
  Result<std::vector<std::shared_ptr<const Part>>> write(std::span<const std::uint32_t> order);

  /// Series that had something to flush, by their labels.
  [[nodiscard]] std::span<const std::uint32_t> series() const { return series_; }

 private:
  struct DayWriter {
    PartEntry entry;
    storage::Path temporary;
    std::unique_ptr<PartWriter> writer;
  };

  using DayWriters = std::map<std::int64_t, DayWriter>;

  Result<void> survey(std::span<const std::uint32_t> order);
  Result<void> add_days(const SealedBlock* newest);
  Result<DayWriters> make_writers(std::span<const std::int64_t> days);
  Result<void> write_days(DayWriters& writers);
  Result<void> write_series(std::uint32_t series, DayWriters& writers);
  Result<void> finish(DayWriters& writers, std::vector<std::shared_ptr<const Part>>& parts);
  void remove_written(std::span<const std::shared_ptr<const Part>> parts);

  storage::FileSystem& files_;
  Catalog& catalog_;
  StoreState& state_;
  const std::uint32_t generation_;
  const std::uint64_t clean_sequence_;
  std::vector<std::uint32_t> series_;
  std::set<std::int64_t> days_;
  SeriesColumns columns_;
  std::vector<telemetry::LabelView> labels_;
};

/// Directory of a new part of `day`, made and empty under its temporary name; its parents are on
/// disk.
Result<storage::Path> prepare_part(storage::FileSystem& files, const storage::Path& path);

}  // namespace gantry::metrics
