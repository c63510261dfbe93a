#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "promql/durations.h"
#include "promql/parser_internal.h"
#include "telemetry/labels.h"

namespace gantry::promql {

namespace {

std::optional<MatchOp> match_op(TokenKind kind) {
  switch (kind) {
    case TokenKind::Assign:
      return MatchOp::Equal;
    case TokenKind::NotEqual:
      return MatchOp::NotEqual;
    case TokenKind::RegexMatch:
      return MatchOp::Regex;
    case TokenKind::RegexNotMatch:
      return MatchOp::NotRegex;
    default:
      return std::nullopt;
  }
}

// A duration without arithmetic is a number already; the tree keeps only the others.
bool is_plain(const DurationExpr& duration) {
  return duration.op == DurationOp::Literal && !duration.is_wrapped;
}

void set_duration(DurationExprPtr duration, std::int64_t& value_ms, DurationExprPtr& expr) {
  if (is_plain(*duration)) {
    value_ms = literal_duration_ms(duration->literal_seconds);
  } else {
    expr = std::move(duration);
  }
}

bool has_offset(const TimeModifiers& time) {
  return time.offset_ms != 0 || time.offset_expr != nullptr;
}

std::string fixed_point(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{:f}", value);
}

// Timestamps beyond int64 milliseconds are clamped: no sample is there anyway.
std::int64_t timestamp_ms(double seconds) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  const double milliseconds = std::round(seconds * 1000);
  if (milliseconds >= static_cast<double>(kMax)) return kMax;
  if (milliseconds <= static_cast<double>(kMin)) return kMin;
  return static_cast<std::int64_t>(milliseconds);
}

}  // namespace

ExprPtr Parser::parse_selector_expr(std::optional<Token> name) {
  const std::uint32_t start = name ? name->start : token_.start;
  VectorSelector selector;
  if (is(TokenKind::LeftBrace) && !parse_matchers(selector.matchers)) return nullptr;
  const std::uint32_t end = previous_end_;
  if (name) {
    selector.name = name->text;
    add_matcher(selector.matchers, MatchOp::Equal, std::string(telemetry::kMetricNameLabel),
                selector.name, name->position());
  }
  height_ = 1;
  auto expr = std::make_unique<Expr>();
  expr->position = {.start = start, .end = end};
  expr->node = std::move(selector);
  return expr;
}

bool Parser::parse_matchers(std::vector<Matcher>& matchers) {
  advance();
  while (!accept(TokenKind::RightBrace)) {
    if (!parse_matcher(matchers)) return false;
    if (accept(TokenKind::Comma) || is(TokenKind::RightBrace)) continue;
    unexpected("label matching", R"("," or "}")");
    return false;
  }
  return true;
}

bool Parser::parse_matcher(std::vector<Matcher>& matchers) {
  constexpr std::string_view kContext = "label matching";
  const Token name = token_;
  if (name.kind != TokenKind::Identifier && name.kind != TokenKind::String) {
    unexpected(kContext, R"(identifier or "}")");
    return false;
  }
  advance();
  const auto op = match_op(token_.kind);
  if (!op) {
    if (name.kind == TokenKind::String) {
      add_matcher(matchers, MatchOp::Equal, std::string(telemetry::kMetricNameLabel),
                  unquote(name.text), name.position());
      return true;
    }
    unexpected(kContext, "label matching operator");
    return false;
  }
  advance();
  if (!is(TokenKind::String)) {
    unexpected(kContext, "string");
    return false;
  }
  const Position position{.start = name.start, .end = token_.position().end};
  add_matcher(matchers, *op,
              name.kind == TokenKind::String ? unquote(name.text) : std::string(name.text),
              unquote(token_.text), position);
  advance();
  return true;
}

void Parser::add_matcher(std::vector<Matcher>& matchers, MatchOp op, std::string name,
                         std::string value, Position position) {
  auto matcher = Matcher::make(op, std::move(name), std::move(value));
  if (matcher) {
    matchers.push_back(*std::move(matcher));
  } else {
    add_error(position, std::move(matcher).error().message);
  }
}

ExprPtr Parser::parse_range(ExprPtr expr) {
  constexpr std::string_view kOperand = "number, duration, step(), or range()";
  const std::uint32_t bracket_start = token_.start;
  const std::uint32_t height = height_;
  advance();
  DurationExprPtr range = parse_duration(0);
  if (!range) {
    unexpected("subquery or range selector", kOperand);
    return nullptr;
  }
  check_positive(*range);
  if (accept(TokenKind::RightBracket)) {
    return make_matrix(std::move(expr), {.start = bracket_start, .end = previous_end_},
                       std::move(range));
  }
  if (!accept(TokenKind::Colon)) {
    unexpected("subquery or range", R"(":" or "]")");
    return nullptr;
  }
  Subquery subquery;
  if (!is(TokenKind::RightBracket)) {
    DurationExprPtr step = parse_duration(0);
    if (!step) {
      unexpected("subquery selector", R"(number, duration, step(), range(), or "]")");
      return nullptr;
    }
    check_positive(*step);
    set_duration(std::move(step), subquery.step_ms, subquery.step_expr);
  }
  if (!accept(TokenKind::RightBracket)) {
    unexpected("subquery selector", "\"]\"");
    return nullptr;
  }
  set_duration(std::move(range), subquery.range_ms, subquery.range_expr);
  auto result = std::make_unique<Expr>();
  result->position = {.start = expr->position.start, .end = previous_end_};
  subquery.expr = std::move(expr);
  result->node = std::move(subquery);
  height_ = height + 1;
  if (height_ > kChainHeightMax) fold(*result);
  return result;
}

ExprPtr Parser::make_matrix(ExprPtr expr, Position bracket, DurationExprPtr range) {
  MatrixSelector matrix;
  auto* selector = std::get_if<VectorSelector>(&expr->node);
  if (selector == nullptr) {
    add_error(bracket, "ranges only allowed for vector selectors");
  } else if (has_offset(selector->time)) {
    add_error(bracket, "no offset modifiers allowed before range");
  } else if (selector->time.at != AtKind::None) {
    add_error(bracket, "no @ modifiers allowed before range");
  }
  matrix.selector_position = expr->position;
  if (selector != nullptr) matrix.selector = std::move(*selector);
  set_duration(std::move(range), matrix.range_ms, matrix.range_expr);
  height_ = 1;
  auto result = std::make_unique<Expr>();
  result->position = {.start = expr->position.start, .end = bracket.end};
  result->node = std::move(matrix);
  if (selector == nullptr) misplaced_range_ = result.get();
  return result;
}

TimeModifiers* Parser::find_time(Expr& expr, std::string_view modifier) {
  if (auto* selector = std::get_if<VectorSelector>(&expr.node)) return &selector->time;
  if (auto* subquery = std::get_if<Subquery>(&expr.node)) return &subquery->time;
  if (auto* matrix = std::get_if<MatrixSelector>(&expr.node)) {
    if (&expr != misplaced_range_) return &matrix->selector.time;
    add_error(expr.position, "ranges only allowed for vector selectors");
    return nullptr;
  }
  add_error(expr.position, fmt::format("{} modifier must be preceded by an instant vector selector "
                                       "or range vector selector or a subquery",
                                       modifier));
  return nullptr;
}

ExprPtr Parser::parse_offset(ExprPtr expr) {
  const std::uint32_t height = height_;
  advance();
  DurationExprPtr offset = parse_offset_duration();
  if (!offset) {
    unexpected("offset", "number, duration, step(), or range()");
    return nullptr;
  }
  height_ = height;
  if (TimeModifiers* time = find_time(*expr, "offset"); time != nullptr) {
    if (has_offset(*time)) {
      add_error(expr->position, "offset may not be set multiple times");
    } else {
      set_duration(std::move(offset), time->offset_ms, time->offset_expr);
    }
    expr->position.end = previous_end_;
  }
  return expr;
}

ExprPtr Parser::parse_at(ExprPtr expr) {
  advance();
  if (is(TokenKind::Start) || is(TokenKind::End)) {
    const AtKind kind = is(TokenKind::Start) ? AtKind::Start : AtKind::End;
    advance();
    if (accept(TokenKind::LeftParen) && accept(TokenKind::RightParen)) {
      if (TimeModifiers* time = find_time(*expr, "@"); time != nullptr) {
        if (time->at != AtKind::None) {
          add_error(expr->position, "@ <timestamp> may not be set multiple times");
        }
        time->at = kind;
        expr->position.end = previous_end_;
      }
      return expr;
    }
  } else {
    const bool is_negative = is(TokenKind::Subtract);
    if (is_negative || is(TokenKind::Add)) advance();
    if (is(TokenKind::Number) || is(TokenKind::Duration)) {
      const double seconds = take_number();
      set_timestamp(*expr, is_negative ? -seconds : seconds);
      return expr;
    }
  }
  unexpected("@", "timestamp");
  return nullptr;
}

void Parser::set_timestamp(Expr& expr, double seconds) {
  TimeModifiers* time = find_time(expr, "@");
  if (time == nullptr) return;
  constexpr double kInt64Limit = 9223372036854775808.0;
  if (time->at != AtKind::None) {
    add_error(expr.position, "@ <timestamp> may not be set multiple times");
  } else if (!(seconds < kInt64Limit && seconds > -kInt64Limit)) {
    add_error(expr.position, "timestamp out of bounds for @ modifier: " + fixed_point(seconds));
  } else {
    time->at = AtKind::Timestamp;
    time->at_ms = timestamp_ms(seconds);
  }
  expr.position.end = previous_end_;
}

ExprPtr Parser::parse_mode(ExprPtr expr) {
  const RangeMode mode = is(TokenKind::Anchored) ? RangeMode::Anchored : RangeMode::Smoothed;
  const std::string_view name = mode == RangeMode::Anchored ? "anchored" : "smoothed";
  advance();
  if (!options_.extended_range_selectors) {
    add_error(expr->position, fmt::format("{} modifier is experimental and not enabled", name));
    return expr;
  }
  VectorSelector* selector = std::get_if<VectorSelector>(&expr->node);
  if (auto* matrix = std::get_if<MatrixSelector>(&expr->node)) {
    if (expr.get() == misplaced_range_) return expr;  // Reported already.
    selector = &matrix->selector;
  }
  if (selector == nullptr) {
    const bool is_subquery = std::holds_alternative<Subquery>(expr->node);
    add_error(expr->position,
              fmt::format("{} modifier {}", name,
                          is_subquery ? "is not supported for subqueries" : "not implemented"));
    return expr;
  }
  if (selector->mode != RangeMode::Plain && selector->mode != mode) {
    add_error(expr->position, "anchored and smoothed modifiers cannot be used together");
  }
  selector->mode = mode;
  expr->position.end = previous_end_;
  return expr;
}

}  // namespace gantry::promql
