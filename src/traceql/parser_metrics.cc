// Metrics functions, what follows them, and hints.

#include <utility>
#include <variant>

#include <fmt/format.h>

#include "traceql/fold.h"
#include "traceql/format_internal.h"
#include "traceql/parser_internal.h"
#include "traceql/type_check.h"

namespace gantry::traceql {

namespace {

constexpr std::size_t kGroupByMax = 5;
constexpr std::size_t kGroupByMaxWithBuckets = 4;
constexpr std::int64_t kCompareTopMax = 1000;
constexpr double kNanosecondsPerSecond = 1e9;

bool has_argument(MetricsOp op) {
  return op != MetricsOp::Rate && op != MetricsOp::CountOverTime && op != MetricsOp::Compare;
}

bool has_buckets(MetricsOp op) {
  return op == MetricsOp::QuantileOverTime || op == MetricsOp::HistogramOverTime;
}

double seconds_or_number(const Static& value) {
  if (value.type == StaticType::Float) return value.number;
  const auto number = static_cast<double>(value.integer);
  return value.type == StaticType::Duration ? number / kNanosecondsPerSecond : number;
}

}  // namespace

std::optional<MetricsFunction> Parser::parse_metrics_function() {
  MetricsFunction function;
  function.op =
      static_cast<MetricsOp>(static_cast<int>(token_.kind) - static_cast<int>(TokenKind::Rate));
  advance();
  if (!expect(TokenKind::LeftParen, "(")) return std::nullopt;
  if (function.op == MetricsOp::Compare) {
    if (!parse_compare(function)) return std::nullopt;
    return function;
  }
  if (has_argument(function.op)) {
    function.attribute = parse_attribute();
    if (!function.attribute) return std::nullopt;
  }
  if (function.op == MetricsOp::QuantileOverTime) {
    if (!parse_quantiles(function)) return std::nullopt;
  } else if (!expect(TokenKind::RightParen, ")")) {
    return std::nullopt;
  }
  if (!parse_metrics_by(function)) return std::nullopt;
  return function;
}

// "," number { "," number } ")"
bool Parser::parse_quantiles(MetricsFunction& function) {
  if (!is(TokenKind::Comma)) return unexpected(","), false;
  while (accept(TokenKind::Comma)) {
    if (!is(TokenKind::Integer) && !is(TokenKind::Float)) {
      unexpected("INTEGER or FLOAT");
      return false;
    }
    if (token_.is_beyond_int) {
      fail_at(token_, integer_range_error(token_.text));
      return false;
    }
    const Static value =
        is(TokenKind::Float) ? Static::of_float(token_.number) : Static::of_int(token_.integer);
    advance();
    const double quantile = seconds_or_number(value);
    if (quantile > 1) {
      refuse(RefusalKind::Validation,
             fmt::format("quantile must be between 0 and 1: {}", quantile));
    }
    function.quantiles.push_back(quantile);
  }
  return expect(TokenKind::RightParen, ") or ,");
}

std::optional<std::int64_t> Parser::parse_integer() {
  if (!is(TokenKind::Integer)) return unexpected("INTEGER");
  if (token_.is_beyond_int) {
    fail_at(token_, integer_range_error(token_.text));
    return std::nullopt;
  }
  advance();
  return previous_.integer;
}

// "{" field "}" [ "," top [ "," start "," end ] ] ")"
bool Parser::parse_compare(MetricsFunction& function) {
  if (!is(TokenKind::LeftBrace)) return unexpected("{"), false;
  auto filter = parse_filter();
  if (!filter) return false;
  function.selection = std::move(std::get<SpansetFilter>(filter->spanset.node).field);
  if (accept(TokenKind::Comma)) {
    const auto top = parse_integer();
    if (!top) return false;
    function.top_n = *top;
    if (accept(TokenKind::Comma)) {
      const auto start = parse_integer();
      if (!start || !expect(TokenKind::Comma, ",")) return false;
      const auto end = parse_integer();
      if (!end) return false;
      function.selection_start_ns = *start;
      function.selection_end_ns = *end;
    }
  }
  if (!expect(TokenKind::RightParen, ") or ,")) return false;
  if (function.top_n < 1 || function.top_n > kCompareTopMax) {
    refuse(RefusalKind::Validation,
           "compare() top number of values must be an integer between 1 and 1000");
  }
  const bool has_range = function.selection_start_ns != 0 || function.selection_end_ns != 0;
  if (has_range && function.selection_end_ns <= function.selection_start_ns) {
    refuse(RefusalKind::Validation, "compare() end must be after start");
  }
  return true;
}

bool Parser::parse_metrics_by(MetricsFunction& function) {
  if (!accept(TokenKind::By)) return true;
  if (!expect(TokenKind::LeftParen, "(")) return false;
  if (!parse_attribute_list(function.by)) return false;
  const std::size_t limit = has_buckets(function.op) ? kGroupByMaxWithBuckets : kGroupByMax;
  if (function.by.size() > limit) {
    refuse(RefusalKind::Unsupported,
           fmt::format("metrics group by {} values not yet supported", function.by.size()));
  }
  return true;
}

// { "|" ( "topk" | "bottomk" ) "(" INT ")" | cmp num }
bool Parser::parse_second_stages(MetricsExpr& expr) {
  while (true) {
    std::optional<SecondStage> stage;
    const auto op = field_op(token_.kind);
    if (accept(TokenKind::Pipe)) {
      stage = parse_limit();
    } else if (op && is_comparison(*op) && *op < FieldOp::Regex) {
      stage = parse_metrics_filter();
    } else {
      return true;
    }
    if (!stage) return false;
    expr.second.push_back(*stage);
  }
}

std::optional<SecondStage> Parser::parse_limit() {
  if (!is(TokenKind::TopK) && !is(TokenKind::BottomK)) return unexpected("topk or bottomk");
  SecondStage stage;
  stage.kind = is(TokenKind::TopK) ? SecondStage::Kind::TopK : SecondStage::Kind::BottomK;
  advance();
  if (!expect(TokenKind::LeftParen, "(")) return std::nullopt;
  const auto limit = parse_integer();
  if (!limit || !expect(TokenKind::RightParen, ")")) return std::nullopt;
  if (*limit == 0) refuse(RefusalKind::Validation, "limit must be greater than 0");
  stage.limit = *limit;
  return stage;
}

std::optional<SecondStage> Parser::parse_metrics_filter() {
  constexpr int kSumPrecedence = 3;
  SecondStage stage{.kind = SecondStage::Kind::Filter, .op = *field_op(token_.kind)};
  advance();
  auto number =
      parse_operation(kSumPrecedence, {.bare = kNumber, .wrapped = kNumber, .result = kNumber});
  if (!number) return std::nullopt;
  stage.value = seconds_or_number(number->number);
  return stage;
}

// compare() stands alone.
void Parser::check_metrics(const MetricsExpr& expr) {
  constexpr const char* kMessage = "`compare()` cannot be used with second stage functions";
  if (const auto* binary = std::get_if<MetricsBinary>(&expr.node)) {
    for (const MetricsExpr* side : {binary->left.get(), binary->right.get()}) {
      const auto* metrics = std::get_if<MetricsPipeline>(&side->node);
      if (metrics != nullptr && metrics->function.op == MetricsOp::Compare) {
        refuse(RefusalKind::Validation, kMessage);
      }
      check_metrics(*side);
    }
    return;
  }
  const auto* metrics = std::get_if<MetricsPipeline>(&expr.node);
  if (metrics != nullptr && metrics->function.op == MetricsOp::Compare && !expr.second.empty()) {
    refuse(RefusalKind::Validation, kMessage);
  }
}

// "(" IDENT "=" static { "," IDENT "=" static } ")". The last clause of a query holds.
bool Parser::parse_hints(std::vector<Hint>& hints) {
  hints.clear();
  if (!expect(TokenKind::LeftParen, "(")) return false;
  do {
    if (!is(TokenKind::Identifier)) return unexpected("IDENTIFIER"), false;
    advance();
    Hint hint{.name = previous_.value, .value = {}};
    if (!expect(TokenKind::Equal, "=")) return false;
    auto value = parse_hint_value();
    if (!value) return false;
    hint.value = *std::move(value);
    hints.push_back(std::move(hint));
  } while (accept(TokenKind::Comma));
  return expect(TokenKind::RightParen, ") or ,");
}

std::optional<Static> Parser::parse_hint_value() {
  if (auto literal = parse_word_literal()) {
    advance();
    return literal;
  }
  if (accept(TokenKind::String)) return Static::of_string(std::move(previous_.value));
  auto number = parse_number();
  if (!number) return std::nullopt;
  return std::move(number->number);
}

}  // namespace gantry::traceql
