#include "traceql/eval/group_evaluator.h"

#include <utility>

#include "traceql/eval/field_table_internal.h"
#include "traceql/eval/field_values_internal.h"
#include "traceql/eval/pipeline_runner_internal.h"

namespace gantry::traceql {

std::vector<std::span<const Spanset>> by_trace(std::span<const Spanset> sets) {
  std::vector<std::span<const Spanset>> out;
  std::size_t begin = 0;
  for (std::size_t i = 1; i <= sets.size(); ++i) {
    if (i < sets.size() && sets[i].trace == sets[begin].trace) continue;
    out.push_back(sets.subspan(begin, i - begin));
    begin = i;
  }
  return out;
}

struct GroupEvaluator::Impl {
  explicit Impl(SpanGroup& group) : table(group), runner(table) {}

  FieldTable table;
  PipelineRunner runner;
};

GroupEvaluator::GroupEvaluator(SpanGroup& group) : impl_(std::make_unique<Impl>(group)) {}

GroupEvaluator::~GroupEvaluator() = default;

SpanGroup& GroupEvaluator::group() const {
  return impl_->table.group();
}

Result<RowSet> GroupEvaluator::filter(const FieldExpr& field) {
  return impl_->runner.filter(field, RowSet(group().counts().spans, true));
}

Result<std::vector<Spanset>> GroupEvaluator::run(const Pipeline& pipeline) {
  return impl_->runner.run(pipeline, RowSet(group().counts().spans, true));
}

Result<std::vector<Spanset>> GroupEvaluator::run(const Pipeline& pipeline, const RowSet& within) {
  return impl_->runner.run(pipeline, within);
}

Result<RowSet> GroupEvaluator::run_to_rows(const Pipeline& pipeline) {
  return impl_->runner.run_to_rows(pipeline);
}

Result<DistinctValues> GroupEvaluator::distinct_values(const Attribute& attribute,
                                                       const RowSet& rows) {
  GANTRY_TRY(const Fields* fields, impl_->table.find(attribute));
  return find_distinct_values(impl_->table, *fields, rows);
}

Result<NumberValues> GroupEvaluator::numbers(const Attribute& attribute, const RowSet& rows) {
  GANTRY_TRY(const Fields* fields, impl_->table.find(attribute));
  return find_numbers(impl_->table, *fields, rows);
}

Result<Static> GroupEvaluator::value(const FieldExpr& field, std::uint32_t row) {
  return impl_->runner.value(field, row);
}

Result<const TraceFacts*> GroupEvaluator::trace_facts() {
  return impl_->table.trace_facts();
}

Result<RowSet> GroupEvaluator::rows_of_traces(const RowSet& traces) {
  const std::uint32_t spans = group().counts().spans;
  if (traces.is_full()) return RowSet(spans, true);
  RowSet rows(spans);
  if (traces.is_empty()) return rows;
  GANTRY_TRY(const auto trace_of, group().traces());
  for (std::uint32_t row = 0; row < spans; ++row) {
    if (traces.contains(trace_of[row])) rows.add(row);
  }
  return rows;
}

Result<std::span<const std::string_view>> GroupEvaluator::service_names() {
  return impl_->table.service_names();
}

}  // namespace gantry::traceql
