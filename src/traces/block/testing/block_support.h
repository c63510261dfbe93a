#pragma once

// Blocks in memory for tests, and comparison of groups column by column.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "storage/file.h"
#include "storage/item_cache.h"
#include "telemetry/span_batch.h"
#include "traces/block/block_reader.h"
#include "traces/block/block_writer.h"
#include "traces/span_table.h"
#include "traces/stored_group.h"

namespace gantry::traces {

/// Everything in the batch, published.
[[nodiscard]] std::unique_ptr<SpanTable> make_table(const telemetry::SpanBatch& batch);

/// Expects that both groups say the same, in the same rows, of everything that a group can say.
void expect_same_group(StoredGroup& expected, StoredGroup& actual);

/// Writes one group per table to `directory` and opens the block. Null, and a failed expectation,
/// on an error.
[[nodiscard]] std::unique_ptr<BlockReader> write_block(storage::FileSystem& files,
                                                       const storage::Path& directory,
                                                       storage::ItemCache& cache,
                                                       const std::vector<const SpanTable*>& tables,
                                                       const BlockWriterOptions& options = {});

/// Reads everything that a block can say: groups, columns, indexes and filters.
Result<void> read_everything(const BlockReader& block);

/// A block's file as frames, to be written again with something changed; checksums will agree.
struct FramesOfBlock {
  std::vector<std::vector<std::byte>> frames;
  std::vector<std::byte> footer;

  static FramesOfBlock read(storage::FileSystem& files, const storage::Path& directory);
  void write(storage::FileSystem& files, const storage::Path& directory) const;
};

/// All spans of a block by trace, each trace's in order of rows.
using SpansByTrace = std::map<telemetry::TraceId, std::vector<std::string>>;
[[nodiscard]] SpansByTrace spans_of(const BlockReader& block);

/// The same of a batch, without its repeated spans.
[[nodiscard]] SpansByTrace spans_of(const telemetry::SpanBatch& batch);

}  // namespace gantry::traces
