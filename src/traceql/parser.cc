#include "traceql/parser.h"

#include <cstddef>
#include <variant>

#include <fmt/format.h>

#include "core/utf8.h"
#include "traceql/lexer_text.h"
#include "traceql/parser_internal.h"
#include "traceql/type_check.h"

namespace gantry::traceql {

namespace {

constexpr OperandKinds kAnything =
    kSpanset | kWrapped | kStages | kNumber | kAggregate | kScalarPipe | kMetrics | kRefused;

std::string refusal_text(const Token& token, std::string_view message) {
  return fmt::format("parse error at line {}, col {}: {}", token.line, token.column, message);
}

// Bytes that are no text are refused before anything looks at them.
std::optional<Refusal> check_bytes(std::string_view text, std::uint32_t column) {
  Token token;
  token.line = 1;
  token.column = column;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t begin = position;
    static_cast<void>(core::next_code_point(text, position));
    const std::string_view character = text.substr(begin, position - begin);
    if (!core::is_valid_utf8(character)) {
      return Refusal{.message = refusal_text(token, "invalid UTF-8 encoding")};
    }
    if (character[0] == '\0') {
      return Refusal{.message = refusal_text(token, "invalid character NUL")};
    }
    token.column = character == "\n" ? 1 : token.column + 1;
    if (character == "\n") ++token.line;
  }
  return std::nullopt;
}

bool is_blank(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    if (!is_space(core::next_code_point(text, position))) return false;
  }
  return true;
}

}  // namespace

Parser::Level::Level(Parser& parser) : parser_(parser) {
  if (++parser_.nesting_ <= kNestingMax || parser_.failure_) return;
  parser_.fail_at(parser_.token_,
                  fmt::format("expression is nested deeper than {} levels", kNestingMax));
}

Parser::Parser(std::string_view text, std::uint32_t column)
    : text_(text), lexer_(text, column), failure_(check_bytes(text, column)) {
  if (!failure_) token_ = lexer_.next();
}

void Parser::advance() {
  previous_ = std::move(token_);
  token_ = lexer_.next();
}

bool Parser::accept(TokenKind kind) {
  if (!is(kind)) return false;
  advance();
  return true;
}

bool Parser::expect(TokenKind kind, std::string_view expecting) {
  if (accept(kind)) return true;
  unexpected(expecting);
  return false;
}

void Parser::fail_at(const Token& token, std::string message) {
  if (failure_) return;
  failure_ = Refusal{.kind = RefusalKind::Parse, .message = refusal_text(token, message)};
}

std::nullopt_t Parser::unexpected(std::string_view expecting) {
  if (is(TokenKind::Error)) {
    fail_at(token_, token_.value);
    return std::nullopt;
  }
  std::string message = "syntax error: unexpected " + describe(token_);
  if (!expecting.empty()) message += fmt::format(", expecting {}", expecting);
  if (!failure_ && is_blank(text_)) {
    failure_ = Refusal{.kind = RefusalKind::Parse, .message = "parse error : " + message};
  }
  fail_at(token_, std::move(message));
  return std::nullopt;
}

void Parser::refuse(RefusalKind kind, std::string message) {
  if (!refusal_) refusal_ = Refusal{.kind = kind, .message = std::move(message)};
}

void Parser::refuse(std::optional<std::string> message) {
  if (message) refuse(RefusalKind::Validation, *std::move(message));
}

bool Parser::check_height(std::uint32_t height) {
  if (height <= kTreeHeightMax) return true;
  fail_at(token_, fmt::format("expression has more than {} operators in a row", kTreeHeightMax));
  return false;
}

Refusal Parser::take_failure() {
  return failure_ ? *std::move(failure_) : *std::move(refusal_);
}

// query = ( search | metrics ) { hints }
std::expected<Query, Refusal> Parser::parse_query() {
  if (failure_) return std::unexpected(take_failure());
  auto operand = parse_body(kAnything);
  if (!operand) return std::unexpected(take_failure());
  auto query = finish_query(*std::move(operand));
  if (!query || refusal_) return std::unexpected(take_failure());
  return *std::move(query);
}

std::optional<Query> Parser::finish_query(Operand operand) {
  Query query;
  switch (operand.kind) {
    case kSpanset:
    case kWrapped:
    case kStages:
      if (operand.stages.empty()) operand.stages.emplace_back(std::move(operand.spanset));
      query.node = Pipeline{.stages = std::move(operand.stages)};
      break;
    case kMetrics:
      if (!parse_second_stages(operand.metrics)) return std::nullopt;
      check_metrics(operand.metrics);
      query.node = std::make_unique<const MetricsExpr>(std::move(operand.metrics));
      break;
    case kRefused:
      break;
    case kNumber:
    case kAggregate:
    case kScalarPipe:
      return unexpected();
  }
  while (accept(TokenKind::With)) {
    if (!parse_hints(query.hints)) return std::nullopt;
  }
  if (!is(TokenKind::EndOfInput)) return unexpected("with");
  return query;
}

std::expected<Attribute, Refusal> Parser::parse_identifier() {
  if (failure_) return std::unexpected(take_failure());
  auto attribute = parse_attribute();
  if (attribute && !is(TokenKind::EndOfInput)) unexpected();
  if (failure_ || refusal_) return std::unexpected(take_failure());
  return *std::move(attribute);
}

std::expected<FieldPtr, Refusal> Parser::parse_condition() {
  if (failure_) return std::unexpected(take_failure());
  FieldPtr field = parse_field(0);
  if (field && !is(TokenKind::EndOfInput)) unexpected();
  if (failure_ || refusal_) return std::unexpected(take_failure());
  return field;
}

std::expected<Query, Refusal> parse(std::string_view text) {
  return Parser(text).parse_query();
}

// Tempo reads it in braces, and so counts its columns from 2.
std::expected<Attribute, Refusal> parse_identifier(std::string_view text) {
  constexpr std::uint32_t kColumnInBraces = 2;
  return Parser(text, kColumnInBraces).parse_identifier();
}

}  // namespace gantry::traceql
