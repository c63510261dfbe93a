#pragma once

// A vector-valued node before its values are computed: how many rows it has, what their labels are,
// and how to compute a few of them. Aggregations fold rows as they are produced; whatever needs all
// of them at once materialises.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "core/error.h"
#include "promql/eval/context.h"
#include "promql/eval/label_table.h"
#include "promql/eval/matrix.h"

namespace gantry::promql::eval {

class RowProducer {
 public:
  RowProducer() = default;
  RowProducer(const RowProducer&) = delete;
  RowProducer& operator=(const RowProducer&) = delete;
  virtual ~RowProducer() = default;

  [[nodiscard]] virtual std::size_t count() const = 0;

  // Labels: the query's own thread only.

  [[nodiscard]] virtual LabelSetId labels(std::size_t row) = 0;

  /// projection.apply(labels(row)), perhaps cheaper.
  [[nodiscard]] virtual LabelSetId project(std::size_t row, Projection& projection) = 0;

  /// The row's name goes at the end of the query (delayed name removal).
  [[nodiscard]] virtual bool drops_name(std::size_t row) const = 0;

  /// Whether two rows may have equal labels, so that they have to be merged before use.
  [[nodiscard]] virtual bool may_collide() = 0;

  /// Whether two rows could have equal labels once the metric name is gone.
  [[nodiscard]] virtual bool may_collide_without_name() = 0;

  /// Computes rows [first, first + out.count) into `out`, whose presence is clear. The memory of
  /// histograms is taken from the budget into scratch.held, row by row. Thread-safe.
  [[nodiscard]] virtual Result<void> produce(std::size_t first, const RowsView& out,
                                             BatchScratch& scratch) const = 0;

  /// The matrix behind this producer if it has one; the producer is of no use afterwards.
  [[nodiscard]] virtual std::optional<Matrix> take_matrix() { return std::nullopt; }
};

using RowProducerPtr = std::unique_ptr<RowProducer>;

/// Changes the values of a batch in place. What replaced histograms need more than the old ones is
/// taken into scratch.held, row by row. Thread-safe.
using RowsMap = std::function<Result<void>(const RowsView& rows, BatchScratch& scratch)>;

/// Takes what the row's histograms need, `counted` bytes of them being taken already. Nothing for a
/// row of floats.
[[nodiscard]] Result<void> hold_histograms(const HistogramRow& row, BatchScratch& scratch,
                                           std::uint64_t counted = 0);

enum class NameRule : std::uint8_t { Keep, Drop };

/// `inner` with `map` applied to its values and its names dropped, or not.
Result<RowProducerPtr> make_mapped(QueryContext& context, RowProducerPtr inner, RowsMap map,
                                   NameRule name_rule);

[[nodiscard]] RowProducerPtr make_matrix_producer(QueryContext& context, Matrix matrix);

/// All rows, equal labels merged, empty rows left out.
Result<Matrix> materialise(QueryContext& context, RowProducer& producer, std::size_t steps);

/// `matrix` with the metric names dropped: labels changed and merged at once, or flagged.
Result<Matrix> drop_names(QueryContext& context, Matrix matrix);

}  // namespace gantry::promql::eval
