#include <algorithm>
#include <iterator>
#include <utility>

#include "traceql/eval/aggregates_internal.h"
#include "traceql/eval/field_values_internal.h"
#include "traceql/eval/pipeline_runner_internal.h"
#include "traceql/eval/static_operations.h"
#include "traceql/eval/static_table.h"

namespace gantry::traceql {

namespace {

void set_attribute(Spanset& set, const std::string& key, Static value) {
  const auto found = std::ranges::find(set.attributes, key, &NamedValue::key);
  if (found != set.attributes.end()) {
    found->value = std::move(value);
  } else {
    set.attributes.push_back({.key = key, .value = std::move(value)});
  }
}

std::vector<std::uint32_t> rows_in(std::span<const std::uint32_t> rows, const RowSet& wanted) {
  std::vector<std::uint32_t> out;
  std::ranges::copy_if(rows, std::back_inserter(out),
                       [&](std::uint32_t row) { return wanted.contains(row); });
  return out;
}

std::vector<std::uint32_t> all_rows(const std::vector<Spanset>& sets) {
  std::vector<std::uint32_t> rows;
  for (const Spanset& set : sets) {
    rows = rows.empty() ? set.rows : merge_rows(rows, set.rows);
  }
  return rows;
}

RowSet rows_of(const std::vector<Spanset>& sets, std::uint32_t size) {
  RowSet rows(size);
  for (const Spanset& set : sets) {
    for (const std::uint32_t row : set.rows) rows.add(row);
  }
  return rows;
}

void drop_empty(std::vector<Spanset>& sets) {
  std::erase_if(sets, [](const Spanset& set) { return set.rows.empty(); });
}

}  // namespace

Result<const FieldNode*> PipelineRunner::program(const FieldExpr& field) {
  FieldNodePtr& node = programs_[&field];
  if (!node) {
    GANTRY_TRY(node, compile(field, table_));
  }
  return node.get();
}

Result<RowSet> PipelineRunner::filter(const FieldExpr& field, const RowSet& within) {
  GANTRY_TRY(const FieldNode* node, program(field));
  return fields_.spans(*node, within);
}

Result<Static> PipelineRunner::value(const FieldExpr& field, std::uint32_t row) {
  GANTRY_TRY(const FieldNode* node, program(field));
  return fields_.value(*node, row);
}

/// Which spans a filter holds for does not depend on the span set they are in.
Result<const RowSet*> PipelineRunner::filter_rows(const SpansetFilter& filter) {
  const auto found = filtered_.find(&filter);
  if (found != filtered_.end()) return &found->second;
  GANTRY_TRY(RowSet rows, this->filter(*filter.field, RowSet(table_.rows(Level::Span), true)));
  return &filtered_.emplace(&filter, std::move(rows)).first->second;
}

Result<std::vector<Spanset>> PipelineRunner::run(const Pipeline& pipeline, const RowSet& within) {
  GANTRY_TRY(State state, run_stages(pipeline, {.rows = within, .sets = {}}));
  GANTRY_CHECK(list_sets(state));
  return *std::move(state.sets);
}

Result<RowSet> PipelineRunner::run_to_rows(const Pipeline& pipeline) {
  GANTRY_TRY(State state,
             run_stages(pipeline, {.rows = RowSet(table_.rows(Level::Span), true), .sets = {}}));
  if (state.sets) return rows_of(*state.sets, table_.rows(Level::Span));
  return std::move(state.rows);
}

Result<PipelineRunner::State> PipelineRunner::run_stages(const Pipeline& pipeline, State state) {
  for (const Stage& stage : pipeline.stages) {
    GANTRY_CHECK(
        std::visit([&](const auto& node) -> Result<void> { return apply(node, state); }, stage));
    if (state.sets ? state.sets->empty() : state.rows.is_empty()) break;
  }
  return state;
}

Result<void> PipelineRunner::list_sets(State& state) {
  if (state.sets) return {};
  std::vector<Spanset>& sets = state.sets.emplace();
  if (state.rows.is_empty()) return {};
  GANTRY_TRY(const SpanGroup::TraceRows traces, table_.group().trace_rows());
  for (std::uint32_t trace = 0; trace < table_.group().counts().traces; ++trace) {
    std::vector<std::uint32_t> rows = rows_in(traces.of(trace), state.rows);
    if (!rows.empty()) sets.push_back({.trace = trace, .rows = std::move(rows), .attributes = {}});
  }
  return {};
}

Result<void> PipelineRunner::apply(const SpansetExpr& expr, State& state) {
  if (const auto* filter = std::get_if<SpansetFilter>(&expr.node)) {
    if (!state.sets) {
      GANTRY_TRY(state.rows, this->filter(*filter->field, state.rows));
      return {};
    }
    const RowSet within = rows_of(*state.sets, table_.rows(Level::Span));
    GANTRY_TRY(const RowSet rows, this->filter(*filter->field, within));
    for (Spanset& set : *state.sets) set.rows = rows_in(set.rows, rows);
    drop_empty(*state.sets);
    return {};
  }
  GANTRY_TRY(const bool has_match, can_match(expr));
  if (!has_match) {
    state.sets.emplace();
    return {};
  }
  GANTRY_CHECK(list_sets(state));
  std::vector<Spanset> out;
  for (const Spanset& set : *state.sets) GANTRY_CHECK(evaluate(expr, set, out));
  state.sets = std::move(out);
  return {};
}

Result<bool> PipelineRunner::can_match(const SpansetExpr& expr) {
  if (const auto* filter = std::get_if<SpansetFilter>(&expr.node)) {
    GANTRY_TRY(const RowSet* rows, filter_rows(*filter));
    return !rows->is_empty();
  }
  if (const auto* wrapped = std::get_if<SpansetPipeline>(&expr.node)) {
    const auto* first = std::get_if<SpansetExpr>(&wrapped->pipeline->stages.front());
    return first == nullptr ? true : can_match(*first);
  }
  const auto& binary = std::get<SpansetBinary>(expr.node);
  GANTRY_TRY(const bool right, can_match(*binary.right));
  if (binary.op == SpansetOp::Or) {
    return right ? true : can_match(*binary.left);
  }
  if (!right || is_negated(binary.op)) return right;
  return can_match(*binary.left);
}

Result<void> PipelineRunner::evaluate(const SpansetExpr& expr, const Spanset& input,
                                      std::vector<Spanset>& out) {
  if (const auto* filter = std::get_if<SpansetFilter>(&expr.node)) {
    GANTRY_TRY(const RowSet* rows, filter_rows(*filter));
    Spanset set{.trace = input.trace, .rows = rows_in(input.rows, *rows), .attributes = {}};
    if (set.rows.empty()) return {};
    set.attributes = input.attributes;
    out.push_back(std::move(set));
    return {};
  }
  if (const auto* wrapped = std::get_if<SpansetPipeline>(&expr.node)) {
    State state;
    state.sets.emplace().push_back(input);
    GANTRY_TRY(state, run_stages(*wrapped->pipeline, std::move(state)));
    std::ranges::move(*state.sets, std::back_inserter(out));
    return {};
  }
  return evaluate(std::get<SpansetBinary>(expr.node), input, out);
}

Result<void> PipelineRunner::evaluate(const SpansetBinary& binary, const Spanset& input,
                                      std::vector<Spanset>& out) {
  std::vector<Spanset> left;
  std::vector<Spanset> right;
  GANTRY_CHECK(evaluate(*binary.left, input, left));
  GANTRY_CHECK(evaluate(*binary.right, input, right));
  GANTRY_TRY(std::vector<std::uint32_t> rows, join(binary.op, left, right));
  if (rows.empty()) return {};
  out.push_back({.trace = input.trace, .rows = std::move(rows), .attributes = input.attributes});
  return {};
}

Result<std::vector<std::uint32_t>> PipelineRunner::join(SpansetOp op,
                                                        const std::vector<Spanset>& left,
                                                        const std::vector<Spanset>& right) {
  if (!is_structural(op)) {
    const bool wants_both = op == SpansetOp::And;
    if (wants_both && (left.empty() || right.empty())) return std::vector<std::uint32_t>();
    return merge_rows(all_rows(left), all_rows(right));
  }
  if (left.size() > 1 || right.size() > 1) {
    return fail(Code::InvalidArgument,
                "spanset operators are not supported for multiple spansets per trace. consider "
                "using coalesce()");
  }
  if (right.empty()) return std::vector<std::uint32_t>();
  if (left.empty()) {
    return is_negated(op) ? right.front().rows : std::vector<std::uint32_t>();
  }
  if (!join_) {
    GANTRY_TRY(const NestedSets sets, table_.group().nested_sets());
    join_.emplace(sets);
  }
  return join_->join(op, left.front().rows, right.front().rows);
}

Result<void> PipelineRunner::apply(const ScalarFilter& filter, State& state) {
  GANTRY_CHECK(list_sets(state));
  const Aggregate& aggregate = filter.aggregate;
  const FieldNode* node = nullptr;
  if (aggregate.field) {
    GANTRY_TRY(node, program(*aggregate.field));
  }
  for (Spanset& set : *state.sets) {
    Aggregator aggregator(aggregate.op);
    for (const std::uint32_t row : set.rows) {
      Static value;
      if (node != nullptr) {
        GANTRY_TRY(value, fields_.value(*node, row));
      }
      aggregator.add(value);
    }
    Static result = aggregator.result();
    const std::optional<Static> outcome = traceql::apply(filter.op, result, filter.right, nullptr);
    if (!outcome || !outcome->boolean) {
      set.rows.clear();
    } else {
      set_attribute(set, aggregate.text, std::move(result));
    }
  }
  drop_empty(*state.sets);
  return {};
}

Result<void> PipelineRunner::apply(const GroupBy& group_by, State& state) {
  GANTRY_CHECK(list_sets(state));
  DistinctValues values;
  if (const auto* attribute = std::get_if<Attribute>(&group_by.field->node)) {
    GANTRY_TRY(const Fields* fields, table_.find(*attribute));
    GANTRY_TRY(values, find_distinct_values(table_, *fields,
                                            rows_of(*state.sets, table_.rows(Level::Span))));
  } else {
    GANTRY_TRY(const FieldNode* node, program(*group_by.field));
    StaticTable table;
    values.ids.assign(table_.rows(Level::Span), DistinctValues::kNil);
    for (const Spanset& set : *state.sets) {
      for (const std::uint32_t row : set.rows) {
        GANTRY_TRY(const Static value, fields_.value(*node, row));
        if (value.type != StaticType::Nil) values.ids[row] = table.add(value);
      }
    }
    values.values = table.take();
  }
  std::vector<Spanset> out;
  std::map<std::uint32_t, std::size_t> group_of;  // by value; where in `out`
  for (const Spanset& set : *state.sets) {
    group_of.clear();
    for (const std::uint32_t row : set.rows) {
      const std::uint32_t id = values.ids[row];
      const auto [group, is_new] = group_of.try_emplace(id, out.size());
      if (is_new) {
        out.push_back({.trace = set.trace, .rows = {}, .attributes = set.attributes});
        set_attribute(out.back(), group_by.text,
                      id == DistinctValues::kNil ? Static::of_string("nil") : values.values[id]);
      }
      out[group->second].rows.push_back(row);
    }
  }
  state.sets = std::move(out);
  return {};
}

Result<void> PipelineRunner::apply(const Coalesce& /*coalesce*/, State& state) {
  GANTRY_CHECK(list_sets(state));
  std::vector<Spanset> out;
  for (const std::span<const Spanset> of_trace : by_trace(*state.sets)) {
    Spanset merged{.trace = of_trace.front().trace, .rows = {}, .attributes = {}};
    for (const Spanset& set : of_trace) {
      merged.rows.insert(merged.rows.end(), set.rows.begin(), set.rows.end());
    }
    std::ranges::sort(merged.rows);
    const auto repeated = std::ranges::unique(merged.rows);
    merged.rows.erase(repeated.begin(), repeated.end());
    out.push_back(std::move(merged));
  }
  state.sets = std::move(out);
  return {};
}

/// Says what to show of the result, not what is in it.
Result<void> PipelineRunner::apply(const Select& /*select*/, State& /*state*/) {
  return {};
}

}  // namespace gantry::traceql
