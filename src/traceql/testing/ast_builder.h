#pragma once

// Syntax trees by hand, for tests of what is below the parser.

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "traceql/ast.h"

namespace gantry::traceql::testing {

[[nodiscard]] FieldPtr field(Attribute attribute);
[[nodiscard]] FieldPtr field(Intrinsic intrinsic);
[[nodiscard]] FieldPtr field(Static literal);

/// span.name, resource.name, …; `any` is `.name`.
[[nodiscard]] FieldPtr span_field(std::string_view name);
[[nodiscard]] FieldPtr resource_field(std::string_view name);
[[nodiscard]] FieldPtr event_field(std::string_view name);
[[nodiscard]] FieldPtr link_field(std::string_view name);
[[nodiscard]] FieldPtr any_field(std::string_view name);

[[nodiscard]] FieldPtr literal(std::int64_t value);
[[nodiscard]] FieldPtr literal(std::string_view value);
[[nodiscard]] FieldPtr number(double value);
[[nodiscard]] FieldPtr truth(bool value);

[[nodiscard]] FieldPtr binary(FieldOp op, FieldPtr left, FieldPtr right);
[[nodiscard]] FieldPtr both(FieldPtr left, FieldPtr right);
[[nodiscard]] FieldPtr either(FieldPtr left, FieldPtr right);
[[nodiscard]] FieldPtr equals(FieldPtr left, FieldPtr right);
[[nodiscard]] FieldPtr negation(FieldPtr operand);
[[nodiscard]] FieldPtr exists(FieldPtr operand);

[[nodiscard]] SpansetExpr filter(FieldPtr condition);
[[nodiscard]] SpansetExpr spanset(SpansetOp op, SpansetExpr left, SpansetExpr right);
[[nodiscard]] SpansetExpr wrapped(Pipeline pipeline);
[[nodiscard]] GroupBy group_by(FieldPtr key, std::string text);
[[nodiscard]] ScalarFilter count_filter(FieldOp op, std::int64_t count);
[[nodiscard]] ScalarFilter aggregate_filter(AggregateOp aggregate, FieldPtr operand,
                                            std::string text, FieldOp op, Static right);

template <class... Stages>
[[nodiscard]] Pipeline pipeline(Stages... stages) {
  Pipeline out;
  (out.stages.emplace_back(std::move(stages)), ...);
  return out;
}

[[nodiscard]] Query query(Pipeline pipeline);

}  // namespace gantry::traceql::testing
