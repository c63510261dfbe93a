#include <algorithm>
#include <string>
#include <utility>

#include "traceql/eval/static_table.h"
#include "traceql/found_trace_internal.h"

namespace gantry::traceql {

namespace {

bool has_place_of_its_own(Intrinsic intrinsic) {
  switch (intrinsic) {
    case Intrinsic::Name:
    case Intrinsic::Duration:
    case Intrinsic::TraceDuration:
    case Intrinsic::RootName:
    case Intrinsic::RootServiceName:
    case Intrinsic::TraceId:
    case Intrinsic::SpanId:
      return true;
    default:
      return false;
  }
}

class FieldCollector {
 public:
  void add(const Attribute& attribute) {
    if (has_place_of_its_own(attribute.intrinsic)) return;
    if (std::ranges::find(found_, attribute) == found_.end()) found_.push_back(attribute);
  }

  void add(const FieldExpr& field) {
    if (const auto* attribute = std::get_if<Attribute>(&field.node)) {
      add(*attribute);
    } else if (const auto* unary = std::get_if<UnaryField>(&field.node)) {
      add(*unary->operand);
    } else if (const auto* binary = std::get_if<BinaryField>(&field.node)) {
      add(*binary->left);
      add(*binary->right);
    }
  }

  void add(const SpansetExpr& expr) {
    if (const auto* filter = std::get_if<SpansetFilter>(&expr.node)) {
      add(*filter->field);
    } else if (const auto* wrapped = std::get_if<SpansetPipeline>(&expr.node)) {
      add(*wrapped->pipeline);
    } else {
      const auto& binary = std::get<SpansetBinary>(expr.node);
      add(*binary.left);
      add(*binary.right);
    }
  }

  void add(const ScalarFilter& filter) {
    if (filter.aggregate.field) add(*filter.aggregate.field);
  }

  void add(const GroupBy& group_by) { add(*group_by.field); }

  void add(const Coalesce& /*coalesce*/) {}

  void add(const Select& select) {
    for (const Attribute& attribute : select.attributes) add(attribute);
  }

  void add(const Pipeline& pipeline) {
    for (const Stage& stage : pipeline.stages) {
      std::visit([&](const auto& node) { add(node); }, stage);
    }
  }

  [[nodiscard]] std::vector<Attribute> take() { return std::move(found_); }

 private:
  std::vector<Attribute> found_;
};

/// As search answers name it: without scope.
std::string displayed_key(const Attribute& attribute) {
  return attribute.intrinsic == Intrinsic::None ? attribute.name
                                                : std::string(intrinsic_text(attribute.intrinsic));
}

Result<FoundSpan> describe_span(GroupEvaluator& evaluator, std::uint32_t row,
                                std::span<const FieldExpr> fields) {
  SpanGroup& group = evaluator.group();
  GANTRY_TRY(const auto ids, group.span_ids());
  GANTRY_TRY(const auto starts, group.starts_ns());
  GANTRY_TRY(const auto durations, group.durations_ns());
  GANTRY_TRY(const TextColumn names, group.names());
  FoundSpan span{.span_id = ids[row],
                 .name = std::string(names.text(row)),
                 .start_ns = starts[row],
                 .duration_ns = durations[row],
                 .attributes = {}};
  for (const FieldExpr& field : fields) {
    GANTRY_TRY(Static value, evaluator.value(field, row));
    if (value.type == StaticType::Nil) continue;
    NamedValue named{.key = displayed_key(std::get<Attribute>(field.node)),
                     .value = std::move(value)};
    // `.x` and `span.x` are often the same value.
    const bool is_repeated = std::ranges::any_of(span.attributes, [&](const NamedValue& other) {
      return other.key == named.key && other.value == named.value;
    });
    if (!is_repeated) span.attributes.push_back(std::move(named));
  }
  return span;
}

Result<FoundSpanset> describe_spanset(GroupEvaluator& evaluator, const Spanset& set,
                                      const DisplayOptions& options) {
  GANTRY_TRY(const auto starts, evaluator.group().starts_ns());
  std::vector<std::uint32_t> rows = set.rows;
  const std::size_t count = std::min<std::size_t>(rows.size(), options.spans_per_spanset);
  std::ranges::partial_sort(rows, rows.begin() + static_cast<std::ptrdiff_t>(count),
                            [&](std::uint32_t a, std::uint32_t b) {
                              return starts[a] != starts[b] ? starts[a] < starts[b] : a < b;
                            });
  rows.resize(count);
  FoundSpanset found{.spans = {}, .matched = set.rows.size(), .attributes = set.attributes};
  for (const std::uint32_t row : rows) {
    GANTRY_TRY(FoundSpan span, describe_span(evaluator, row, options.fields));
    found.spans.push_back(std::move(span));
  }
  return found;
}

Result<void> add_services(GroupEvaluator& evaluator, std::uint32_t trace, FoundTrace& found) {
  SpanGroup& group = evaluator.group();
  GANTRY_TRY(const SpanGroup::TraceRows traces, group.trace_rows());
  GANTRY_TRY(const auto resources, group.resources());
  GANTRY_TRY(const auto statuses, group.statuses());
  GANTRY_TRY(const auto services, evaluator.service_names());
  for (const std::uint32_t row : traces.of(trace)) {
    ServiceStatistics& service = found.services[std::string(services[resources[row]])];
    ++service.spans;
    if (statuses[row] == static_cast<std::uint8_t>(telemetry::SpanStatus::Error)) ++service.errors;
  }
  return {};
}

std::uint64_t memory_bytes(const std::vector<NamedValue>& values) {
  std::uint64_t bytes = 0;
  for (const NamedValue& named : values) {
    bytes += sizeof(named.key) + named.key.size() + memory_bytes(named.value);
  }
  return bytes;
}

}  // namespace

std::vector<FieldExpr> displayed_fields(const Pipeline& pipeline) {
  FieldCollector collector;
  collector.add(pipeline);
  std::vector<FieldExpr> fields;
  for (Attribute& attribute : collector.take()) fields.push_back({.node = std::move(attribute)});
  return fields;
}

Result<FoundTrace> describe_trace(GroupEvaluator& evaluator, std::span<const Spanset> sets,
                                  const DisplayOptions& options) {
  SpanGroup& group = evaluator.group();
  const std::uint32_t trace = sets.front().trace;
  GANTRY_TRY(const TraceFacts* facts, evaluator.trace_facts());
  GANTRY_TRY(const auto ids, group.trace_ids());
  FoundTrace found;
  found.trace_id = ids[trace];
  found.start_ns = facts->starts_ns[trace];
  found.duration_ns = facts->durations_ns[trace];
  if (const std::uint32_t root = facts->roots[trace]; root != TraceFacts::kNoRoot) {
    GANTRY_TRY(const TextColumn names, group.names());
    GANTRY_TRY(const auto resources, group.resources());
    GANTRY_TRY(const auto services, evaluator.service_names());
    found.has_root = true;
    found.root_name = names.text(root);
    found.root_service = services[resources[root]];
  }
  for (const Spanset& set : sets) {
    GANTRY_TRY(FoundSpanset spanset, describe_spanset(evaluator, set, options));
    found.spansets.push_back(std::move(spanset));
  }
  GANTRY_CHECK(add_services(evaluator, trace, found));
  return found;
}

std::uint64_t memory_bytes(const FoundTrace& trace) {
  std::uint64_t bytes = sizeof(FoundTrace) + trace.root_service.size() + trace.root_name.size();
  for (const FoundSpanset& set : trace.spansets) {
    bytes += sizeof(FoundSpanset) + memory_bytes(set.attributes);
    for (const FoundSpan& span : set.spans) {
      bytes += sizeof(FoundSpan) + span.name.size() + memory_bytes(span.attributes);
    }
  }
  for (const auto& [name, service] : trace.services) {
    bytes += sizeof(service) + sizeof(name) + name.size() + 48;
  }
  return bytes;
}

}  // namespace gantry::traceql
