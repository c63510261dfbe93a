#pragma once

// Reads an immutable block. Opening reads the footer only; indexes, filters and columns are read,
// verified and decoded when they are asked for.
//
// Format: docs/formats.md, "Trace blocks".

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/error.h"
#include "storage/file.h"
#include "storage/item_cache.h"
#include "telemetry/span_batch.h"
#include "traceql/span_source.h"
#include "traces/block/block_writer.h"
#include "traces/stored_group.h"

namespace gantry::traces {

/// Where a trace is in a block.
struct TracePlace {
  std::uint32_t group = 0;
  std::uint32_t trace = 0;  ///< Its number in the group.

  friend auto operator<=>(const TracePlace&, const TracePlace&) = default;
};

struct TraceEntry {
  std::uint64_t id_hash = 0;  ///< XXH3 of its id's bytes, the same in every block.
  TracePlace place;
};

/// Thread-safe. Errors of every call that returns a Result: DataLoss (then `is_damaged`), those of
/// File. Whatever the files say, nothing is read out of bounds.
class BlockReader {
 public:
  /// Errors: DataLoss (no or damaged files), FailedPrecondition (a newer format), those of File.
  /// `cache` must outlive the reader.
  static Result<std::unique_ptr<BlockReader>> open(storage::FileSystem& files,
                                                   const storage::Path& directory,
                                                   storage::ItemCache& cache);

  virtual ~BlockReader() = default;
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;

  [[nodiscard]] virtual const BlockSummary& summary() const = 0;

  /// In the order in which they were written. Valid as long as the reader.
  [[nodiscard]] virtual std::span<const traceql::GroupBounds> groups() const = 0;

  /// One group, for one thread. Columns come from the cache or are read on demand. The reader must
  /// outlive it.
  virtual Result<std::unique_ptr<StoredGroup>> open_group(std::size_t group) const = 0;

  /// False: the trace is certainly not here. True is wrong about once in 200 times. No I/O but for
  /// the first call, which loads the filter (12 bits per trace) for good.
  virtual Result<bool> may_contain(const telemetry::TraceId& id) const = 0;

  /// Exact. Reads one page of the trace index, and ids of a group that has such a hash.
  virtual Result<std::optional<TracePlace>> find_trace(const telemetry::TraceId& id) const = 0;

  /// The trace index: pages of some thousand entries, ascending by hash over all pages. Two
  /// traces may have the same hash.
  [[nodiscard]] virtual std::size_t trace_page_count() const = 0;
  virtual Result<std::vector<TraceEntry>> trace_page(std::size_t page) const = 0;

  /// False: no span of the group can meet all of `required`. Reads the group's filter, no column.
  virtual Result<bool> may_have(std::size_t group,
                                std::span<const traceql::RequiredText> required) const = 0;

  /// Whether a read has found wrong bytes. The block is then to be set aside.
  [[nodiscard]] virtual bool is_damaged() const = 0;

  /// Reads every frame and checks its checksum.
  virtual Result<void> verify() const = 0;

 protected:
  BlockReader() = default;
};

}  // namespace gantry::traces
