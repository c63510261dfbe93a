#include "promql/eval/row_producer.h"

#include <algorithm>

namespace gantry::promql::eval {
namespace {

class MatrixProducer final : public RowProducer {
 public:
  MatrixProducer(QueryContext& context, Matrix matrix)
      : context_(context), matrix_(std::move(matrix)) {}

  [[nodiscard]] std::size_t count() const override { return matrix_.count(); }

  [[nodiscard]] LabelSetId labels(std::size_t row) override { return matrix_.labels[row]; }

  [[nodiscard]] LabelSetId project(std::size_t row, Projection& projection) override {
    return projection.apply(context_.labels, matrix_.labels[row]);
  }

  [[nodiscard]] bool drops_name(std::size_t row) const override {
    return matrix_.drops_name[row] != 0;
  }

  [[nodiscard]] bool may_collide() override { return false; }

  [[nodiscard]] bool may_collide_without_name() override { return matrix_.count() > 1; }

  [[nodiscard]] Result<void> produce(std::size_t first, const RowsView& out,
                                     BatchScratch& /*scratch*/) const override {
    for (std::size_t i = 0; i < out.count; ++i) {
      std::ranges::copy(matrix_.rows.row(first + i), out.row(i).begin());
      std::ranges::copy(matrix_.rows.bits(first + i), out.bits(i).begin());
      // Shared with this matrix, whose memory is accounted for.
      out.histograms[i] = matrix_.rows.histograms(first + i);
    }
    return {};
  }

  [[nodiscard]] std::optional<Matrix> take_matrix() override { return std::move(matrix_); }

 private:
  QueryContext& context_;
  Matrix matrix_;
};

class MappedProducer final : public RowProducer {
 public:
  MappedProducer(QueryContext& context, RowProducerPtr inner, RowsMap map, NameRule name_rule)
      : context_(context), inner_(std::move(inner)), map_(std::move(map)), name_rule_(name_rule) {}

  [[nodiscard]] std::size_t count() const override { return inner_->count(); }

  [[nodiscard]] LabelSetId labels(std::size_t row) override {
    const LabelSetId labels = inner_->labels(row);
    return drops_at_once() ? context_.labels.without_metadata(labels) : labels;
  }

  [[nodiscard]] LabelSetId project(std::size_t row, Projection& projection) override {
    if (!drops_at_once() || projection.ignores_metadata(context_.labels)) {
      return inner_->project(row, projection);
    }
    return projection.apply(context_.labels, labels(row));
  }

  [[nodiscard]] bool drops_name(std::size_t row) const override {
    return inner_->drops_name(row) || (name_rule_ == NameRule::Drop && !drops_at_once());
  }

  [[nodiscard]] bool may_collide() override {
    return inner_->may_collide() || (drops_at_once() && inner_->may_collide_without_name());
  }

  [[nodiscard]] bool may_collide_without_name() override {
    return inner_->may_collide_without_name();
  }

  [[nodiscard]] Result<void> produce(std::size_t first, const RowsView& out,
                                     BatchScratch& scratch) const override {
    GANTRY_CHECK(inner_->produce(first, out, scratch));
    return map_(out, scratch);
  }

 private:
  [[nodiscard]] bool drops_at_once() const {
    return name_rule_ == NameRule::Drop && context_.drops_names_at_once();
  }

  QueryContext& context_;
  RowProducerPtr inner_;
  RowsMap map_;
  NameRule name_rule_;
};

}  // namespace

Result<void> hold_histograms(const HistogramRow& row, BatchScratch& scratch,
                             std::uint64_t counted) {
  if (row.empty()) return {};
  const std::uint64_t bytes = histogram_bytes(row);
  return bytes <= counted ? Result<void>() : scratch.held.grow(0, bytes - counted);
}

Result<RowProducerPtr> make_mapped(QueryContext& context, RowProducerPtr inner, RowsMap map,
                                   NameRule name_rule) {
  if (std::optional<Matrix> matrix = inner->take_matrix()) {
    const RowsView view = matrix->rows.view();
    std::vector<Reservation> held(batch_count(context, matrix->count()));
    GANTRY_CHECK(
        run_batches(context, matrix->count(), [&](const Batch& batch, BatchScratch& scratch) {
          Result<void> result = map(view.sub(batch.first, batch.count), scratch);
          held[batch.index] = std::move(scratch.held);
          return result;
        }));
    for (Reservation& part : held) matrix->reservation.absorb(std::move(part));
    remove_empty_rows(*matrix);
    if (name_rule == NameRule::Drop) {
      GANTRY_TRY(*matrix, drop_names(context, *std::move(matrix)));
    }
    return make_matrix_producer(context, *std::move(matrix));
  }
  return std::make_unique<MappedProducer>(context, std::move(inner), std::move(map), name_rule);
}

RowProducerPtr make_matrix_producer(QueryContext& context, Matrix matrix) {
  return std::make_unique<MatrixProducer>(context, std::move(matrix));
}

Result<Matrix> materialise(QueryContext& context, RowProducer& producer, std::size_t steps) {
  if (std::optional<Matrix> ready = producer.take_matrix()) return *std::move(ready);
  const std::size_t rows = producer.count();
  GANTRY_TRY(Matrix matrix, make_matrix(context.budget, rows, steps));
  const RowsView view = matrix.rows.view();
  std::vector<Reservation> reservations(batch_count(context, rows));
  GANTRY_CHECK(run_batches(context, rows, [&](const Batch& batch, BatchScratch& scratch) {
    const RowsView out = view.sub(batch.first, batch.count);
    Result<void> result = producer.produce(batch.first, out, scratch);
    reservations[batch.index] = std::move(scratch.held);
    if (result) result = reservations[batch.index].grow(count_samples(out), 0);
    return result;
  }));
  for (Reservation& reservation : reservations) matrix.reservation.absorb(std::move(reservation));
  for (std::size_t i = 0; i < rows; ++i) {
    if (matrix.rows.is_empty(i)) continue;
    matrix.labels[i] = producer.labels(i);
    matrix.drops_name[i] = producer.drops_name(i) ? 1 : 0;
  }
  remove_empty_rows(matrix);
  if (producer.may_collide()) GANTRY_CHECK(merge_equal_rows(matrix));
  return matrix;
}

Result<Matrix> drop_names(QueryContext& context, Matrix matrix) {
  if (!context.drops_names_at_once()) {
    std::ranges::fill(matrix.drops_name, std::uint8_t{1});
    return matrix;
  }
  for (LabelSetId& labels : matrix.labels) labels = context.labels.without_metadata(labels);
  GANTRY_CHECK(merge_equal_rows(matrix));
  return matrix;
}

}  // namespace gantry::promql::eval
