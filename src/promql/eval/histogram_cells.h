#pragma once

// The native histograms of sum and avg by group and step. A cell exists only where a histogram was
// folded: aggregations of floats have none of this.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "promql/eval/matrix.h"
#include "promql/histogram/accumulate.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::eval {

/// What the cells have to report, once per query.
struct HistogramFindings {
  bool has_mix = false;  ///< Floats and histograms in one cell.
  bool has_hint_conflict = false;
  bool has_reconciled_bounds = false;
  /// Rows whose histogram did not go with those before it (exponential and custom buckets); may
  /// repeat.
  std::vector<std::uint32_t> misfits;
};

/// What happens to a cell follows Prometheus, which folds one row after the other: a cell that
/// starts with a float adds no histograms, and a cell that has met a misfit takes nothing more.
/// Merging partial cells in row order gives the same findings. Not thread-safe.
class HistogramCells {
 public:
  enum class Kind : std::uint8_t { Sum, Mean };

  HistogramCells(Kind kind, std::size_t steps) : kind_(kind), steps_(steps) {}

  /// Forgets all cells, for `groups` groups.
  void reset(std::size_t groups);

  [[nodiscard]] bool is_empty() const { return cells_.empty(); }

  /// `row` is where the histogram comes from; `follows_float`: an earlier row had a float there.
  void add(std::size_t group, std::size_t step, const telemetry::FloatHistogram& histogram,
           std::uint32_t row, bool follows_float);

  /// Takes what `partial`, of later rows, has of its group `from`. `floats`: the steps at which
  /// this group has a float, of rows before those.
  void merge(std::size_t group, HistogramCells& partial, std::size_t from,
             std::span<const std::uint64_t> floats);

  /// Moves the results of a group into `out`. `floats`: the steps at which it has a float; those
  /// that have a cell are cleared.
  void finish_group(std::size_t group, std::span<std::uint64_t> floats, HistogramRow& out,
                    HistogramFindings& findings);

  /// Memory that the cells take.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  struct Cell {
    std::variant<histogram::Total, histogram::Mean> value;
    std::uint32_t first_row = kNone;
    std::uint32_t misfit = kNone;  ///< The first row that did not go with the others.
    bool is_custom = false;        ///< Of the histograms before the misfit.
    bool is_float_first = false;
    bool had_float_at_misfit = false;
  };

  using CellPtr = std::unique_ptr<Cell>;

  std::vector<CellPtr>& cells_of(std::size_t group);
  void join(Cell& own, const Cell& later, bool has_float);
  static std::uint64_t bytes_of(const Cell& cell);

  Kind kind_;
  std::size_t steps_;
  std::size_t groups_ = 0;
  std::vector<std::vector<CellPtr>> cells_;  ///< By group, then step; empty where there are none.
  std::uint64_t bytes_ = 0;
};

}  // namespace gantry::promql::eval
