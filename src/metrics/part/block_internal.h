#pragma once

// Decoding a block whose timestamps are decoded already: series that share a time column share that
// work too.

#include <cstdint>
#include <span>

#include "metrics/part/block.h"

namespace gantry::metrics {

/// `times` are the block's timestamps.
Result<void> decode_block_at(const EncodedBlock& block, std::span<const std::int64_t> times,
                             std::int64_t start_ms, std::int64_t end_ms,
                             promql::SampleColumns& out);

/// Appends the whole block, losslessly, to the columns of its kind.
Result<void> append_block_at(const EncodedBlock& block, std::span<const std::int64_t> times,
                             FloatColumns& floats, HistogramColumns& histograms);

}  // namespace gantry::metrics
