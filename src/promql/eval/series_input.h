#pragma once

// Where the samples of a range or instant selector come from: a source's series, or the rows of a
// sub-query's inner expression.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/label_table.h"
#include "promql/eval/matrix.h"
#include "promql/kernels/window.h"
#include "promql/series_source.h"

namespace gantry::promql::eval {

/// Series with samples. Labels on the query's own thread, samples and names on any.
class SeriesInput {
 public:
  SeriesInput() = default;
  SeriesInput(const SeriesInput&) = delete;
  SeriesInput& operator=(const SeriesInput&) = delete;
  virtual ~SeriesInput() = default;

  [[nodiscard]] virtual std::size_t count() const = 0;
  [[nodiscard]] virtual LabelSetId labels(std::size_t series) = 0;
  [[nodiscard]] virtual LabelSetId project(std::size_t series, Projection& projection) = 0;
  [[nodiscard]] virtual bool drops_name(std::size_t series) const = 0;
  [[nodiscard]] virtual bool may_collide_without_name() = 0;

  /// The metric name, "" when there is none. Thread-safe.
  [[nodiscard]] virtual std::string_view metric_name(std::size_t series) const = 0;

  /// The value of `__type__`, "" when there is none. Thread-safe.
  [[nodiscard]] virtual std::string_view type_label(std::size_t series) const = 0;

  /// Replaces `out` by the samples, stale markers included. Thread-safe.
  virtual Result<void> read(std::size_t series, SampleColumns& out) const = 0;
};

using SeriesInputPtr = std::unique_ptr<SeriesInput>;

/// What a range vector reads, and the windows of the steps.
struct RangeVector {
  SeriesInputPtr input;
  kernels::WindowGrid windows;
};

/// The evaluation times as a selector sees them: moved by `offset`, pinned by `@`. For range
/// selectors and sub-queries with their range, for instant selectors with the lookback.
[[nodiscard]] kernels::WindowGrid window_grid(const QueryContext& context, const Grid& grid,
                                              const TimeModifiers& time, std::int64_t range_ms);

/// Selects what `selector` needs for `windows` at `steps` steps. `within`: the enclosing function
/// or aggregation, a hint for the source.
Result<SeriesInputPtr> select_series(QueryContext& context, const VectorSelector& selector,
                                     const kernels::WindowGrid& windows, std::size_t steps,
                                     std::string_view within, std::int64_t range_hint_ms);

/// The rows of a matrix over `grid` as series.
[[nodiscard]] SeriesInputPtr make_matrix_input(QueryContext& context, Matrix matrix,
                                               const Grid& grid);

/// The samples read, as limits count them: a histogram by its size.
[[nodiscard]] std::uint64_t count_samples(const SampleColumns& columns);

/// The memory of the histograms read.
[[nodiscard]] std::uint64_t histogram_bytes(const SampleColumns& columns);

/// Removes stale markers of both kinds, order kept.
void remove_stale_markers(SampleColumns& columns);

/// Whether a histogram is a stale marker: its sum has the marker's bits.
[[nodiscard]] bool is_stale_histogram(const telemetry::FloatHistogram& histogram);

}  // namespace gantry::promql::eval
