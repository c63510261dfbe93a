#pragma once

// Writes an immutable block: a directory with the spans of many traces, in groups of columns.
//
//   GANTRY_TRY(const Path temporary, storage::prepare_directory(files, directory));
//   GANTRY_TRY(auto writer, BlockWriter::create(files, temporary, {.level = 0}));
//   for each group of some 16,384 spans, its traces whole:
//     GANTRY_CHECK(writer->add_group(group));
//   GANTRY_TRY(const BlockSummary summary, writer->finish());     // all files are synced
//   GANTRY_CHECK(storage::publish_directory(files, temporary, directory, FilesSynced::Yes));
//
// Format: docs/formats.md, "Trace blocks".

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/error.h"
#include "storage/file.h"
#include "traces/stored_group.h"

namespace gantry::traces {

/// Spans that a group should have: enough to pack well, few enough to read for one trace.
inline constexpr std::size_t kGroupSpans = 16'384;

struct BlockSummary {
  std::uint32_t format_version = 0;
  std::uint32_t level = 0;        ///< 0: cut from the live segment; else deepest input + 1.
  std::int64_t start_ns_min = 0;  ///< Of the spans' starts; 0 in a block without spans.
  std::int64_t start_ns_max = 0;
  std::int64_t end_ns_max = 0;
  std::int64_t trace_start_ns_max = 0;
  std::uint64_t spans = 0;
  std::uint64_t traces = 0;
  std::uint64_t groups = 0;
  std::uint64_t bytes = 0;  ///< Of its files.
};

struct BlockWriterOptions {
  std::uint32_t level = 0;
  int compression_level = 1;  ///< zstd, for frames that gain 10 % by it; 0: never.
};

/// One thread. Memory: one group's columns, 32 bytes per trace.
class BlockWriter {
 public:
  /// `directory` exists and is empty. Errors of every call: those of File, and of the groups; then
  /// the block is lost and the caller removes the directory.
  static Result<std::unique_ptr<BlockWriter>> create(storage::FileSystem& files,
                                                     const storage::Path& directory,
                                                     const BlockWriterOptions& options);

  virtual ~BlockWriter() = default;
  BlockWriter(const BlockWriter&) = delete;
  BlockWriter& operator=(const BlockWriter&) = delete;

  /// Stores the group as it is: same rows, same trace numbers. A group without spans is left out.
  /// Texts that no row has are not kept. Also errors: DataLoss (columns of the group contradict
  /// each other), ResourceExhausted (more than 2^24 rows in a table or 1 GiB of texts in a column).
  virtual Result<void> add_group(StoredGroup& group) = 0;

  /// Bytes written so far: for budgets.
  [[nodiscard]] virtual std::uint64_t size_bytes() const = 0;

  /// Writes the indexes and syncs the files. Nothing may be called after it. Also errors: DataLoss
  /// (a trace is in two groups).
  virtual Result<BlockSummary> finish() = 0;

 protected:
  BlockWriter() = default;
};

}  // namespace gantry::traces
