#pragma once

// One series in the head: an open buffer that grows with the series, encoded blocks, and what came
// late. Plain functions on a SeriesRecord; the caller holds the lock of the series' shard.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/error.h"
#include "metrics/head/column_merge.h"
#include "metrics/head/late_log.h"
#include "metrics/head/series_record.h"
#include "metrics/part/block.h"
#include "telemetry/native_histogram.h"

namespace gantry::metrics {

/// Samples in an open buffer before it is encoded. With the buffer's header this fills 256 bytes
/// for a series of even interval; more would cost memory for every series, fewer would cost time
/// and bytes for every block.
inline constexpr std::size_t kOpenSamplesMax = 30;
inline constexpr std::size_t kOpenHistogramsMax = 30;
inline constexpr std::size_t kLateSamplesMax = 120;

/// Memory in use, changes kept for readers, and buffers for encoding; one per shard.
struct HeadContext {
  std::size_t open_bytes = 0;
  std::size_t sealed_bytes = 0;
  std::size_t extra_bytes = 0;
  std::uint64_t sealed_count = 0;
  std::uint64_t active_series = 0;
  LateLog late_log;

  std::vector<std::int64_t> times;
  std::vector<double> values;
  std::vector<std::byte> time_bytes;
  std::vector<std::byte> value_bytes;
  std::vector<std::byte> start_bytes;
  promql::SampleColumns columns;
  SeriesColumns lossless;
};

/// Insert: the timestamp was free when it was checked. If another append took it meanwhile with
/// another value, the greater bit pattern stays, whichever comes first, so that a replay in log
/// order gives what was shown. Overwrite: the new value stays.
enum class StoreMode : std::uint8_t { Insert, Overwrite };

struct FloatPoint {
  std::int64_t timestamp_ms = 0;
  double value = 0;
  std::int64_t start_timestamp_ms = 0;
};

/// `generation` is the head's; what is still unsealed of an older one is sealed first.
void store_float(SeriesRecord& record, HeadContext& context, std::uint32_t generation,
                 const FloatPoint& point, StoreMode mode);
void store_histogram(SeriesRecord& record, HeadContext& context, std::uint32_t generation,
                     std::int64_t timestamp_ms, std::int64_t start_timestamp_ms,
                     const telemetry::NativeHistogram& histogram, StoreMode mode);

/// What the head has at a timestamp.
enum class Presence : std::uint8_t { Absent, Same, Different };

[[nodiscard]] Presence find_float(const SeriesRecord& record, HeadContext& context,
                                  std::int64_t timestamp_ms, double value);
[[nodiscard]] Presence find_histogram(const SeriesRecord& record, HeadContext& context,
                                      std::int64_t timestamp_ms,
                                      const telemetry::NativeHistogram& histogram);

/// Seals what is open and belongs to an older generation than `generation`.
void roll(SeriesRecord& record, HeadContext& context, std::uint32_t generation);

/// Appends the samples in [start_ms, end_ms] to `out`, source by source; the caller finishes the
/// merge.
Result<void> read_head(const SeriesRecord& record, std::int64_t start_ms, std::int64_t end_ms,
                       ColumnMerge<promql::SampleColumns>& merge, promql::SampleColumns& out);

/// The newest sealed block of a generation below `generation`: only such blocks follow it. Null if
/// there is none.
[[nodiscard]] const SealedBlock* sealed_before(const SeriesRecord& record,
                                               std::uint32_t generation);

/// Replaces `out` by all samples of `newest` and the blocks that follow it. May run without the
/// shard's lock while nothing can free the blocks: appends merge those of their own generation.
Result<void> read_sealed(const SealedBlock* newest, SeriesColumns& out);

/// Whether a sample lies in [start_ms, end_ms]. Exact.
[[nodiscard]] bool has_sample(const SeriesRecord& record, std::int64_t start_ms,
                              std::int64_t end_ms);

[[nodiscard]] bool has_data(const SeriesRecord& record);

/// Frees sealed blocks of generations below `generation`.
void drop_sealed(SeriesRecord& record, HeadContext& context, std::uint32_t generation);

/// Frees everything.
void drop_all(SeriesRecord& record, HeadContext& context);

/// Removes the samples in [start_ms, end_ms] from the head.
Result<void> erase_samples(SeriesRecord& record, HeadContext& context, std::uint32_t generation,
                           std::int64_t start_ms, std::int64_t end_ms);

/// Calls `visit(time_ms_min, time_ms_max)` for `newest` and each block that follows it.
template <class Visit>
void for_each_sealed(const SealedBlock* newest, const Visit& visit);

struct SealedBlock {
  SealedBlock* next = nullptr;
  std::int64_t time_ms_min = 0;
  std::int64_t time_ms_max = 0;
  std::uint32_t generation = 0;
  std::uint32_t value_bytes = 0;
  std::uint16_t time_bytes = 0;
  std::uint16_t start_bytes = 0;
  std::uint16_t sample_count = 0;
  BlockKind kind = BlockKind::Float;
  bool is_late = false;  ///< May overlap other blocks, and wins over those that are not late.

  /// Times, values, start timestamps follow this header.
  [[nodiscard]] EncodedBlock encoded() const;

  [[nodiscard]] std::size_t allocated_bytes() const {
    return sizeof(SealedBlock) + time_bytes + value_bytes + start_bytes;
  }
};

template <class Visit>
void for_each_sealed(const SealedBlock* newest, const Visit& visit) {
  for (const SealedBlock* block = newest; block != nullptr; block = block->next) {
    visit(block->time_ms_min, block->time_ms_max);
  }
}

}  // namespace gantry::metrics
