#pragma once

// Where the engine reads from. The embedded store implements this, so do label-filtered views of it
// and the fakes of tests. The engine knows nothing of files.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "promql/matcher.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql {

/// A label as two symbols of the series set's table.
struct LabelSymbols {
  std::uint32_t name = 0;
  std::uint32_t value = 0;

  friend bool operator==(const LabelSymbols&, const LabelSymbols&) = default;
};

/// Samples of one series, ascending by time, timestamps unique over both kinds. Reused between
/// reads.
struct SampleColumns {
  std::vector<std::int64_t> timestamps_ms;
  std::vector<double> values;
  std::vector<std::int64_t> start_timestamps_ms;  ///< Empty, or one per sample; 0: unknown.

  struct HistogramPoint {
    std::int64_t timestamp_ms = 0;
    std::int64_t start_timestamp_ms = 0;
    std::shared_ptr<const telemetry::FloatHistogram> histogram;
  };

  std::vector<HistogramPoint>
      histograms;  ///< Ascending; their own timestamps, not in timestamps_ms.

  void clear();
};

/// What the engine will do with a selector, so that a source may read less.
struct SelectHints {
  std::int64_t step_ms = 0;   ///< 0 for an instant query.
  std::int64_t range_ms = 0;  ///< Of the range selector; 0 for an instant selector.
  std::string_view function;  ///< The enclosing function or aggregation, "" for none.
};

struct SelectRequest {
  std::span<const Matcher> matchers;  ///< All must match.
  std::int64_t start_ms = 0;          ///< Inclusive.
  std::int64_t end_ms = 0;            ///< Inclusive.
  SelectHints hints;
  std::size_t series_limit =
      0;  ///< 0: none. More series than this is ResourceExhausted, unless truncate is set.
  bool truncate = false;  ///< Stop at series_limit and set SeriesSet::is_truncated.
};

/// The series that a selector matched, as of one moment: later appends are not seen. Holds what it
/// needs alive. Thread-safety: all methods may be called by several threads at once.
class SeriesSet {
 public:
  SeriesSet() = default;
  SeriesSet(const SeriesSet&) = delete;
  SeriesSet& operator=(const SeriesSet&) = delete;
  virtual ~SeriesSet() = default;

  [[nodiscard]] virtual std::size_t size() const = 0;

  /// Sorted by the label name's text. Valid as long as the set.
  [[nodiscard]] virtual std::span<const LabelSymbols> labels(std::size_t series) const = 0;

  /// The text of a symbol of this set. Equal texts have equal symbols within all sets of one
  /// source. Valid as long as the set.
  [[nodiscard]] virtual std::string_view symbol(std::uint32_t id) const = 0;

  /// Hot. Replaces `out` by the samples of `series` with start_ms <= t <= end_ms (narrower than the
  /// request's range is allowed). Stale markers are included. Errors: DataLoss, Internal.
  virtual Result<void> read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                            SampleColumns& out) const = 0;

  [[nodiscard]] virtual bool is_truncated() const { return false; }

  /// Sentences for the answer's `warnings` (a damaged part that was set aside, say).
  [[nodiscard]] virtual std::vector<std::string> warnings() const { return {}; }
};

/// Result of a label look-up: sorted bytewise, unique.
struct LabelStrings {
  std::vector<std::string> values;
  bool is_truncated = false;
  std::vector<std::string> warnings;
};

struct ExemplarSeries {
  std::vector<std::pair<std::string, std::string>> labels;  ///< Sorted by name.

  struct Point {
    std::int64_t timestamp_ms = 0;
    double value = 0;
    std::vector<std::pair<std::string, std::string>> labels;
  };

  std::vector<Point> points;  ///< Ascending by time.
};

/// Thread-safe. A series belongs to an answer when it has a sample inside [start_ms, end_ms].
class SeriesSource {
 public:
  SeriesSource() = default;
  SeriesSource(const SeriesSource&) = delete;
  SeriesSource& operator=(const SeriesSource&) = delete;
  virtual ~SeriesSource() = default;

  /// Series in an order that is the same each time. Errors: ResourceExhausted (series_limit),
  /// Cancelled, DeadlineExceeded, Internal.
  virtual Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request,
                                                    const CancelToken& cancel) const = 0;

  /// Names of labels of series that match all matchers (none: every series). limit 0: none.
  virtual Result<LabelStrings> label_names(std::span<const Matcher> matchers, std::int64_t start_ms,
                                           std::int64_t end_ms, std::size_t limit,
                                           const CancelToken& cancel) const = 0;

  virtual Result<LabelStrings> label_values(std::string_view name,
                                            std::span<const Matcher> matchers,
                                            std::int64_t start_ms, std::int64_t end_ms,
                                            std::size_t limit, const CancelToken& cancel) const = 0;

  /// Exemplars of series that match every matcher of any of the selectors; both ends inclusive;
  /// sorted by labels.
  virtual Result<std::vector<ExemplarSeries>> exemplars(
      std::span<const std::vector<Matcher>> selectors, std::int64_t start_ms, std::int64_t end_ms,
      const CancelToken& cancel) const = 0;
};

}  // namespace gantry::promql
