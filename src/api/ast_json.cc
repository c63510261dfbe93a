#include "api/ast_json.h"

#include <variant>

#include "core/json_writer.h"
#include "core/number_format.h"
#include "promql/function_table.h"

namespace gantry::api {
namespace {

using core::JsonWriter;

std::string_view card_text(promql::MatchCard card) {
  switch (card) {
    case promql::MatchCard::OneToOne:
      return "one-to-one";
    case promql::MatchCard::ManyToOne:
      return "many-to-one";
    case promql::MatchCard::OneToMany:
      return "one-to-many";
    case promql::MatchCard::ManyToMany:
      return "many-to-many";
  }
  return "one-to-one";
}

std::string_view type_text(promql::ValueType type) {
  switch (type) {
    case promql::ValueType::None:
      return "none";
    case promql::ValueType::Scalar:
      return "scalar";
    case promql::ValueType::Vector:
      return "vector";
    case promql::ValueType::Matrix:
      return "matrix";
    case promql::ValueType::String:
      return "string";
  }
  return "none";
}

std::string_view duration_op_text(promql::DurationOp op) {
  switch (op) {
    case promql::DurationOp::Literal:
      return "";
    case promql::DurationOp::Add:
    case promql::DurationOp::Plus:
      return "+";
    case promql::DurationOp::Subtract:
    case promql::DurationOp::Negate:
      return "-";
    case promql::DurationOp::Multiply:
      return "*";
    case promql::DurationOp::Divide:
      return "/";
    case promql::DurationOp::Modulo:
      return "%";
    case promql::DurationOp::Power:
      return "^";
    case promql::DurationOp::Step:
      return "step";
    case promql::DurationOp::Range:
      return "range";
    case promql::DurationOp::MinOf:
      return "min_of";
    case promql::DurationOp::MaxOf:
      return "max_of";
  }
  return "";
}

std::string number_text(double value) {
  std::string out;
  core::append_float_plain(out, value);
  return out;
}

// Keys are in alphabetical order, and strings are escaped for HTML: Go writes maps so, and answers
// can be compared with Prometheus's byte by byte.

void append_string(JsonWriter& json, std::string_view text) {
  json.string(text, core::HtmlEscape::Yes);
}

void append_strings(JsonWriter& json, const std::vector<std::string>& texts) {
  json.begin_array();
  for (const std::string& text : texts) append_string(json, text);
  json.end_array();
}

void append_duration(JsonWriter& json, const promql::DurationExpr* expr) {
  if (expr == nullptr) {
    json.null();
    return;
  }
  json.begin_object();
  if (expr->op == promql::DurationOp::Literal) {
    json.key("duration").boolean(expr->is_duration_literal);
    json.key("type").string("numberLiteral");
    json.key("val").string(number_text(expr->literal_seconds));
  } else {
    json.key("lhs");
    append_duration(json, expr->left.get());
    json.key("op").string(duration_op_text(expr->op));
    json.key("rhs");
    append_duration(json, expr->right.get());
    json.key("type").string("durationExpr");
    json.key("wrapped").boolean(expr->is_wrapped);
  }
  json.end_object();
}

void append_offset(JsonWriter& json, const promql::TimeModifiers& time) {
  json.key("offset").integer(time.offset_ms);
  json.key("offsetExpr");
  append_duration(json, time.offset_expr.get());
}

void append_start_or_end(JsonWriter& json, const promql::TimeModifiers& time) {
  json.key("startOrEnd");
  if (time.at == promql::AtKind::Start) {
    json.string("start");
  } else if (time.at == promql::AtKind::End) {
    json.string("end");
  } else {
    json.null();
  }
}

void append_timestamp(JsonWriter& json, const promql::TimeModifiers& time) {
  json.key("timestamp");
  if (time.at == promql::AtKind::Timestamp) {
    json.integer(time.at_ms);
  } else {
    json.null();
  }
}

void append_range(JsonWriter& json, std::int64_t range_ms, const promql::DurationExpr* expr) {
  json.key("range").integer(range_ms);
  json.key("rangeExpr");
  append_duration(json, expr);
}

/// `matrix`: null for an instant selector.
void append_selector(JsonWriter& json, const promql::VectorSelector& selector,
                     const promql::MatrixSelector* matrix) {
  json.key("anchored").boolean(selector.mode == promql::RangeMode::Anchored);
  json.key("matchers").begin_array();
  for (const promql::Matcher& matcher : selector.matchers) {
    json.begin_object();
    append_string(json.key("name"), matcher.name());
    append_string(json.key("type"), promql::match_op_text(matcher.op()));
    append_string(json.key("value"), matcher.value());
    json.end_object();
  }
  json.end_array();
  append_string(json.key("name"), selector.name);
  append_offset(json, selector.time);
  if (matrix != nullptr) append_range(json, matrix->range_ms, matrix->range_expr.get());
  json.key("smoothed").boolean(selector.mode == promql::RangeMode::Smoothed);
  append_start_or_end(json, selector.time);
  append_timestamp(json, selector.time);
  json.key("type").string(matrix == nullptr ? "vectorSelector" : "matrixSelector");
}

void append_matching(JsonWriter& json, const promql::VectorMatching& matching) {
  const auto fill = [&](std::string_view side, const std::optional<double>& value) {
    json.key(side);
    if (value) {
      json.number(*value);
    } else {
      json.null();
    }
  };
  json.begin_object();
  json.key("card").string(card_text(matching.card));
  json.key("fillValues").begin_object();
  fill("lhs", matching.fill_left);
  fill("rhs", matching.fill_right);
  json.end_object();
  json.key("include");
  append_strings(json, matching.include);
  json.key("labels");
  append_strings(json, matching.labels);
  json.key("on").boolean(matching.is_on);
  json.end_object();
}

void append_expr(JsonWriter& json, const promql::Expr* expr);

struct NodeWriter {
  JsonWriter& json;

  void operator()(const promql::NumberLiteral& node) const {
    json.key("type").string("numberLiteral");
    json.key("val").string(number_text(node.value));
  }

  void operator()(const promql::StringLiteral& node) const {
    json.key("type").string("stringLiteral");
    append_string(json.key("val"), node.value);
  }

  void operator()(const promql::VectorSelector& node) const {
    append_selector(json, node, nullptr);
  }

  void operator()(const promql::MatrixSelector& node) const {
    append_selector(json, node.selector, &node);
  }

  void operator()(const promql::Subquery& node) const {
    append_expr(json.key("expr"), node.expr.get());
    append_offset(json, node.time);
    append_range(json, node.range_ms, node.range_expr.get());
    append_start_or_end(json, node.time);
    json.key("step").integer(node.step_ms);
    append_duration(json.key("stepExpr"), node.step_expr.get());
    append_timestamp(json, node.time);
    json.key("type").string("subquery");
  }

  void operator()(const promql::Paren& node) const {
    append_expr(json.key("expr"), node.expr.get());
    json.key("type").string("parenExpr");
  }

  void operator()(const promql::Unary& node) const {
    append_expr(json.key("expr"), node.expr.get());
    json.key("op").string(node.op == promql::UnaryOp::Minus ? "-" : "+");
    json.key("type").string("unaryExpr");
  }

  void operator()(const promql::Binary& node) const {
    json.key("bool").boolean(node.returns_bool);
    append_expr(json.key("lhs"), node.left.get());
    json.key("matching");
    if (node.matching) {
      append_matching(json, *node.matching);
    } else {
      json.null();
    }
    append_string(json.key("op"), promql::binary_op_text(node.op));
    append_expr(json.key("rhs"), node.right.get());
    json.key("type").string("binaryExpr");
  }

  void operator()(const promql::Aggregate& node) const {
    append_expr(json.key("expr"), node.expr.get());
    append_strings(json.key("grouping"), node.grouping);
    json.key("op").string(promql::aggregate_op_text(node.op));
    append_expr(json.key("param"), node.parameter.get());
    json.key("type").string("aggregation");
    json.key("without").boolean(node.is_without);
  }

  void operator()(const promql::Call& node) const {
    json.key("args").begin_array();
    for (const promql::ExprPtr& argument : node.arguments) append_expr(json, argument.get());
    json.end_array();
    json.key("func").begin_object();
    json.key("argTypes").begin_array();
    for (const promql::ValueType type : node.function->argument_types) {
      json.string(type_text(type));
    }
    json.end_array();
    json.key("name").string(node.function->name);
    json.key("returnType").string(type_text(node.function->return_type));
    json.key("variadic").integer(std::int64_t{node.function->variadic});
    json.end_object();
    json.key("type").string("call");
  }
};

void append_expr(JsonWriter& json, const promql::Expr* expr) {
  if (expr == nullptr) {
    json.null();
    return;
  }
  json.begin_object();
  std::visit(NodeWriter{json}, expr->node);
  json.end_object();
}

}  // namespace

std::string ast_json(const promql::Expr& expr) {
  std::string out;
  JsonWriter json(out);
  append_expr(json, &expr);
  return out;
}

}  // namespace gantry::api
