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

void append_strings(JsonWriter& json, const std::vector<std::string>& texts) {
  json.begin_array();
  for (const std::string& text : texts) json.string(text);
  json.end_array();
}

void append_duration(JsonWriter& json, const promql::DurationExpr* expr) {
  if (expr == nullptr) {
    json.null();
    return;
  }
  json.begin_object();
  if (expr->op == promql::DurationOp::Literal) {
    json.key("type").string("numberLiteral");
    json.key("val").string(number_text(expr->literal_seconds));
    json.key("duration").boolean(expr->is_duration_literal);
  } else {
    json.key("type").string("durationExpr");
    json.key("op").string(duration_op_text(expr->op));
    json.key("lhs");
    append_duration(json, expr->left.get());
    json.key("rhs");
    append_duration(json, expr->right.get());
    json.key("wrapped").boolean(expr->is_wrapped);
  }
  json.end_object();
}

void append_time(JsonWriter& json, const promql::TimeModifiers& time) {
  json.key("offset").integer(time.offset_ms);
  json.key("offsetExpr");
  append_duration(json, time.offset_expr.get());
  json.key("timestamp");
  if (time.at == promql::AtKind::Timestamp) {
    json.integer(time.at_ms);
  } else {
    json.null();
  }
  json.key("startOrEnd");
  if (time.at == promql::AtKind::Start) {
    json.string("start");
  } else if (time.at == promql::AtKind::End) {
    json.string("end");
  } else {
    json.null();
  }
}

void append_selector(JsonWriter& json, const promql::VectorSelector& selector) {
  json.key("name").string(selector.name);
  json.key("matchers").begin_array();
  for (const promql::Matcher& matcher : selector.matchers) {
    json.begin_object();
    json.key("name").string(matcher.name());
    json.key("value").string(matcher.value());
    json.key("type").string(promql::match_op_text(matcher.op()));
    json.end_object();
  }
  json.end_array();
  append_time(json, selector.time);
  json.key("anchored").boolean(selector.mode == promql::RangeMode::Anchored);
  json.key("smoothed").boolean(selector.mode == promql::RangeMode::Smoothed);
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
  json.key("labels");
  append_strings(json, matching.labels);
  json.key("on").boolean(matching.is_on);
  json.key("include");
  append_strings(json, matching.include);
  json.key("fillValues").begin_object();
  fill("lhs", matching.fill_left);
  fill("rhs", matching.fill_right);
  json.end_object();
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
    json.key("val").string(node.value);
  }

  void operator()(const promql::VectorSelector& node) const {
    json.key("type").string("vectorSelector");
    append_selector(json, node);
  }

  void operator()(const promql::MatrixSelector& node) const {
    json.key("type").string("matrixSelector");
    append_selector(json, node.selector);
    json.key("range").integer(node.range_ms);
    json.key("rangeExpr");
    append_duration(json, node.range_expr.get());
  }

  void operator()(const promql::Subquery& node) const {
    json.key("type").string("subquery");
    json.key("expr");
    append_expr(json, node.expr.get());
    json.key("range").integer(node.range_ms);
    json.key("rangeExpr");
    append_duration(json, node.range_expr.get());
    json.key("step").integer(node.step_ms);
    json.key("stepExpr");
    append_duration(json, node.step_expr.get());
    append_time(json, node.time);
  }

  void operator()(const promql::Paren& node) const {
    json.key("type").string("parenExpr");
    json.key("expr");
    append_expr(json, node.expr.get());
  }

  void operator()(const promql::Unary& node) const {
    json.key("type").string("unaryExpr");
    json.key("op").string(node.op == promql::UnaryOp::Minus ? "-" : "+");
    json.key("expr");
    append_expr(json, node.expr.get());
  }

  void operator()(const promql::Binary& node) const {
    json.key("type").string("binaryExpr");
    json.key("op").string(promql::binary_op_text(node.op));
    json.key("lhs");
    append_expr(json, node.left.get());
    json.key("rhs");
    append_expr(json, node.right.get());
    json.key("matching");
    if (node.matching) {
      append_matching(json, *node.matching);
    } else {
      json.null();
    }
    json.key("bool").boolean(node.returns_bool);
  }

  void operator()(const promql::Aggregate& node) const {
    json.key("type").string("aggregation");
    json.key("op").string(promql::aggregate_op_text(node.op));
    json.key("expr");
    append_expr(json, node.expr.get());
    json.key("param");
    append_expr(json, node.parameter.get());
    json.key("grouping");
    append_strings(json, node.grouping);
    json.key("without").boolean(node.is_without);
  }

  void operator()(const promql::Call& node) const {
    json.key("type").string("call");
    json.key("func").begin_object();
    json.key("name").string(node.function->name);
    json.key("argTypes").begin_array();
    for (const promql::ValueType type : node.function->argument_types) {
      json.string(type_text(type));
    }
    json.end_array();
    json.key("variadic").integer(std::int64_t{node.function->variadic});
    json.key("returnType").string(type_text(node.function->return_type));
    json.end_object();
    json.key("args").begin_array();
    for (const promql::ExprPtr& argument : node.arguments) append_expr(json, argument.get());
    json.end_array();
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
