#include "promql/eval/input_rows.h"

#include <utility>

namespace gantry::promql::eval {

InputRows::InputRows(QueryContext& context, SeriesInputPtr input, NameRule name_rule)
    : context_(context), input_(std::move(input)), name_rule_(name_rule) {}

bool InputRows::drops_at_once() const {
  return name_rule_ == NameRule::Drop && context_.drops_names_at_once();
}

LabelSetId InputRows::labels(std::size_t row) {
  const LabelSetId labels = input_->labels(row);
  return drops_at_once() ? context_.labels.without_metadata(labels) : labels;
}

LabelSetId InputRows::project(std::size_t row, Projection& projection) {
  if (!drops_at_once() || projection.ignores_metadata(context_.labels)) {
    return input_->project(row, projection);
  }
  return projection.apply(context_.labels, labels(row));
}

bool InputRows::drops_name(std::size_t row) const {
  return input_->drops_name(row) || (name_rule_ == NameRule::Drop && !drops_at_once());
}

bool InputRows::may_collide() {
  return drops_at_once() && input_->may_collide_without_name();
}

bool InputRows::may_collide_without_name() {
  return input_->may_collide_without_name();
}

}  // namespace gantry::promql::eval
