#include "promql/eval/result_conversion.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace gantry::promql::eval {

Result<void> finish_names(QueryContext& context, Matrix& matrix) {
  bool is_changed = false;
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    if (matrix.drops_name[row] == 0) continue;
    matrix.labels[row] = context.labels.without_metadata(matrix.labels[row]);
    is_changed = true;
  }
  return is_changed ? merge_equal_rows(matrix) : Result<void>();
}

std::vector<VectorElement> to_vector(QueryContext& context, const Matrix& matrix,
                                     std::int64_t timestamp_ms) {
  std::vector<VectorElement> result;
  result.reserve(matrix.count());
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    VectorElement element{.labels = {}, .timestamp_ms = timestamp_ms, .value = 0, .histogram = {}};
    const HistogramRow& histograms = matrix.rows.histograms(row);
    if (kernels::test_bit(matrix.rows.bits(row), 0)) {
      element.value = matrix.rows.row(row)[0];
    } else if (!histograms.empty() && histograms[0] != nullptr) {
      element.histogram = histograms[0];
    } else {
      continue;
    }
    element.labels = context.labels.to_pairs(matrix.labels[row]);
    result.push_back(std::move(element));
  }
  return result;
}

std::vector<ResultSeries> to_series(QueryContext& context, const Matrix& matrix, const Grid& grid) {
  std::vector<std::size_t> order(matrix.count());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return context.labels.compare(matrix.labels[a], matrix.labels[b]) < 0;
  });
  std::vector<ResultSeries> result;
  result.reserve(order.size());
  for (const std::size_t row : order) {
    if (matrix.rows.is_empty(row)) continue;
    ResultSeries series{
        .labels = context.labels.to_pairs(matrix.labels[row]), .points = {}, .histograms = {}};
    const std::span<const double> values = matrix.rows.row(row);
    for_each_bit(matrix.rows.bits(row), [&](std::size_t step) {
      series.points.push_back({.timestamp_ms = grid.time_ms(step), .value = values[step]});
    });
    const HistogramRow& histograms = matrix.rows.histograms(row);
    for (std::size_t step = 0; step < histograms.size(); ++step) {
      if (histograms[step] == nullptr) continue;
      series.histograms.push_back(
          {.timestamp_ms = grid.time_ms(step), .histogram = histograms[step]});
    }
    result.push_back(std::move(series));
  }
  return result;
}

}  // namespace gantry::promql::eval
