#pragma once

// Series written as text, for tests and rule tests: a metric and its samples at equal intervals.
//
//   requests_total{job="api"} 0+10x10 _ stale {{schema:1 sum:4 count:3 buckets:[1 2]}}x3
//
// The language is that of Prometheus's promqltest. Errors read "1:63: parse error: …" as for
// queries. Views are not kept; thread-safe (no state).

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql {

/// `_`: no sample at this position.
struct OmittedItem {};

/// `stale`.
struct StaleItem {};

struct SeriesHistogram {
  std::shared_ptr<const telemetry::FloatHistogram> histogram;  ///< Never null.
  bool is_hint_written = false;  ///< The literal has a counter_reset_hint.
};

using SeriesItem = std::variant<OmittedItem, StaleItem, double, SeriesHistogram>;

/// What a line may expand to: `0x999999999` is an error rather than an allocation.
inline constexpr std::size_t kSeriesItemsMax = 1'000'000;

struct SeriesDescription {
  telemetry::Labels labels;
  std::vector<SeriesItem> items;
};

/// The empty line is a series without labels and items.
Result<SeriesDescription> parse_series_description(std::string_view line);

/// `metric{…}@st -1m _x2 -30s+15sx3`: the start timestamps of the line that follows.
struct StartTimestampDescription {
  telemetry::Labels labels;
  /// Start time less the sample's own time; empty: unknown.
  std::vector<std::optional<std::int64_t>> offsets_ms;
};

[[nodiscard]] bool is_start_timestamp_description(std::string_view line);

Result<StartTimestampDescription> parse_start_timestamp_description(std::string_view line);

}  // namespace gantry::promql
