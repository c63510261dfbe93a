#include "promql/parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "core/utf8.h"
#include "promql/function_table.h"
#include "promql/lexer_text.h"
#include "promql/parser_internal.h"
#include "telemetry/labels.h"

namespace gantry::promql {

namespace {

constexpr int kPrecedenceMin = 1;
constexpr int kPrecedencePower = 6;

struct OperatorRule {
  TokenKind token;
  BinaryOp op;
  int precedence;
};

constexpr auto kOperators = std::to_array<OperatorRule>({
    {TokenKind::Or, BinaryOp::Or, kPrecedenceMin},
    {TokenKind::And, BinaryOp::And, 2},
    {TokenKind::Unless, BinaryOp::Unless, 2},
    {TokenKind::Equal, BinaryOp::Equal, 3},
    {TokenKind::NotEqual, BinaryOp::NotEqual, 3},
    {TokenKind::Less, BinaryOp::Less, 3},
    {TokenKind::LessOrEqual, BinaryOp::LessOrEqual, 3},
    {TokenKind::Greater, BinaryOp::Greater, 3},
    {TokenKind::GreaterOrEqual, BinaryOp::GreaterOrEqual, 3},
    {TokenKind::TrimUpper, BinaryOp::TrimUpper, 3},
    {TokenKind::TrimLower, BinaryOp::TrimLower, 3},
    {TokenKind::Add, BinaryOp::Add, 4},
    {TokenKind::Subtract, BinaryOp::Subtract, 4},
    {TokenKind::Multiply, BinaryOp::Multiply, 5},
    {TokenKind::Divide, BinaryOp::Divide, 5},
    {TokenKind::Modulo, BinaryOp::Modulo, 5},
    {TokenKind::Atan2, BinaryOp::Atan2, 5},
    {TokenKind::Power, BinaryOp::Power, kPrecedencePower},
});

const OperatorRule* find_operator(TokenKind token) {
  const auto* found = std::ranges::find(kOperators, token, &OperatorRule::token);
  return found == kOperators.end() ? nullptr : found;
}

ExprPtr make_expr(Position position, Expr::Node node) {
  auto expr = std::make_unique<Expr>();
  expr->position = position;
  expr->node = std::move(node);
  return expr;
}

// Words that stand for a metric name where an operand is expected. The others can only be quoted.
bool is_metric_word(TokenKind kind) {
  switch (kind) {
    case TokenKind::Identifier:
    case TokenKind::MetricIdentifier:
    case TokenKind::Aggregator:
    case TokenKind::And:
    case TokenKind::Or:
    case TokenKind::Unless:
    case TokenKind::Offset:
    case TokenKind::Smoothed:
    case TokenKind::Anchored:
    case TokenKind::By:
    case TokenKind::Without:
    case TokenKind::Fill:
    case TokenKind::FillLeft:
    case TokenKind::FillRight:
    case TokenKind::Start:
    case TokenKind::End:
    case TokenKind::Step:
    case TokenKind::Range:
    case TokenKind::MaxOf:
    case TokenKind::MinOf:
      return true;
    default:
      return false;
  }
}

bool is_function_word(TokenKind kind) {
  return kind == TokenKind::Identifier || kind == TokenKind::Start || kind == TokenKind::End ||
         kind == TokenKind::Step || kind == TokenKind::Range || kind == TokenKind::MaxOf ||
         kind == TokenKind::MinOf;
}

// Every word but `without` may be a label.
bool is_label_word(const Token& token) {
  if (is_metric_word(token.kind)) return token.kind != TokenKind::Without;
  return token.kind == TokenKind::Bool || token.kind == TokenKind::On ||
         token.kind == TokenKind::Ignoring || token.kind == TokenKind::GroupLeft ||
         token.kind == TokenKind::GroupRight || token.kind == TokenKind::Atan2;
}

bool takes_parameter(AggregateOp op) {
  return op == AggregateOp::TopK || op == AggregateOp::BottomK || op == AggregateOp::CountValues ||
         op == AggregateOp::Quantile || op == AggregateOp::LimitK || op == AggregateOp::LimitRatio;
}

bool is_experimental(AggregateOp op) {
  return op == AggregateOp::LimitK || op == AggregateOp::LimitRatio;
}

bool is_closing(TokenKind kind) {
  return kind == TokenKind::RightBrace || kind == TokenKind::RightParen ||
         kind == TokenKind::RightBracket || kind == TokenKind::Duration ||
         kind == TokenKind::Number;
}

ParseError height_error(Position position) {
  return {.position = position,
          .message = fmt::format("expression tree is higher than {} levels", kChainHeightMax)};
}

Error to_error(std::string_view query, const ParseError& error) {
  const std::string place =
      query.empty() ? "unknown position" : line_and_column(query, error.position.start);
  return {.code = Code::InvalidArgument,
          .message = fmt::format("{}: parse error: {}", place, error.message)};
}

}  // namespace

/// One level of nesting, for as long as it lives.
class Parser::Level {
 public:
  explicit Level(Parser& parser) : parser_(parser) {
    if (++parser_.nesting_ <= kNestingMax || parser_.has_failed_) return;
    parser_.add_error(parser_.token_.position(),
                      fmt::format("expression is nested deeper than {} levels", kNestingMax));
    parser_.has_failed_ = true;
  }

  ~Level() { --parser_.nesting_; }

  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;

  [[nodiscard]] bool is_too_deep() const { return parser_.nesting_ > kNestingMax; }

 private:
  Parser& parser_;
};

Parser::Parser(std::string_view query, const ParserOptions& options)
    : query_(query), options_(options), lexer_(query.substr(0, kQueryBytesMax)) {
  if (query.size() > kQueryBytesMax) {
    add_error({},
              fmt::format("query is {} bytes long, the limit is {}", query.size(), kQueryBytesMax));
    has_failed_ = true;
    return;
  }
  advance();
}

void Parser::advance() {
  previous_end_ = token_.position().end;
  token_ = lexer_.next();
  if (is(TokenKind::Error)) {
    if (!has_failed_) add_error(lexer_.error_position(), lexer_.error());
  } else if (is_closing(token_.kind)) {
    last_closing_ = token_.position().end;
  }
}

bool Parser::accept(TokenKind kind) {
  if (!is(kind)) return false;
  advance();
  return true;
}

void Parser::add_error(Position position, std::string message) {
  errors_.push_back({.position = position, .message = std::move(message)});
}

void Parser::unexpected(std::string_view context, std::string_view expected) {
  if (has_failed_) return;
  has_failed_ = true;
  if (is(TokenKind::Error)) return;  // The lexer's own message is there already.
  std::string message = "unexpected " + describe(token_);
  if (!context.empty()) message.append(" in ").append(context);
  if (!expected.empty()) message.append(", expected ").append(expected);
  add_error(token_.position(), std::move(message));
}

bool Parser::set_height(std::uint32_t left, std::uint32_t right) {
  height_ = std::max(left, right) + 1;
  if (height_ <= kTreeHeightMax) return true;
  if (!has_failed_) errors_.push_back(height_error(token_.position()));
  has_failed_ = true;
  return false;
}

ExprPtr Parser::parse_query() {
  if (has_failed_) return nullptr;
  if (is(TokenKind::EndOfInput)) {
    add_error({}, "no expression found in input");
    return nullptr;
  }
  ExprPtr expr = parse_expr(kPrecedenceMin);
  if (!expr || !is(TokenKind::EndOfInput)) unexpected("", "");
  if (!errors_.empty()) return nullptr;
  errors_ = std::move(type_errors_);
  check_types(*expr, query_, errors_);
  if (errors_.empty() && height_error_) errors_.push_back(*height_error_);
  return errors_.empty() ? std::move(expr) : nullptr;
}

std::optional<VectorSelector> Parser::parse_selector() {
  if (has_failed_) return std::nullopt;
  ExprPtr expr;
  if (is(TokenKind::LeftBrace)) {
    expr = parse_selector_expr(std::nullopt);
  } else if (is_metric_word(token_.kind)) {
    const Token name = token_;
    advance();
    expr = parse_selector_expr(name);
  }
  if (!expr || !is(TokenKind::EndOfInput)) unexpected("", "");
  if (!errors_.empty()) return std::nullopt;
  return std::get<VectorSelector>(std::move(expr->node));
}

ExprPtr Parser::parse_expr(int precedence_min) {
  const Level level(*this);
  if (level.is_too_deep()) return nullptr;
  ExprPtr left = parse_unary();
  while (left) {
    const OperatorRule* rule = find_operator(token_.kind);
    if (rule == nullptr || rule->precedence < precedence_min) return left;
    advance();
    const std::uint32_t left_height = height_;
    Binary binary;
    binary.op = rule->op;
    if (!parse_binary_modifiers(binary)) return nullptr;
    const bool is_right_associative = rule->op == BinaryOp::Power;
    binary.right = parse_expr(rule->precedence + (is_right_associative ? 0 : 1));
    if (!binary.right) return nullptr;
    height_ = std::max(left_height, height_) + 1;
    const Position position{.start = left->position.start, .end = binary.right->position.end};
    binary.left = std::move(left);
    left = make_expr(position, std::move(binary));
    if (height_ > kChainHeightMax) fold(*left);
  }
  return left;
}

void Parser::fold(Expr& tall) {
  if (errors_.empty()) check_types(tall, query_, type_errors_);
  if (!height_error_) height_error_ = height_error(tall.position);
  const ValueType type = tall.type();
  VectorSelector selector{.name = "folded", .matchers = {}, .time = {}};
  if (type == ValueType::Scalar) {
    tall.node = NumberLiteral{};
  } else if (type == ValueType::Matrix) {
    tall.node = MatrixSelector{.selector = std::move(selector), .selector_position = tall.position};
  } else {
    tall.node = std::move(selector);
  }
  height_ = 1;
}

ExprPtr Parser::parse_unary() {
  if (!is(TokenKind::Add) && !is(TokenKind::Subtract)) return parse_postfix();
  const Token sign = token_;
  advance();
  // Only ^ binds tighter than a sign.
  ExprPtr operand = parse_expr(kPrecedencePower);
  if (!operand) return nullptr;
  if (auto* number = std::get_if<NumberLiteral>(&operand->node)) {
    if (sign.kind == TokenKind::Subtract) number->value = -number->value;
    operand->position.start = sign.start;
    return operand;
  }
  if (!set_height(height_, 0)) return nullptr;
  const Position position{.start = sign.start, .end = operand->position.end};
  const UnaryOp op = sign.kind == TokenKind::Subtract ? UnaryOp::Minus : UnaryOp::Plus;
  return make_expr(position, Unary{.op = op, .expr = std::move(operand)});
}

ExprPtr Parser::parse_postfix() {
  ExprPtr expr = parse_primary();
  while (expr && !has_failed_) {
    switch (token_.kind) {
      case TokenKind::LeftBracket:
        expr = parse_range(std::move(expr));
        break;
      case TokenKind::Offset:
        expr = parse_offset(std::move(expr));
        break;
      case TokenKind::At:
        expr = parse_at(std::move(expr));
        break;
      case TokenKind::Anchored:
      case TokenKind::Smoothed:
        expr = parse_mode(std::move(expr));
        break;
      default:
        return expr;
    }
  }
  return has_failed_ ? nullptr : std::move(expr);
}

ExprPtr Parser::parse_primary() {
  height_ = 1;
  switch (token_.kind) {
    case TokenKind::Number:
    case TokenKind::Duration:
      return parse_number();
    case TokenKind::String:
      return parse_string();
    case TokenKind::LeftParen:
      return parse_paren();
    case TokenKind::LeftBrace:
      return parse_selector_expr(std::nullopt);
    default:
      return is_metric_word(token_.kind) ? parse_word() : nullptr;
  }
}

ExprPtr Parser::parse_paren() {
  const std::uint32_t start = token_.start;
  advance();
  ExprPtr inner = parse_expr(kPrecedenceMin);
  if (!inner || !accept(TokenKind::RightParen) || !set_height(height_, 0)) return nullptr;
  return make_expr({.start = start, .end = previous_end_}, Paren{.expr = std::move(inner)});
}

ExprPtr Parser::parse_number() {
  const Token token = token_;
  const double value = take_number();
  return make_expr(token.position(),
                   NumberLiteral{.value = value, .is_duration = token.kind == TokenKind::Duration});
}

ExprPtr Parser::parse_string() {
  const Token token = token_;
  advance();
  return make_expr(token.position(), StringLiteral{.value = unquote(token.text)});
}

ExprPtr Parser::parse_word() {
  const Token word = token_;
  advance();
  if (word.kind == TokenKind::Aggregator &&
      (is(TokenKind::LeftParen) || is(TokenKind::By) || is(TokenKind::Without))) {
    return parse_aggregate(word);
  }
  if (is_function_word(word.kind) && is(TokenKind::LeftParen)) return parse_call(word);
  return parse_selector_expr(word);
}

ExprPtr Parser::parse_aggregate(const Token& op) {
  Aggregate aggregate;
  aggregate.op = op.aggregate;
  const auto parse_modifier = [&] {
    if (!is(TokenKind::By) && !is(TokenKind::Without)) return false;
    aggregate.is_without = is(TokenKind::Without);
    advance();
    parse_grouping(aggregate.grouping);
    return true;
  };
  const bool has_modifier = parse_modifier();
  std::vector<ExprPtr> arguments;
  if (!parse_arguments(arguments)) {
    if (has_failed_) return nullptr;
    unexpected("aggregation", "");
    add_error({.start = op.start, .end = last_closing_},
              "no arguments for aggregate expression provided");
    return nullptr;
  }
  if (!has_modifier) parse_modifier();
  if (has_failed_) return nullptr;
  return finish_aggregate(op, std::move(aggregate), std::move(arguments));
}

ExprPtr Parser::finish_aggregate(const Token& op, Aggregate aggregate,
                                 std::vector<ExprPtr> arguments) {
  const Position position{.start = op.start, .end = previous_end_};
  const std::size_t expected = takes_parameter(op.aggregate) ? 2 : 1;
  if (arguments.empty()) {
    add_error(position, "no arguments for aggregate expression provided");
  } else if (is_experimental(op.aggregate) && !options_.experimental_functions) {
    add_error(position, fmt::format("{}() is experimental and must be enabled with "
                                    "--enable-feature=promql-experimental-functions",
                                    aggregate_op_text(op.aggregate)));
  } else if (arguments.size() != expected) {
    add_error(position, fmt::format("wrong number of arguments for aggregate expression provided, "
                                    "expected {}, got {}",
                                    expected, arguments.size()));
  } else {
    aggregate.expr = std::move(arguments.back());
    if (expected == 2) aggregate.parameter = std::move(arguments.front());
  }
  if (!set_height(height_, 0)) return nullptr;
  return make_expr(position, std::move(aggregate));
}

ExprPtr Parser::parse_call(const Token& name) {
  Call call{.function = find_function(name.text), .arguments = {}};
  if (!parse_arguments(call.arguments) || !set_height(height_, 0)) return nullptr;
  if (call.function == nullptr) {
    add_error(name.position(), "unknown function with name " + quoted(name.text));
  } else if (call.function->is_experimental && !options_.experimental_functions) {
    add_error(name.position(), fmt::format("function {} is not enabled", quoted(name.text)));
  }
  return make_expr({.start = name.start, .end = previous_end_}, std::move(call));
}

bool Parser::parse_arguments(std::vector<ExprPtr>& arguments) {
  if (!accept(TokenKind::LeftParen)) return false;
  std::uint32_t height = 0;
  std::optional<Token> comma;
  while (comma || !is(TokenKind::RightParen)) {
    const std::uint32_t start = token_.start;
    ExprPtr argument = parse_expr(kPrecedenceMin);
    if (!argument) {
      const bool is_missing = !has_failed_ && token_.start == start;
      if (!comma || !is_missing) return false;
      add_error(comma->position(), "trailing commas not allowed in function call args");
      break;
    }
    arguments.push_back(std::move(argument));
    height = std::max(height, height_);
    if (!is(TokenKind::Comma)) break;
    comma = token_;
    advance();
  }
  height_ = height;
  return accept(TokenKind::RightParen);
}

bool Parser::parse_binary_modifiers(Binary& binary) {
  binary.returns_bool = accept(TokenKind::Bool);
  VectorMatching matching;
  if (is(TokenKind::On) || is(TokenKind::Ignoring)) {
    matching.is_on = is(TokenKind::On);
    advance();
    if (!parse_grouping(matching.labels)) return false;
    if (is(TokenKind::GroupLeft) || is(TokenKind::GroupRight)) {
      matching.card = is(TokenKind::GroupLeft) ? MatchCard::ManyToOne : MatchCard::OneToMany;
      advance();
      if (is(TokenKind::LeftParen) && !parse_grouping(matching.include)) return false;
    }
  }
  if (!parse_fill(matching)) return false;
  binary.matching = std::move(matching);
  return true;
}

bool Parser::parse_fill(VectorMatching& matching) {
  if (!is(TokenKind::Fill) && !is(TokenKind::FillLeft) && !is(TokenKind::FillRight)) return true;
  if (!options_.binop_fill_modifiers) {
    add_error(token_.position(), "binop fill modifiers are experimental and not enabled");
  }
  if (accept(TokenKind::Fill)) {
    matching.fill_left = matching.fill_right = parse_fill_value();
    return matching.fill_left.has_value();
  }
  while (is(TokenKind::FillLeft) || is(TokenKind::FillRight)) {
    auto& side = is(TokenKind::FillLeft) ? matching.fill_left : matching.fill_right;
    if (side) return false;
    advance();
    side = parse_fill_value();
    if (!side) return false;
  }
  return true;
}

std::optional<double> Parser::parse_fill_value() {
  if (!accept(TokenKind::LeftParen)) return std::nullopt;
  const bool is_negative = is(TokenKind::Subtract);
  if (is_negative || is(TokenKind::Add)) advance();
  if (!is(TokenKind::Number) && !is(TokenKind::Duration)) return std::nullopt;
  const double value = take_number();
  if (!accept(TokenKind::RightParen)) return std::nullopt;
  return is_negative ? -value : value;
}

bool Parser::parse_grouping(std::vector<std::string>& labels) {
  if (!accept(TokenKind::LeftParen)) {
    unexpected("grouping opts", "\"(\"");
    return false;
  }
  while (!accept(TokenKind::RightParen)) {
    if (!parse_grouping_label(labels)) return false;
    if (accept(TokenKind::Comma) || is(TokenKind::RightParen)) continue;
    unexpected("grouping opts", "\",\" or \")\"");
    return false;
  }
  return true;
}

bool Parser::parse_grouping_label(std::vector<std::string>& labels) {
  const Token token = token_;
  std::string label;
  if (is_label_word(token)) {
    label = token.text;
  } else if (token.kind == TokenKind::String) {
    label = unquote(token.text);
  } else {
    unexpected("grouping opts", "label");
    return false;
  }
  advance();
  if (label.empty() || !core::is_valid_utf8(label)) {
    add_error(token.position(), "invalid label name for grouping: " + quoted(label));
  }
  labels.push_back(std::move(label));
  return true;
}

Result<ExprPtr> parse(std::string_view query, const ParserOptions& options) {
  Parser parser(query, options);
  ExprPtr expr = parser.parse_query();
  if (!expr) return std::unexpected(to_error(query, parser.errors().front()));
  return expr;
}

std::vector<ParseError> parse_errors(std::string_view query, const ParserOptions& options) {
  Parser parser(query, options);
  parser.parse_query();
  return parser.errors();
}

Result<std::vector<Matcher>> parse_metric_selector(std::string_view selector) {
  Parser parser(selector, {});
  auto parsed = parser.parse_selector();
  if (!parsed) return std::unexpected(to_error(selector, parser.errors().front()));
  return std::move(parsed->matchers);
}

std::string line_and_column(std::string_view query, std::uint32_t offset) {
  const std::string_view before = query.substr(0, std::min<std::size_t>(offset, query.size()));
  const auto lines = std::ranges::count(before, '\n') + 1;
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return fmt::format("{}:{}", lines, before.size() - line_start + 1);
}

}  // namespace gantry::promql
