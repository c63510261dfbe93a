#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include <fmt/format.h>

#include "core/number_format.h"
#include "traceql/format_internal.h"
#include "traceql/parser.h"
#include "traceql/type_check.h"

namespace gantry::traceql {

namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

bool is_negative_number(const FieldExpr& field) {
  const auto* value = std::get_if<Static>(&field.node);
  if (value == nullptr || !is_numeric(value->type)) return false;
  return value->type == StaticType::Float ? std::signbit(value->number) : value->integer < 0;
}

bool binds_tighter_than_minus(FieldOp op) {
  return op >= FieldOp::Multiply && op <= FieldOp::Power;
}

// Operations that are operands stand in parentheses.
std::string format_operand(const FieldExpr& field) {
  const bool is_leaf =
      std::holds_alternative<Static>(field.node) || std::holds_alternative<Attribute>(field.node);
  return is_leaf ? format(field) : '(' + format(field) + ')';
}

std::string format_spanset(const SpansetExpr& expr);
std::string format_pipeline(const Pipeline& pipeline);

std::string format_filter(const FieldExpr& field) {
  return "{ " + format(field) + " }";
}

std::string format_spanset(const SpansetExpr& expr) {
  return std::visit(
      Overloaded{
          [](const SpansetFilter& filter) { return format_filter(*filter.field); },
          [](const SpansetBinary& binary) {
            return fmt::format("({}) {} ({})", format_spanset(*binary.left),
                               spanset_op_text(binary.op), format_spanset(*binary.right));
          },
          [](const SpansetPipeline& pipeline) { return format_pipeline(*pipeline.pipeline); }},
      expr.node);
}

void append_list(std::string& out, const std::vector<Attribute>& attributes,
                 std::string_view separator) {
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    if (i > 0) out += separator;
    out += attributes[i].text;
  }
}

std::string format_stage(const Stage& stage) {
  return std::visit(Overloaded{[](const SpansetExpr& expr) { return format_spanset(expr); },
                               [](const ScalarFilter& filter) {
                                 return fmt::format("({}) {} {}", filter.aggregate.text,
                                                    field_op_text(filter.op),
                                                    format_static(filter.right));
                               },
                               [](const GroupBy& group) { return group.text; },
                               [](const Coalesce&) { return std::string("coalesce()"); },
                               [](const Select& select) {
                                 std::string result = "select(";
                                 append_list(result, select.attributes, ", ");
                                 return result + ')';
                               }},
                    stage);
}

std::string format_pipeline(const Pipeline& pipeline) {
  std::string result;
  for (const Stage& stage : pipeline.stages) {
    if (!result.empty()) result += '|';
    result += format_stage(stage);
  }
  return result;
}

// Whole numbers without a decimal point; a negative zero keeps its sign only with one.
std::string format_number(double value) {
  constexpr double kExact = 9007199254740992.0;
  const bool is_negative_zero = value == 0 && std::signbit(value);
  if (!is_negative_zero && std::trunc(value) == value && std::abs(value) <= kExact) {
    return std::to_string(static_cast<std::int64_t>(value));
  }
  return format_static(Static::of_float(value));
}

// Five decimals as in Tempo, unless that would change the quantile.
std::string format_quantile(double quantile) {
  const std::string text = fmt::format("{:.5f}", quantile);
  return core::parse_float(text) == quantile ? text : format_static(Static::of_float(quantile));
}

std::string format_arguments(const MetricsFunction& function) {
  std::string result;
  if (function.attribute) result += function.attribute->text;
  for (const double quantile : function.quantiles) result += ',' + format_quantile(quantile);
  if (function.op != MetricsOp::Compare) return result;
  result = format_filter(*function.selection);
  const bool has_range = function.selection_start_ns != 0 || function.selection_end_ns != 0;
  result += fmt::format(",{}", function.top_n);
  if (has_range) {
    result += fmt::format(",{},{}", function.selection_start_ns, function.selection_end_ns);
  }
  return result;
}

std::string format_function(const MetricsFunction& function) {
  std::string result =
      fmt::format("{}({})", metrics_op_text(function.op), format_arguments(function));
  if (function.by.empty()) return result;
  result += "by(";
  append_list(result, function.by, ",");
  return result + ')';
}

std::string format_second(const SecondStage& stage) {
  switch (stage.kind) {
    case SecondStage::Kind::TopK:
      return fmt::format(" | topk({})", stage.limit);
    case SecondStage::Kind::BottomK:
      return fmt::format(" | bottomk({})", stage.limit);
    case SecondStage::Kind::Filter:
      return fmt::format(" {} {}", field_op_text(stage.op), format_number(stage.value));
  }
  return {};
}

std::string format_metrics(const MetricsExpr& expr);

std::string format_metrics_operand(const MetricsExpr& expr) {
  if (const auto* number = std::get_if<double>(&expr.node)) return format_number(*number);
  return '(' + format_metrics(expr) + ')';
}

std::string format_metrics(const MetricsExpr& expr) {
  std::string result =
      std::visit(Overloaded{[](const MetricsPipeline& metrics) {
                              return format_pipeline(metrics.pipeline) + " | " +
                                     format_function(metrics.function);
                            },
                            [](const MetricsBinary& binary) {
                              return fmt::format("{} {} {}", format_metrics_operand(*binary.left),
                                                 field_op_text(binary.op),
                                                 format_metrics_operand(*binary.right));
                            },
                            [](double number) { return format_number(number); }},
                 expr.node);
  for (const SecondStage& stage : expr.second) result += format_second(stage);
  return result;
}

}  // namespace

std::string format_operation(const BinaryField& operation) {
  const bool is_left_wrapped =
      binds_tighter_than_minus(operation.op) && is_negative_number(*operation.left);
  const std::string left =
      is_left_wrapped ? '(' + format(*operation.left) + ')' : format_operand(*operation.left);
  return fmt::format("{} {} {}", left, field_op_text(operation.op),
                     format_operand(*operation.right));
}

std::string format_operation(const UnaryField& operation) {
  const std::string_view sign = operation.op == UnaryField::Op::Not ? "!" : "-";
  return std::string(sign) + format_operand(*operation.operand);
}

std::string format_aggregate(const Aggregate& aggregate) {
  return fmt::format("{}({})", aggregate_op_text(aggregate.op),
                     aggregate.field ? format(*aggregate.field) : "");
}

std::string format_group_by(const FieldExpr& field) {
  return "by(" + format(field) + ')';
}

std::string format(const FieldExpr& field) {
  return std::visit(
      Overloaded{[](const Static& value) { return format_static(value); },
                 [](const Attribute& attribute) { return attribute.text; },
                 [](const UnaryField& operation) { return format_operation(operation); },
                 [](const BinaryField& operation) { return format_operation(operation); }},
      field.node);
}

std::string format(const Query& query) {
  std::string result = query.is_metrics() ? format_metrics(*std::get<MetricsPtr>(query.node))
                                          : format_pipeline(std::get<Pipeline>(query.node));
  for (std::size_t i = 0; i < query.hints.size(); ++i) {
    result += i == 0 ? " with(" : ",";
    result += query.hints[i].name + '=' + format_static(query.hints[i].value);
  }
  return query.hints.empty() ? result : result + ')';
}

}  // namespace gantry::traceql
