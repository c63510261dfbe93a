#pragma once

// What writer and reader of a part agree on. Format: docs/formats.md, "Parts".

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "metrics/part/part_writer.h"
#include "storage/checksummed_file.h"
#include "telemetry/labels.h"

namespace gantry::metrics {

inline constexpr std::uint32_t kPartFormatVersion = 1;
inline constexpr storage::FileFormat kPartIndexFormat{.magic = "GANTRYPI",
                                                      .version = kPartFormatVersion};
inline constexpr storage::FileFormat kPartDataFormat{.magic = "GANTRYPD",
                                                     .version = kPartFormatVersion};
inline constexpr std::string_view kPartIndexName = "index";
inline constexpr std::string_view kPartDataName = "data";

// Flags of a block in a series' block list.
inline constexpr std::uint8_t kBlockIsHistogram = 0x01;
inline constexpr std::uint8_t kBlockHasStarts = 0x02;
inline constexpr std::uint8_t kBlockFollows = 0x04;  ///< Its values begin where the last one ended.
inline constexpr std::uint8_t kBlockKnownFlags = 0x07;

/// A time column as a block frame lists it: 32 bytes, fixed.
struct TimeColumn {
  std::int64_t time_ms_min = 0;
  std::int64_t time_ms_max = 0;
  std::uint32_t sample_count = 0;
  std::uint32_t frame = 0;  ///< Of the data file.
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
};

static_assert(sizeof(TimeColumn) == 32, "copied as it is");

/// Consecutive series whose labels share one frame of the index file and whose block lists another.
struct SeriesGroup {
  std::uint32_t first_series = 0;
  std::uint32_t series_count = 0;
  std::uint32_t label_frame = 0;
  std::uint32_t block_frame = 0;
};

struct SymbolGroup {
  std::uint32_t symbol_count = 0;
  std::uint32_t frame = 0;
};

/// The footer of the index file.
struct PartFooter {
  PartSummary summary;
  std::vector<SeriesGroup> series;
  std::vector<SymbolGroup> symbols;
};

/// The order of series in a part: telemetry::compare_labels, on views.
[[nodiscard]] std::strong_ordering compare_series(std::span<const telemetry::LabelView> a,
                                                  std::span<const telemetry::LabelView> b);

void append_footer(const PartFooter& footer, std::vector<std::byte>& out);

/// Errors: DataLoss. File sizes and the version in the summary are not part of it.
Result<PartFooter> parse_footer(std::span<const std::byte> bytes);

}  // namespace gantry::metrics
