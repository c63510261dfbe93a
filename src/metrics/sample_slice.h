#pragma once

// All samples of a source, slice of time after slice of time, page by page: for who hands all of
// them on.
//
//   SamplePosition position{.slice_ms = start};
//   while (position.slice_ms < end) {
//     GANTRY_TRY(const auto slice, open_sample_slice(source, describe, {position, end}, cancel));
//     for (bool is_last = false; !is_last;) {
//       GANTRY_TRY(const SamplePage page, slice->read(position, bytes_max, cancel, batch));
//       …
//       position = page.last;
//       is_last = page.is_last;
//     }
//   }
//
// A position means the same after merges, restarts and further appends, so that it can be kept.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "metrics/store.h"
#include "promql/series_source.h"
#include "telemetry/metric_batch.h"

namespace gantry::metrics {

/// Everything before the slice has been read, and of the slice the groups (telemetry/
/// series_group.h) up to this one.
struct SamplePosition {
  std::int64_t slice_ms = 0;
  std::uint64_t group = 0;  ///< At most 2^63 - 1; 0: none yet.

  friend auto operator<=>(const SamplePosition&, const SamplePosition&) = default;
};

struct SamplePage {
  SamplePosition last;   ///< Of the page.
  bool is_last = false;  ///< Of the slice: `last` is the begin of the next one.
};

/// The series with samples in a slice of time, as of the moment when it was opened: for as long it
/// keeps alive what it reads from. One thread.
class SampleSlice {
 public:
  SampleSlice() = default;
  SampleSlice(const SampleSlice&) = delete;
  SampleSlice& operator=(const SampleSlice&) = delete;
  virtual ~SampleSlice() = default;

  /// Replaces `batch` by the next groups of series, each whole, with their floats, histograms (as
  /// floats) and stale markers, which ascend in each series, with start timestamps, exemplars that
  /// the source still has (the newest 256 of a series and slice), and what is known of their
  /// families. Its views live until the next call. A position before the slice stands for its
  /// begin. `bytes_max` is about, of texts and samples; exceeded by a group at most. Errors: those
  /// of the source, Cancelled.
  virtual Result<SamplePage> read(const SamplePosition& after, std::size_t bytes_max,
                                  const CancelToken& cancel, telemetry::MetricBatch& batch) = 0;
};

struct SampleSliceRequest {
  SamplePosition after;
  std::int64_t end_ms = 0;              ///< Samples from then on are left out; behind `after`.
  std::int64_t slice_ms_max = 600'000;  ///< Receivers refuse what is much older than the newest.
};

/// What a store knows of a family.
using DescribeFamily = std::function<std::vector<MetadataEntry>(std::string_view family)>;

/// The first slice from the position on that has samples; without any, one that has no series and
/// ends with the request. Errors: those of the source, Cancelled.
Result<std::unique_ptr<SampleSlice>> open_sample_slice(const promql::SeriesSource& source,
                                                       DescribeFamily describe,
                                                       const SampleSliceRequest& request,
                                                       const CancelToken& cancel);

}  // namespace gantry::metrics
