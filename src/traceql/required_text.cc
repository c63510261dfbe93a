#include "traceql/required_text.h"

#include <algorithm>

#include "traceql/eval/structural.h"

namespace gantry::traceql {

namespace {

std::optional<Table> table_of(AttributeScope scope) {
  switch (scope) {
    case AttributeScope::None:
      return std::nullopt;
    case AttributeScope::Span:
      return Table::Span;
    case AttributeScope::Resource:
      return Table::Resource;
    case AttributeScope::Event:
      return Table::Event;
    case AttributeScope::Link:
      return Table::Link;
    case AttributeScope::Instrumentation:
      return Table::Instrumentation;
  }
  return std::nullopt;
}

void collect(const FieldExpr& field, std::vector<RequiredText>& out) {
  const auto* binary = std::get_if<BinaryField>(&field.node);
  if (binary == nullptr) return;
  if (binary->op == FieldOp::And) {
    collect(*binary->left, out);
    collect(*binary->right, out);
    return;
  }
  if (binary->op != FieldOp::Equal) return;
  const auto* attribute = std::get_if<Attribute>(&binary->left->node);
  const auto* literal = std::get_if<Static>(&binary->right->node);
  if (attribute == nullptr) {
    attribute = std::get_if<Attribute>(&binary->right->node);
    literal = std::get_if<Static>(&binary->left->node);
  }
  if (attribute == nullptr || literal == nullptr) return;
  if (attribute->intrinsic != Intrinsic::None || literal->type != StaticType::String) return;
  // A resource without service.name counts as one that is named "".
  if (literal->text.empty()) return;
  out.push_back(
      {.table = table_of(attribute->scope), .key = attribute->name, .text = literal->text});
}

void collect(const Pipeline& pipeline, std::vector<RequiredText>& out);

void collect(const SpansetExpr& expr, std::vector<RequiredText>& out) {
  if (const auto* filter = std::get_if<SpansetFilter>(&expr.node)) {
    collect(*filter->field, out);
  } else if (const auto* wrapped = std::get_if<SpansetPipeline>(&expr.node)) {
    collect(*wrapped->pipeline, out);
  } else {
    const auto& binary = std::get<SpansetBinary>(expr.node);
    if (binary.op == SpansetOp::Or) return;
    collect(*binary.right, out);
    if (!is_negated(binary.op)) collect(*binary.left, out);
  }
}

void collect(const Pipeline& pipeline, std::vector<RequiredText>& out) {
  for (const Stage& stage : pipeline.stages) {
    if (const auto* expr = std::get_if<SpansetExpr>(&stage)) collect(*expr, out);
  }
}

bool is_never(const SpansetExpr& expr) {
  if (const auto* filter = std::get_if<SpansetFilter>(&expr.node)) {
    const auto* literal = std::get_if<Static>(&filter->field->node);
    return literal != nullptr && !(literal->type == StaticType::Bool && literal->boolean);
  }
  if (const auto* wrapped = std::get_if<SpansetPipeline>(&expr.node)) {
    return is_never(*wrapped->pipeline);
  }
  const auto& binary = std::get<SpansetBinary>(expr.node);
  if (binary.op == SpansetOp::Or) return is_never(*binary.left) && is_never(*binary.right);
  return is_never(*binary.right) || (!is_negated(binary.op) && is_never(*binary.left));
}

}  // namespace

std::vector<RequiredText> required_texts(const Pipeline& pipeline) {
  std::vector<RequiredText> out;
  collect(pipeline, out);
  return out;
}

std::vector<RequiredText> required_texts(const FieldExpr& filter) {
  std::vector<RequiredText> out;
  collect(filter, out);
  return out;
}

bool is_never(const Pipeline& pipeline) {
  return std::ranges::any_of(pipeline.stages, [](const Stage& stage) {
    const auto* expr = std::get_if<SpansetExpr>(&stage);
    return expr != nullptr && is_never(*expr);
  });
}

}  // namespace gantry::traceql
