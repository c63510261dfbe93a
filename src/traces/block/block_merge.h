#pragma once

// Makes one block of several, and one of a live segment: traces by start, in groups of about
// kGroupSpans spans with every trace whole. Traces that are in several inputs become one, spans
// that are there twice are written once.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "core/cancel.h"
#include "core/error.h"
#include "telemetry/span_batch.h"
#include "traces/block/block_reader.h"
#include "traces/block/block_writer.h"
#include "traces/stored_group.h"

namespace gantry::traces {

struct BlockMergeOptions {
  /// Whether to leave out what `input` has of the trace. Null: nothing is deleted.
  std::function<bool(const telemetry::TraceId& id, std::size_t input)> is_deleted;
  CancelToken cancel;  ///< Looked at per group.
  /// Called with the bytes written so far after each group: may wait to keep a budget.
  std::function<void(std::uint64_t bytes_written)> progress;
  std::size_t group_spans = kGroupSpans;  ///< A trace with more has a group for itself.
};

/// Adds everything in `inputs`, oldest first, to `writer`, which the caller finishes. The rows of a
/// trace keep their order of arrival, those of the first input first. Reads everything once: give
/// it readers with a small cache of their own. Memory does not grow with the inputs' size but for
/// 40 bytes per trace that is in several of them: one group of each input, one of the output.
/// Errors: DataLoss (an input's is_damaged says which), Cancelled, those of File.
Result<void> merge_blocks(std::span<const BlockReader* const> inputs,
                          const BlockMergeOptions& options, BlockWriter& writer);

/// Adds all traces of `group`, of any size, to `writer`; `is_deleted` is asked for input 0.
Result<void> write_traces(StoredGroup& group, const BlockMergeOptions& options,
                          BlockWriter& writer);

}  // namespace gantry::traces
