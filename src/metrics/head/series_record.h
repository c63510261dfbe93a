#pragma once

// What the store keeps in memory for one series, on one cache line.

#include <atomic>
#include <cstdint>
#include <limits>
#include <span>

#include "promql/series_source.h"

namespace gantry::metrics {

struct OpenBuffer;
struct SealedBlock;
struct SeriesExtra;

inline constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

enum SeriesFlags : std::uint8_t {
  kSeriesIsDead = 1,       ///< Collected: the record is a hole.
  kSeriesIsInHead = 2,     ///< Counted as active.
  kSeriesLastIsFloat = 4,  ///< `last_value` is the value at `last_ms`.
  /// Nothing newer than `last_ms` is stored. Unset: a part from before this process may have it.
  kSeriesNewestIsKnown = 8,
};

/// A slot of the registry. `labels` and `label_count` are set before the record is published and
/// change only under the registry's write lock with no append running. What has an accessor is
/// atomic. The rest is guarded by the series' head shard.
struct alignas(64) SeriesRecord {
  const promql::LabelSymbols* labels = nullptr;
  std::uint16_t label_count = 0;
  std::uint8_t flags = 0;
  std::uint8_t seal_count = 0;  ///< Of open buffers, modulo 256; see merge_sealed().
  std::uint32_t part_count_ = 0;
  std::int64_t last_ms = kNoTime;  ///< Newest timestamp known.
  double last_value = 0;           ///< See kSeriesLastIsFloat.
  OpenBuffer* open = nullptr;      ///< Newest floats, not yet encoded.
  SealedBlock* sealed = nullptr;   ///< Newest first.
  SeriesExtra* extra = nullptr;    ///< What few series need.
  std::uint32_t generation = 0;    ///< Of what is not sealed; see Head.
  std::uint32_t defined_in_segment_ = 0;

  /// Parts that have the series.
  [[nodiscard]] std::atomic_ref<std::uint32_t> part_count() {
    return std::atomic_ref<std::uint32_t>(part_count_);
  }

  /// Last log segment that has the labels.
  [[nodiscard]] std::atomic_ref<std::uint32_t> defined_in_segment() {
    return std::atomic_ref<std::uint32_t>(defined_in_segment_);
  }

  [[nodiscard]] std::span<const promql::LabelSymbols> label_span() const {
    return {labels, label_count};
  }

  [[nodiscard]] bool has(SeriesFlags flag) const { return (flags & flag) != 0; }

  void set(SeriesFlags flag) { flags = static_cast<std::uint8_t>(flags | flag); }

  void reset(SeriesFlags flag) { flags = static_cast<std::uint8_t>(flags & ~flag); }
};

static_assert(sizeof(SeriesRecord) == 64);

}  // namespace gantry::metrics
