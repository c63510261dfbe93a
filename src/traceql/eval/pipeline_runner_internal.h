#pragma once

// Runs the stages of a pipeline over the traces of a group.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/error.h"
#include "traceql/ast.h"
#include "traceql/eval/field_evaluator_internal.h"
#include "traceql/eval/field_program_internal.h"
#include "traceql/eval/group_evaluator.h"
#include "traceql/eval/structural.h"

namespace gantry::traceql {

/// One thread. Keeps what it compiled and filtered by the addresses of the tree's nodes, so a tree
/// must outlive it. Errors: as GroupEvaluator::run.
class PipelineRunner {
 public:
  explicit PipelineRunner(FieldTable& table) : table_(table), fields_(table) {}

  Result<RowSet> filter(const FieldExpr& field, const RowSet& within);
  Result<Static> value(const FieldExpr& field, std::uint32_t row);
  Result<std::vector<Spanset>> run(const Pipeline& pipeline, const RowSet& within);
  Result<RowSet> run_to_rows(const Pipeline& pipeline);

 private:
  /// What stages hand on. As long as only filters ran, one span set per trace without attributes,
  /// kept as rows of all traces; then a list, ordered by trace.
  struct State {
    RowSet rows;
    std::optional<std::vector<Spanset>> sets;
  };

  Result<const FieldNode*> program(const FieldExpr& field);
  Result<const RowSet*> filter_rows(const SpansetFilter& filter);
  Result<State> run_stages(const Pipeline& pipeline, State state);
  Result<void> list_sets(State& state);

  Result<void> apply(const SpansetExpr& expr, State& state);
  Result<void> apply(const ScalarFilter& filter, State& state);
  Result<void> apply(const GroupBy& group_by, State& state);
  Result<void> apply(const Coalesce& coalesce, State& state);
  Result<void> apply(const Select& select, State& state);

  /// False when no trace of the group can be left; cheap, and loads no trees.
  Result<bool> can_match(const SpansetExpr& expr);
  /// Appends what `expr` makes of one span set.
  Result<void> evaluate(const SpansetExpr& expr, const Spanset& input, std::vector<Spanset>& out);
  Result<void> evaluate(const SpansetBinary& binary, const Spanset& input,
                        std::vector<Spanset>& out);
  Result<std::vector<std::uint32_t>> join(SpansetOp op, const std::vector<Spanset>& left,
                                          const std::vector<Spanset>& right);

  FieldTable& table_;
  FieldEvaluator fields_;
  std::map<const FieldExpr*, FieldNodePtr> programs_;
  std::map<const SpansetFilter*, RowSet> filtered_;
  std::optional<SpansetJoin> join_;
};

}  // namespace gantry::traceql
