#pragma once

// Rows that are the series of an input, one for one: selectors and functions of range vectors.

#include <cstddef>

#include "promql/eval/context.h"
#include "promql/eval/label_table.h"
#include "promql/eval/row_producer.h"
#include "promql/eval/series_input.h"

namespace gantry::promql::eval {

/// Answers for the labels; what the rows hold is left to whoever derives from it.
class InputRows : public RowProducer {
 public:
  [[nodiscard]] std::size_t count() const final { return input_->count(); }

  [[nodiscard]] LabelSetId labels(std::size_t row) final;
  [[nodiscard]] LabelSetId project(std::size_t row, Projection& projection) final;
  [[nodiscard]] bool drops_name(std::size_t row) const final;
  [[nodiscard]] bool may_collide() final;
  [[nodiscard]] bool may_collide_without_name() final;

 protected:
  /// `name_rule`: whether the names of the series stay. `context` must outlive this.
  InputRows(QueryContext& context, SeriesInputPtr input, NameRule name_rule);

  QueryContext& context_;
  SeriesInputPtr input_;

 private:
  [[nodiscard]] bool drops_at_once() const;

  NameRule name_rule_;
};

}  // namespace gantry::promql::eval
