#include "traceql/testing/ast_builder.h"

namespace gantry::traceql::testing {

namespace {

FieldPtr make(FieldExpr expr) {
  return std::make_unique<const FieldExpr>(std::move(expr));
}

FieldPtr scoped(AttributeScope scope, std::string_view name) {
  return field(make_attribute(scope, std::string(name)));
}

}  // namespace

FieldPtr field(Attribute attribute) {
  return make({.node = std::move(attribute)});
}

FieldPtr field(Intrinsic intrinsic) {
  return field(make_intrinsic(intrinsic));
}

FieldPtr field(Static literal) {
  return make({.node = std::move(literal)});
}

FieldPtr span_field(std::string_view name) {
  return scoped(AttributeScope::Span, name);
}

FieldPtr resource_field(std::string_view name) {
  return scoped(AttributeScope::Resource, name);
}

FieldPtr event_field(std::string_view name) {
  return scoped(AttributeScope::Event, name);
}

FieldPtr link_field(std::string_view name) {
  return scoped(AttributeScope::Link, name);
}

FieldPtr any_field(std::string_view name) {
  return scoped(AttributeScope::None, name);
}

FieldPtr literal(std::int64_t value) {
  return field(Static::of_int(value));
}

FieldPtr literal(std::string_view value) {
  return field(Static::of_string(std::string(value)));
}

FieldPtr number(double value) {
  return field(Static::of_float(value));
}

FieldPtr truth(bool value) {
  return field(Static::of_bool(value));
}

FieldPtr binary(FieldOp op, FieldPtr left, FieldPtr right) {
  return make({.node = BinaryField{.op = op, .left = std::move(left), .right = std::move(right)}});
}

FieldPtr both(FieldPtr left, FieldPtr right) {
  return binary(FieldOp::And, std::move(left), std::move(right));
}

FieldPtr either(FieldPtr left, FieldPtr right) {
  return binary(FieldOp::Or, std::move(left), std::move(right));
}

FieldPtr equals(FieldPtr left, FieldPtr right) {
  return binary(FieldOp::Equal, std::move(left), std::move(right));
}

FieldPtr negation(FieldPtr operand) {
  return make({.node = UnaryField{.op = UnaryField::Op::Not, .operand = std::move(operand)}});
}

FieldPtr exists(FieldPtr operand) {
  return binary(FieldOp::NotEqual, std::move(operand), field(Static::nil()));
}

SpansetExpr filter(FieldPtr condition) {
  return {.node = SpansetFilter{.field = std::move(condition)}};
}

SpansetExpr spanset(SpansetOp op, SpansetExpr left, SpansetExpr right) {
  return {.node = SpansetBinary{.op = op,
                                .left = std::make_unique<const SpansetExpr>(std::move(left)),
                                .right = std::make_unique<const SpansetExpr>(std::move(right))}};
}

SpansetExpr wrapped(Pipeline pipeline) {
  return {.node =
              SpansetPipeline{.pipeline = std::make_unique<const Pipeline>(std::move(pipeline))}};
}

GroupBy group_by(FieldPtr key, std::string text) {
  return {.field = std::move(key), .text = std::move(text)};
}

ScalarFilter count_filter(FieldOp op, std::int64_t count) {
  return aggregate_filter(AggregateOp::Count, nullptr, "count()", op, Static::of_int(count));
}

ScalarFilter aggregate_filter(AggregateOp aggregate, FieldPtr operand, std::string text, FieldOp op,
                              Static right) {
  return {.aggregate = {.op = aggregate, .field = std::move(operand), .text = std::move(text)},
          .op = op,
          .right = std::move(right)};
}

Query query(Pipeline pipeline) {
  Query out;
  out.node = std::move(pipeline);
  return out;
}

}  // namespace gantry::traceql::testing
