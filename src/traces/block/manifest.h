#pragma once

// The file that says which blocks there are: the only truth about what is on disk. Replaced
// atomically. Format: docs/formats.md, "Traces manifest".

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "storage/file.h"
#include "storage/write_ahead_log.h"
#include "telemetry/span_batch.h"

namespace gantry::traces {

struct BlockEntry {
  std::uint64_t number = 0;          ///< Names the directory; never given twice.
  std::uint64_t clean_sequence = 0;  ///< Deletions up to this one are applied in the block.
  // Filled in when the block is committed: what is missing should it be damaged one day.
  std::int64_t start_ns_min = 0;
  std::int64_t end_ns_max = 0;

  /// Below the store's directory: "blocks/000000000042".
  [[nodiscard]] storage::Path path() const;
};

/// A trace was deleted: what blocks with a lower clean_sequence have of it. The log has nothing of
/// it then: the live segment is sealed first.
struct TraceDeletion {
  telemetry::TraceId id;
  std::uint64_t sequence = 0;
};

/// A block that was set aside; queries over its time are warned. Both ends inclusive.
struct QuarantinedBlock {
  std::string name;
  std::int64_t start_ns_min = 0;
  std::int64_t end_ns_max = 0;
};

struct Manifest {
  std::uint64_t next_block_number = 1;
  std::uint64_t deletion_sequence = 0;  ///< Of the newest deletion ever made.
  storage::LogPosition log_start;       ///< Records before this are in blocks.
  std::vector<BlockEntry> blocks;  ///< Oldest first; a merge's output where its first input was.
  std::vector<TraceDeletion> deletions;  ///< By sequence.
  std::vector<QuarantinedBlock> quarantined;
};

/// A manifest that is not there is an empty one. Errors: DataLoss, FailedPrecondition (a newer
/// format), those of File.
Result<Manifest> read_manifest(storage::FileSystem& files, const storage::Path& path);
Result<void> write_manifest(storage::FileSystem& files, const storage::Path& path,
                            const Manifest& manifest);

void encode_manifest(const Manifest& manifest, std::vector<std::byte>& out);
Result<Manifest> decode_manifest(std::span<const std::byte> bytes);

}  // namespace gantry::traces
