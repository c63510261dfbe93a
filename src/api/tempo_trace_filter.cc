#include "api/tempo_trace_filter.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "traceql/eval/group_evaluator.h"
#include "traceql/parser.h"
#include "traces/span_table.h"

namespace gantry::api {
namespace {

using telemetry::SpanBatch;
using traceql::Intrinsic;

constexpr std::int64_t kAll = -1;

std::unexpected<TempoError> unsupported(std::string_view what) {
  return tempo_bad_request(fmt::format("only a single TraceQL filter is supported: got {}", what));
}

/// Intrinsics of the trace say nothing of one span; "" when the field has none.
std::string_view find_trace_intrinsic(const traceql::FieldExpr& field) {
  if (const auto* attribute = std::get_if<traceql::Attribute>(&field.node)) {
    switch (attribute->intrinsic) {
      case Intrinsic::TraceDuration:
        return "trace:duration";
      case Intrinsic::RootName:
        return "trace:rootName";
      case Intrinsic::RootServiceName:
        return "trace:rootService";
      default:
        return {};
    }
  }
  if (const auto* unary = std::get_if<traceql::UnaryField>(&field.node))
    return find_trace_intrinsic(*unary->operand);
  if (const auto* binary = std::get_if<traceql::BinaryField>(&field.node)) {
    const std::string_view found = find_trace_intrinsic(*binary->left);
    return found.empty() ? find_trace_intrinsic(*binary->right) : found;
  }
  return {};
}

TempoResult<traceql::Query> read_query(std::string_view text) {
  auto query = traceql::parse(text);
  if (!query)
    return tempo_bad_request(
        fmt::format("failed to parse TraceQL spanset filter: {}", query.error().message));
  if (query->is_metrics()) return unsupported("a metrics query");
  const auto& stages = std::get<traceql::Pipeline>(query->node).stages;
  if (stages.size() != 1) return unsupported("a multi-stage pipeline or metrics query");
  const auto* spanset = std::get_if<traceql::SpansetExpr>(&stages.front());
  const auto* filter =
      spanset != nullptr ? std::get_if<traceql::SpansetFilter>(&spanset->node) : nullptr;
  if (filter == nullptr) return unsupported("a structural or aggregate query");
  if (const std::string_view intrinsic = find_trace_intrinsic(*filter->field); !intrinsic.empty())
    return tempo_bad_request(
        fmt::format("intrinsic is not supported by this filter: \"{}\"", intrinsic));
  return *std::move(query);
}

TempoResult<std::int64_t> read_depth(const TempoParameters& parameters, std::string_view name,
                                     std::int64_t fallback) {
  GANTRY_TRY(const std::optional<std::int64_t> depth, parameters.integer(name));
  if (depth && *depth < kAll)
    return tempo_bad_request(fmt::format("invalid value for {}: must be >= -1", name));
  return depth.value_or(fallback);
}

/// Spans of one trace by their place in it.
class Hierarchy {
 public:
  explicit Hierarchy(const SpanBatch& trace)
      : parents_(trace.spans.size()), children_(trace.spans.size()) {
    std::unordered_map<telemetry::SpanId, std::size_t> by_id;
    for (std::size_t i = 0; i < trace.spans.size(); ++i) by_id.emplace(trace.spans[i].span_id, i);
    for (std::size_t i = 0; i < trace.spans.size(); ++i) {
      const auto parent = by_id.find(trace.spans[i].parent_id);
      if (trace.spans[i].parent_id == 0 || parent == by_id.end() || parent->second == i) continue;
      parents_[i] = parent->second;
      children_[parent->second].push_back(i);
    }
  }

  void keep_above(std::size_t span, std::int64_t depth, std::vector<char>& kept) const {
    // A cycle of parents ends after as many steps as there are spans.
    std::size_t steps = depth == kAll ? parents_.size() : static_cast<std::size_t>(depth);
    for (auto at = parents_[span]; at && steps > 0; at = parents_[*at], --steps) kept[*at] = 1;
  }

  void keep_below(std::size_t span, std::int64_t depth, std::vector<char>& kept) const {
    std::vector<char> seen(children_.size(), 0);
    std::vector<std::pair<std::size_t, std::int64_t>> open = {{span, depth}};
    while (!open.empty()) {
      const auto [at, left] = open.back();
      open.pop_back();
      if (left == 0 || std::exchange(seen[at], 1) != 0) continue;
      for (const std::size_t child : children_[at]) {
        kept[child] = 1;
        open.emplace_back(child, left == kAll ? kAll : left - 1);
      }
    }
  }

 private:
  std::vector<std::optional<std::size_t>> parents_;
  std::vector<std::vector<std::size_t>> children_;
};

Result<std::vector<char>> matching(const traceql::Query& query, const SpanBatch& trace) {
  traces::SpanTable table;
  for (std::uint32_t i = 0; i < trace.spans.size(); ++i) table.append(trace, i);
  table.publish();
  const auto group = table.snapshot();
  traceql::GroupEvaluator evaluator(*group);
  const auto& stage = std::get<traceql::Pipeline>(query.node).stages.front();
  const auto& filter = std::get<traceql::SpansetFilter>(std::get<traceql::SpansetExpr>(stage).node);
  GANTRY_TRY(const traceql::RowSet rows, evaluator.filter(*filter.field));
  std::vector<char> matched(trace.spans.size(), 0);
  // A span that is there twice has one row; a stored trace has none.
  rows.for_each([&](std::uint32_t row) { matched[row] = 1; });
  return matched;
}

}  // namespace

TempoResult<std::optional<TraceFilter>> read_trace_filter(const TempoParameters& parameters) {
  GANTRY_TRY(const std::string_view text, read_query_text(parameters, "q"));
  GANTRY_TRY(const std::int64_t match_depth, read_depth(parameters, "match_depth", 0));
  GANTRY_TRY(const std::int64_t ancestor_depth, read_depth(parameters, "ancestor_depth", kAll));
  if (text.empty()) return std::nullopt;
  GANTRY_TRY(traceql::Query query, read_query(text));
  const std::string_view keeps = parameters.text("keep_hierarchy");
  return TraceFilter{.query = std::move(query),
                     .keeps_hierarchy = keeps == "true" || keeps == "1",
                     .match_depth = match_depth,
                     .ancestor_depth = ancestor_depth};
}

Result<bool> apply(const TraceFilter& filter, SpanBatch& trace) {
  GANTRY_TRY(const std::vector<char> matched, matching(filter.query, trace));
  std::vector<char> kept = matched;
  const Hierarchy hierarchy(trace);
  for (std::size_t i = 0; i < matched.size(); ++i) {
    if (matched[i] == 0) continue;
    if (filter.keeps_hierarchy) hierarchy.keep_above(i, filter.ancestor_depth, kept);
    hierarchy.keep_below(i, filter.match_depth, kept);
  }
  std::size_t left = 0;
  for (std::size_t i = 0; i < kept.size(); ++i)
    if (kept[i] != 0) trace.spans[left++] = trace.spans[i];
  trace.spans.resize(left);
  return left < kept.size();
}

}  // namespace gantry::api
