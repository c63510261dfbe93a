#include "traceql/testing/plain_evaluator.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>
#include <variant>

#include "traceql/testing/plain_field.h"

namespace gantry::traceql::testing {

namespace {

using Spansets = std::vector<PlainSpanset>;

// ---- relations between spans of one trace

bool is_child(const PlainTrace& trace, std::size_t child, std::size_t parent) {
  // Only spans that a root reaches have places in the tree.
  return trace.spans[child].left != 0 && trace.spans[child].parent == parent;
}

bool is_descendant(const PlainTrace& trace, std::size_t below, std::size_t above) {
  if (trace.spans[below].left == 0) return false;
  for (auto at = trace.spans[below].parent; at; at = trace.spans[*at].parent) {
    if (*at == above) return true;
  }
  return false;
}

bool is_sibling(const PlainTrace& trace, std::size_t a, std::size_t b) {
  const PlainSpan& left = trace.spans[a];
  const PlainSpan& right = trace.spans[b];
  return a != b && left.left != 0 && right.left != 0 && left.parent == right.parent;
}

enum class Form : std::uint8_t { Plain, Negated, Union };

struct Relation {
  Form form = Form::Plain;
  std::function<bool(const PlainTrace&, std::size_t a, std::size_t b)> holds;
};

Relation relation_of(SpansetOp op) {
  const auto child = [](const PlainTrace& t, std::size_t a, std::size_t b) {
    return is_child(t, b, a);
  };
  const auto descendant = [](const PlainTrace& t, std::size_t a, std::size_t b) {
    return is_descendant(t, b, a);
  };
  const auto parent = [](const PlainTrace& t, std::size_t a, std::size_t b) {
    return is_child(t, a, b);
  };
  const auto ancestor = [](const PlainTrace& t, std::size_t a, std::size_t b) {
    return is_descendant(t, a, b);
  };
  switch (op) {
    case SpansetOp::Child:
      return {Form::Plain, child};
    case SpansetOp::Descendant:
      return {Form::Plain, descendant};
    case SpansetOp::Parent:
      return {Form::Plain, parent};
    case SpansetOp::Ancestor:
      return {Form::Plain, ancestor};
    case SpansetOp::Sibling:
      return {Form::Plain, is_sibling};
    case SpansetOp::NotChild:
      return {Form::Negated, child};
    case SpansetOp::NotDescendant:
      return {Form::Negated, descendant};
    case SpansetOp::NotParent:
      return {Form::Negated, parent};
    case SpansetOp::NotAncestor:
      return {Form::Negated, ancestor};
    case SpansetOp::NotSibling:
      return {Form::Negated, is_sibling};
    case SpansetOp::UnionChild:
      return {Form::Union, child};
    case SpansetOp::UnionDescendant:
      return {Form::Union, descendant};
    case SpansetOp::UnionParent:
      return {Form::Union, parent};
    case SpansetOp::UnionAncestor:
      return {Form::Union, ancestor};
    case SpansetOp::UnionSibling:
      return {Form::Union, is_sibling};
    case SpansetOp::And:
    case SpansetOp::Or:
      break;
  }
  return {};
}

std::vector<std::size_t> relate(const PlainTrace& trace, SpansetOp op,
                                const std::vector<std::size_t>& left,
                                const std::vector<std::size_t>& right) {
  const Relation relation = relation_of(op);
  std::set<std::size_t> found;
  for (const std::size_t b : right) {
    bool has_partner = false;
    for (const std::size_t a : left) {
      if (!relation.holds(trace, a, b)) continue;
      has_partner = true;
      if (relation.form == Form::Union) found.insert(a);
    }
    if (has_partner != (relation.form == Form::Negated)) found.insert(b);
  }
  return {found.begin(), found.end()};
}

// ---- span sets

std::vector<std::size_t> spans_of(const Spansets& sets) {
  std::set<std::size_t> spans;
  for (const PlainSpanset& set : sets) spans.insert(set.spans.begin(), set.spans.end());
  return {spans.begin(), spans.end()};
}

void set_attribute(PlainSpanset& set, const std::string& key, Static value) {
  for (NamedValue& attribute : set.attributes) {
    if (attribute.key != key) continue;
    attribute.value = std::move(value);
    return;
  }
  set.attributes.push_back({.key = key, .value = std::move(value)});
}

Result<Spansets> run(const Pipeline& pipeline, Spansets sets);
Result<Spansets> evaluate(const SpansetExpr& expr, const PlainSpanset& input);

Result<Spansets> combine(const SpansetBinary& binary, const PlainSpanset& input) {
  GANTRY_TRY(const Spansets left, evaluate(*binary.left, input));
  GANTRY_TRY(const Spansets right, evaluate(*binary.right, input));
  PlainSpanset result{.trace = input.trace, .spans = {}, .attributes = input.attributes};
  if (binary.op == SpansetOp::And || binary.op == SpansetOp::Or) {
    if (binary.op == SpansetOp::And && (left.empty() || right.empty())) return Spansets();
    Spansets both = left;
    both.insert(both.end(), right.begin(), right.end());
    result.spans = spans_of(both);
  } else {
    if (left.size() > 1 || right.size() > 1) {
      return fail(Code::InvalidArgument,
                  "spanset operators are not supported for multiple spansets per trace. consider "
                  "using coalesce()");
    }
    result.spans = relate(*input.trace, binary.op, spans_of(left), spans_of(right));
  }
  if (result.spans.empty()) return Spansets();
  return Spansets{std::move(result)};
}

Result<Spansets> evaluate(const SpansetExpr& expr, const PlainSpanset& input) {
  if (const auto* binary = std::get_if<SpansetBinary>(&expr.node)) return combine(*binary, input);
  if (const auto* wrapped = std::get_if<SpansetPipeline>(&expr.node)) {
    return run(*wrapped->pipeline, {input});
  }
  const FieldExpr& field = *std::get<SpansetFilter>(expr.node).field;
  PlainSpanset kept{.trace = input.trace, .spans = {}, .attributes = input.attributes};
  for (const std::size_t span : input.spans) {
    if (holds(field, *input.trace, input.trace->spans[span])) kept.spans.push_back(span);
  }
  return kept.spans.empty() ? Spansets() : Spansets{std::move(kept)};
}

Result<Spansets> apply(const SpansetExpr& expr, const PlainSpanset& set) {
  return evaluate(expr, set);
}

// ---- other stages

/// All values of an aggregate's field: nil and what is no number is left out.
Static aggregate(AggregateOp op, const std::vector<Static>& values) {
  const auto less = [](const Static& a, const Static& b) { return *number_of(a) < *number_of(b); };
  if (values.empty()) return Static::nil();
  if (op == AggregateOp::Min) return *std::ranges::min_element(values, less);
  if (op == AggregateOp::Max) return *std::ranges::max_element(values, less);
  // Values of another type than the first's are left out.
  const StaticType type = values[0].type;
  std::uint64_t integers = 0;
  double numbers = 0;
  std::int64_t count = 0;
  for (const Static& value : values) {
    if (value.type != type) continue;
    integers += static_cast<std::uint64_t>(value.integer);
    numbers += value.number;
    ++count;
  }
  const auto sum = static_cast<std::int64_t>(integers);
  if (type == StaticType::Float) {
    return Static::of_float(op == AggregateOp::Sum ? numbers
                                                   : numbers / static_cast<double>(count));
  }
  if (type == StaticType::Duration) {
    return Static::of_duration(op == AggregateOp::Sum ? sum : sum / count);
  }
  if (op == AggregateOp::Sum) return Static::of_int(sum);
  return Static::of_float(static_cast<double>(sum) / static_cast<double>(count));
}

Result<Spansets> apply(const ScalarFilter& filter, const PlainSpanset& set) {
  Static result = Static::of_int(static_cast<std::int64_t>(set.spans.size()));
  if (filter.aggregate.op != AggregateOp::Count) {
    std::vector<Static> values;
    for (const std::size_t span : set.spans) {
      Static value = value_of(*filter.aggregate.field, *set.trace, set.trace->spans[span]);
      if (number_of(value)) values.push_back(std::move(value));
    }
    result = aggregate(filter.aggregate.op, values);
  }
  if (!compare_values(filter.op, result, filter.right)) return Spansets();
  PlainSpanset kept = set;
  set_attribute(kept, filter.aggregate.text, std::move(result));
  return Spansets{std::move(kept)};
}

Result<Spansets> apply(const GroupBy& group_by, const PlainSpanset& set) {
  std::vector<Static> keys;
  Spansets groups;
  for (const std::size_t span : set.spans) {
    const Static key = value_of(*group_by.field, *set.trace, set.trace->spans[span]);
    const auto known = std::ranges::find(keys, key);
    const auto index = static_cast<std::size_t>(known - keys.begin());
    if (known == keys.end()) {
      keys.push_back(key);
      groups.push_back({.trace = set.trace, .spans = {}, .attributes = set.attributes});
      const bool is_nil = key.type == StaticType::Nil;
      set_attribute(groups.back(), group_by.text, is_nil ? Static::of_string("nil") : key);
    }
    groups[index].spans.push_back(span);
  }
  return groups;
}

Result<Spansets> apply(const Select& /*select*/, const PlainSpanset& set) {
  return Spansets{set};
}

Result<Spansets> apply(const Coalesce& /*coalesce*/, const PlainSpanset& set) {
  return Spansets{set};
}

Result<Spansets> run(const Pipeline& pipeline, Spansets sets) {
  for (const Stage& stage : pipeline.stages) {
    if (std::holds_alternative<Coalesce>(stage) && !sets.empty()) {
      sets = {{.trace = sets[0].trace, .spans = spans_of(sets), .attributes = {}}};
      continue;
    }
    Spansets next;
    for (const PlainSpanset& set : sets) {
      GANTRY_TRY(Spansets results,
                 std::visit([&](const auto& node) { return apply(node, set); }, stage));
      std::ranges::move(results, std::back_inserter(next));
    }
    sets = std::move(next);
  }
  return sets;
}

// ---- search

FoundSpanset describe(const PlainSpanset& set, std::size_t spans_max) {
  FoundSpanset found;
  found.matched = set.spans.size();
  found.attributes = set.attributes;
  std::vector<std::size_t> shown = set.spans;
  std::ranges::stable_sort(shown, {}, [&](std::size_t i) { return set.trace->spans[i].start_ns; });
  shown.resize(std::min(shown.size(), spans_max));
  for (const std::size_t i : shown) {
    const PlainSpan& span = set.trace->spans[i];
    found.spans.push_back({.span_id = span.id,
                           .name = span.name,
                           .start_ns = span.start_ns,
                           .duration_ns = span.duration_ns,
                           .attributes = {}});
  }
  return found;
}

// As attributes show it: texts bare.
std::string service_of(const PlainSpan& span) {
  const Static& service = span.resource.at("service.name");
  return service.type == StaticType::String ? service.text : format_static(service);
}

FoundTrace describe(const PlainTrace& trace, const Spansets& sets, std::size_t spans_max) {
  FoundTrace found;
  found.trace_id = trace.id;
  found.start_ns = trace.start_ns;
  found.duration_ns = trace.end_ns - trace.start_ns;
  if (trace.root) {
    found.has_root = true;
    found.root_name = trace.spans[*trace.root].name;
    found.root_service = service_of(trace.spans[*trace.root]);
  }
  for (const PlainSpanset& set : sets) found.spansets.push_back(describe(set, spans_max));
  for (const PlainSpan& span : trace.spans) {
    ServiceStatistics& service = found.services[service_of(span)];
    ++service.spans;
    if (span.status == telemetry::SpanStatus::Error) ++service.errors;
  }
  return found;
}

bool is_asked_for(const PlainTrace& trace, const SearchRequest& request) {
  if (trace.start_ns > request.end_ns || trace.end_ns < request.start_ns) return false;
  const std::int64_t duration = trace.end_ns - trace.start_ns;
  if (request.trace_duration_ns_min != 0 && duration < request.trace_duration_ns_min) return false;
  return request.trace_duration_ns_max == 0 || duration <= request.trace_duration_ns_max;
}

}  // namespace

Result<Spansets> run_plain(const Pipeline& pipeline, const PlainTrace& trace) {
  PlainSpanset all{.trace = &trace, .spans = {}, .attributes = {}};
  for (std::size_t i = 0; i < trace.spans.size(); ++i) all.spans.push_back(i);
  return run(pipeline, {std::move(all)});
}

PlainEvaluator::PlainEvaluator(std::span<const telemetry::SpanBatch> batches)
    : traces_(make_plain_traces(batches)) {}

Result<SearchAnswer> PlainEvaluator::search(const SearchRequest& request) const {
  SearchAnswer answer;
  for (const PlainTrace& trace : traces_) {
    if (!is_asked_for(trace, request)) continue;
    GANTRY_TRY(const Spansets sets, run_plain(std::get<Pipeline>(request.query->node), trace));
    if (!sets.empty()) {
      answer.traces.push_back(describe(trace, sets, request.spans_per_spanset));
    }
  }
  std::ranges::sort(answer.traces, [](const FoundTrace& a, const FoundTrace& b) {
    return a.start_ns != b.start_ns ? a.start_ns > b.start_ns : a.trace_id < b.trace_id;
  });
  answer.traces.resize(std::min<std::size_t>(answer.traces.size(), request.limit));
  return answer;
}

}  // namespace gantry::traceql::testing
