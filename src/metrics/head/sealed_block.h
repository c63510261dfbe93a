#pragma once

// Encoding of what is open in a head series.

#include <cstdint>
#include <span>

#include "metrics/head/head_series.h"

namespace gantry::metrics {

struct SealSource {
  std::span<const std::int64_t> times;
  std::span<const double> values;  ///< Or histograms.
  std::span<const telemetry::NativeHistogram> histograms;
  std::span<const std::int64_t> starts;  ///< Empty if none is known.
  std::uint32_t generation = 0;
  bool is_late = false;
};

/// Puts an encoded block in front of the record's list.
void seal(SeriesRecord& record, HeadContext& context, const SealSource& source);

/// Blocks of one open buffer each that become one.
inline constexpr std::size_t kMergedBlocks = 8;
/// The newest blocks stay as they are: most queries want only the end, and would decode the rest
/// of a big block for nothing.
inline constexpr std::size_t kFreshBlocks = 4;

/// To be called when an open buffer was sealed under the head's present generation. Every
/// kMergedBlocks times it replaces the blocks behind the fresh ones by one, which takes less
/// memory and a fraction of the time to read. Which times these are differs between neighbouring
/// records: series that fill their buffers at the same moment do not merge at the same moment.
void merge_sealed(SeriesRecord& record, HeadContext& context);

void free_block(SealedBlock* block, HeadContext& context);

}  // namespace gantry::metrics
