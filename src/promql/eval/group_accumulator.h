#pragma once

// Per group and step, what sum, avg, min, max, count, group, stddev and stdvar need to know of the
// rows folded so far. Columns, one per state variable.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "promql/ast.h"
#include "promql/eval/annotations.h"
#include "promql/eval/histogram_cells.h"
#include "promql/eval/matrix.h"

namespace gantry::promql::eval {

/// Folding rows one by one gives Prometheus's results to the bit. Partial accumulators are merged
/// in a fixed order, so that the bits do not depend on the workers. Histograms cost nothing where
/// there are none. Not thread-safe.
class GroupAccumulator {
 public:
  /// `op` is one of the eight above.
  GroupAccumulator(AggregateOp op, std::size_t groups, std::size_t steps);

  /// Forgets all rows; keeps the memory, for `groups` groups.
  void reset(std::size_t groups);

  /// `row`: of the aggregated vector.
  void fold(std::size_t group, std::uint32_t row, std::span<const double> values,
            std::span<const std::uint64_t> bits, const HistogramRow& histograms);

  /// Adds what `partial`, of later rows, has of its group `from` to group `group`, and leaves that
  /// group unspecified.
  void merge(std::size_t group, GroupAccumulator& partial, std::size_t from);

  /// The metric name of a row that was folded; "" when there is none.
  using NameOf = std::function<std::string_view(std::uint32_t row)>;

  /// Moves the results of all groups into as many cleared rows. Annotations at `position`.
  void finish(const RowsView& out, AnnotationSet& annotations, Position position,
              const NameOf& name_of);

  /// The memory of the histograms, which bytes() does not know.
  [[nodiscard]] std::uint64_t histogram_bytes() const { return cells_.bytes(); }

  /// The bytes that an accumulator of this shape needs.
  static std::uint64_t bytes(AggregateOp op, std::size_t groups, std::size_t steps);

 private:
  void fold_sum(std::size_t offset, std::size_t n, const double* values, std::uint64_t present,
                std::uint64_t seen);
  /// A word of steps that all have a value, all first or all not; false where it is not that
  /// simple.
  bool fold_full(std::size_t offset, std::size_t n, const double* values, std::uint64_t present,
                 std::uint64_t seen);
  void fold_cell(std::size_t cell, double value, bool is_first);
  void fold_histograms(std::size_t group, std::uint32_t row, const HistogramRow& histograms);
  void annotate(HistogramFindings findings, AnnotationSet& annotations, Position position,
                const NameOf& name_of) const;
  void merge_cell(std::size_t cell, const GroupAccumulator& partial, std::size_t from);
  void merge_mean(std::size_t cell, const GroupAccumulator& partial, std::size_t from);
  [[nodiscard]] double result(std::size_t cell) const;

  AggregateOp op_;
  std::size_t groups_ = 0;
  std::size_t steps_;
  std::size_t words_;
  // By group and step. Sum: sum and compensation. Avg: the same, of the mean once is_mean_. Min,
  // max: the value. Stddev, stdvar: mean and sum of squares. Cells whose `seen_` bit is clear are
  // unspecified.
  std::vector<double> first_;
  std::vector<double> second_;
  std::vector<double> counts_;
  std::vector<std::uint8_t> is_mean_;
  std::vector<std::uint64_t> seen_;  ///< Bitmaps: some float was folded.
  HistogramCells cells_;             ///< Of sum and avg.
  bool has_ignored_histograms_ = false;
};

}  // namespace gantry::promql::eval
