#pragma once

// One column of native histograms as bytes, transposed: schema and bucket layout once for as long
// as they stay the same, then a column for count, sum, zero count and each bucket. Lossless:
// flavours, hints, NaN payloads and custom bounds come back as they were.
//
// Format: docs/formats.md, "Histogram blocks".

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/error.h"
#include "telemetry/native_histogram.h"

namespace gantry::metrics {

/// Limits of what a decoder will build from one block, whatever its bytes say.
inline constexpr std::size_t kHistogramBucketsMax = 65536;
inline constexpr std::size_t kHistogramBlockCellsMax = 16 << 20;

/// Whether `histogram` stays inside kHistogramBucketsMax; the encoder asserts it. Append paths
/// check it and refuse what does not.
[[nodiscard]] bool fits_histogram_block(const telemetry::NativeHistogram& histogram);

/// Appends the encoded column; any mix of flavours, schemas and layouts. The number of histograms
/// is not stored. At most storage::kBlockValuesMax of them, and kHistogramBlockCellsMax buckets in
/// all.
void encode_histograms(std::span<const telemetry::NativeHistogram> histograms,
                       std::vector<std::byte>& out);

/// Fills `histograms` from exactly `bytes`. Errors: DataLoss.
Result<void> decode_histograms(std::span<const std::byte> bytes,
                               std::span<telemetry::NativeHistogram> histograms);

/// The same as queries want them: in the float flavour, shared, with the hints of read_hints.h.
Result<void> decode_float_histograms(
    std::span<const std::byte> bytes,
    std::span<std::shared_ptr<const telemetry::FloatHistogram>> histograms);

}  // namespace gantry::metrics
