#pragma once

// Which of many series have samples in a time range, in the head or in parts.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "metrics/store_state.h"

namespace gantry::metrics {

/// A part that overlaps a query's range, and where the query's series are in it.
struct PartColumn {
  std::shared_ptr<const Part> part;
  std::vector<std::uint32_t> ordinals;  ///< One per series; Part::kNone: not in the part.
};

/// The parts of `view` that overlap `range` and have any of `series` (ascending).
std::vector<PartColumn> locate(const PartView& view, std::span<const std::uint32_t> series,
                               TimeRange range);

/// Series with samples in the range, and what a reader needs to read them as of now.
struct TimedSeries {
  std::vector<std::uint32_t> series;    ///< Ascending.
  std::vector<std::int64_t> head_ends;  ///< Newest timestamp in the head now; kNoTime if none.
  std::uint64_t head_drops = 0;         ///< StoreState::head_drops before `view` was taken.
  std::shared_ptr<const PartView> view;
  std::vector<PartColumn> parts;
  std::vector<std::string> warnings;
};

/// `candidates` ascend. Errors: Cancelled, DeadlineExceeded, those of File.
Result<TimedSeries> filter_by_time(StoreState& state, std::vector<std::uint32_t> candidates,
                                   TimeRange range, const CancelToken& cancel);

/// Sentences about parts that were set aside and overlapped the range.
std::vector<std::string> quarantine_warnings(const PartView& view, TimeRange range);

/// Notes the damage of a part and says so. Other errors are returned.
Result<std::string> note_damage(StoreState& state, const Part& part, const Error& error);

}  // namespace gantry::metrics
