// Filters that are still being typed: every condition that reads counts, the others count as true.

#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

#include "traceql/parser.h"
#include "traceql/parser_internal.h"
#include "traceql/type_check.h"

namespace gantry::traceql {

namespace {

// Looking for the conditions that read takes time by the square of the text.
constexpr std::size_t kTokensMax = 2048;

/// A part of the token list, [begin, end).
struct TokenRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Null stands for true throughout.
class PartialFilter {
 public:
  explicit PartialFilter(std::string_view text) : text_(text) {}

  /// False when it is no single filter.
  bool read(FieldPtr& field) {
    Lexer lexer(text_);
    tokens_.push_back(lexer.next());
    // A literal without end swallows the rest of the text, as does an unreadable character.
    while (tokens_.back().kind != TokenKind::EndOfInput &&
           tokens_.back().kind != TokenKind::Error) {
      tokens_.push_back(lexer.next());
    }
    const bool has_error = tokens_.back().kind == TokenKind::Error;
    tokens_.back().text = text_.substr(text_.size());
    if (tokens_[0].kind != TokenKind::LeftBrace) return false;
    std::size_t end = 1;
    while (end + 1 < tokens_.size() && tokens_[end].kind != TokenKind::RightBrace) ++end;
    const bool is_closed = tokens_[end].kind == TokenKind::RightBrace;
    if (is_closed && (has_error || end + 2 != tokens_.size())) return false;
    field = parse({.begin = 1, .end = end});
    return true;
  }

 private:
  FieldPtr parse(TokenRange range) {
    if (range.begin >= range.end) return nullptr;
    FieldPtr field = parse_whole(range);
    if (field || tokens_.size() > kTokensMax) return field;
    if (const auto split = find_last_logical(range)) {
      FieldPtr left = parse({.begin = range.begin, .end = *split});
      FieldPtr right = parse({.begin = *split + 1, .end = range.end});
      return join(tokens_[*split].kind, std::move(left), std::move(right));
    }
    if (tokens_[range.begin].kind != TokenKind::LeftParen || ++depth_ > kNestingMax) return nullptr;
    const bool is_closed = tokens_[range.end - 1].kind == TokenKind::RightParen;
    return parse({.begin = range.begin + 1, .end = range.end - (is_closed ? 1 : 0)});
  }

  FieldPtr parse_whole(TokenRange range) {
    const std::size_t begin = offset(range.begin);
    auto parsed = Parser(text_.substr(begin, offset(range.end) - begin)).parse_condition();
    if (!parsed || check_filter(**parsed)) return nullptr;
    return *std::move(parsed);
  }

  // Behind the last && or || outside parentheses: both bind alike, from the left.
  [[nodiscard]] std::optional<std::size_t> find_last_logical(TokenRange range) const {
    std::optional<std::size_t> found;
    int depth = 0;
    for (std::size_t i = range.begin; i < range.end; ++i) {
      const TokenKind kind = tokens_[i].kind;
      if (kind == TokenKind::LeftParen) ++depth;
      if (kind == TokenKind::RightParen) --depth;
      if (depth == 0 && (kind == TokenKind::And || kind == TokenKind::Or)) found = i;
    }
    return found;
  }

  static FieldPtr join(TokenKind op, FieldPtr left, FieldPtr right) {
    if (op == TokenKind::Or && (!left || !right)) return nullptr;
    if (!left) return right;
    if (!right) return left;
    BinaryField operation{.op = op == TokenKind::Or ? FieldOp::Or : FieldOp::And,
                          .left = std::move(left),
                          .right = std::move(right)};
    return std::make_unique<const FieldExpr>(FieldExpr{std::move(operation)});
  }

  [[nodiscard]] std::size_t offset(std::size_t token) const {
    return static_cast<std::size_t>(tokens_[token].text.data() - text_.data());
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  std::uint32_t depth_ = 0;
};

bool is_true(const FieldExpr& field) {
  const auto* value = std::get_if<Static>(&field.node);
  return value != nullptr && value->type == StaticType::Bool && value->boolean;
}

}  // namespace

FieldPtr parse_partial_filter(std::string_view text) {
  FieldPtr field;
  if (!PartialFilter(text).read(field) || !field || is_true(*field)) return nullptr;
  return field;
}

}  // namespace gantry::traceql
