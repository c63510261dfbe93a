#pragma once

// The file that says which parts there are: the only truth about what is on disk. Replaced
// atomically. Format: docs/formats.md, "Metrics manifest".

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "promql/matcher.h"
#include "storage/file.h"
#include "storage/write_ahead_log.h"

namespace gantry::metrics {

inline constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1000;

/// The day (UTC, counted from 1970-01-01) that a timestamp belongs to.
[[nodiscard]] constexpr std::int64_t day_of(std::int64_t timestamp_ms) {
  return timestamp_ms >= 0 ? timestamp_ms / kDayMs : -((-(timestamp_ms + 1)) / kDayMs) - 1;
}

/// "2026-11-21": the name of a day's directory.
[[nodiscard]] std::string day_name(std::int64_t day);

struct PartEntry {
  std::uint64_t number = 0;  ///< Names the directory; never given twice.
  std::int64_t day = 0;
  std::uint64_t clean_sequence = 0;  ///< Tombstones up to this one are applied in the part.

  /// Below the store's directory: "partitions/2026-11-21/000000000042".
  [[nodiscard]] storage::Path path() const;
};

struct TombstoneEntry {
  std::uint64_t sequence = 0;
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
  std::vector<promql::Matcher> matchers;
};

/// A part that was set aside; queries over its time are warned.
struct QuarantinedPart {
  std::string name;
  std::int64_t time_ms_min = 0;
  std::int64_t time_ms_max = 0;
};

struct Manifest {
  std::uint64_t next_part_number = 1;
  std::uint64_t tombstone_sequence = 0;  ///< Of the newest tombstone ever made.
  storage::LogPosition log_start;        ///< Records before this are in parts.
  std::uint64_t annotations_number = 0;  ///< Of the file with exemplars and metadata; 0: none.
  std::vector<PartEntry> parts;          ///< By day; within a day oldest data first.
  std::vector<TombstoneEntry> tombstones;
  std::vector<QuarantinedPart> quarantined;
};

/// A manifest that is not there is an empty one. Errors: DataLoss, FailedPrecondition (a newer
/// format), those of File.
Result<Manifest> read_manifest(storage::FileSystem& files, const storage::Path& path);
Result<void> write_manifest(storage::FileSystem& files, const storage::Path& path,
                            const Manifest& manifest);

void encode_manifest(const Manifest& manifest, std::vector<std::byte>& out);
Result<Manifest> decode_manifest(std::span<const std::byte> bytes);

}  // namespace gantry::metrics
