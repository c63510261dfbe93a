#pragma once

// A block: up to about a thousand samples of one series, encoded. What the head seals, a part keeps
// and a merge rewrites.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/error.h"
#include "promql/series_source.h"
#include "telemetry/native_histogram.h"

namespace gantry::metrics {

enum class BlockKind : std::uint8_t { Float = 0, Histogram = 1 };

/// Samples of one series and one kind, ascending by time without duplicates.
struct FloatColumns {
  std::vector<std::int64_t> timestamps_ms;
  std::vector<double> values;
  std::vector<std::int64_t> start_timestamps_ms;  ///< Empty, or one per sample; 0: unknown.

  void clear();
};

struct HistogramColumns {
  std::vector<std::int64_t> timestamps_ms;
  std::vector<telemetry::NativeHistogram> histograms;
  std::vector<std::int64_t> start_timestamps_ms;  ///< As above.

  void clear();
};

/// An encoded block; the bytes are borrowed.
struct EncodedBlock {
  BlockKind kind = BlockKind::Float;
  std::uint32_t sample_count = 0;
  std::int64_t time_ms_min = 0;                 ///< Of the first sample.
  std::int64_t time_ms_max = 0;                 ///< Of the last.
  std::span<const std::byte> times;             ///< storage::encode_timestamps
  std::span<const std::byte> values;            ///< encode_values or encode_histograms
  std::span<const std::byte> start_timestamps;  ///< storage::encode_integers; empty: none.
};

/// Appends to `out` the samples of `block` with start_ms <= t <= end_ms. Start timestamps: filled
/// up with zeros where only some blocks have them. Errors: DataLoss, `out` unspecified. Hot: per
/// sample.
Result<void> decode_block(const EncodedBlock& block, std::int64_t start_ms, std::int64_t end_ms,
                          promql::SampleColumns& out);

/// Whether a sample of `block` lies in [start_ms, end_ms]. Reads its times only. Errors: DataLoss.
Result<bool> has_sample(const EncodedBlock& block, std::int64_t start_ms, std::int64_t end_ms);

/// Appends the whole block, losslessly, to one of the two; its kind says to which.
Result<void> decode_block(const EncodedBlock& block, FloatColumns& floats,
                          HistogramColumns& histograms);

}  // namespace gantry::metrics
