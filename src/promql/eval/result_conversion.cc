#include "promql/eval/result_conversion.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

namespace gantry::promql::eval {

namespace {

void fill_series(const LabelTable& labels, const Matrix& matrix, std::size_t row, const Grid& grid,
                 ResultSeries& series) {
  series.labels = labels.to_pairs(matrix.labels[row]);
  const std::span<const double> values = matrix.rows.row(row);
  std::size_t count = 0;
  for (const std::uint64_t word : matrix.rows.bits(row)) {
    count += static_cast<std::size_t>(std::popcount(word));
  }
  series.points.reserve(count);
  for_each_bit(matrix.rows.bits(row), [&](std::size_t step) {
    series.points.push_back({.timestamp_ms = grid.time_ms(step), .value = values[step]});
  });
  const HistogramRow& histograms = matrix.rows.histograms(row);
  for (std::size_t step = 0; step < histograms.size(); ++step) {
    if (histograms[step] == nullptr) continue;
    series.histograms.push_back(
        {.timestamp_ms = grid.time_ms(step), .histogram = histograms[step]});
  }
}

}  // namespace

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

Result<std::vector<ResultSeries>> to_series(QueryContext& context, const Matrix& matrix,
                                            const Grid& grid) {
  std::vector<std::size_t> order(matrix.count());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    return context.labels.compare(matrix.labels[a], matrix.labels[b]) < 0;
  });
  std::vector<ResultSeries> result(order.size());
  // Nothing writes to the label table meanwhile: workers may read it.
  GANTRY_CHECK(run_batches(context, order.size(), [&](const Batch& batch, BatchScratch&) {
    for (std::size_t i = batch.first; i < batch.first + batch.count; ++i) {
      fill_series(context.labels, matrix, order[i], grid, result[i]);
    }
    return Result<void>();
  }));
  std::erase_if(result, [](const ResultSeries& series) {
    return series.points.empty() && series.histograms.empty();
  });
  return result;
}

}  // namespace gantry::promql::eval
