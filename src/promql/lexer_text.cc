#include "promql/lexer_text.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include <fmt/format.h>

#include "core/utf8.h"
#include "telemetry/labels.h"

namespace gantry::promql {

namespace {

constexpr std::size_t kDescribedCodePointsMax = 10;

constexpr auto kKeywords = std::to_array<Keyword>({
    {"anchored", TokenKind::Anchored},
    {"and", TokenKind::And},
    {"atan2", TokenKind::Atan2},
    {"avg", TokenKind::Aggregator, AggregateOp::Avg},
    {"bool", TokenKind::Bool},
    {"bottomk", TokenKind::Aggregator, AggregateOp::BottomK},
    {"by", TokenKind::By},
    {"count", TokenKind::Aggregator, AggregateOp::Count},
    {"count_values", TokenKind::Aggregator, AggregateOp::CountValues},
    {"end", TokenKind::End},
    {"fill", TokenKind::Fill},
    {"fill_left", TokenKind::FillLeft},
    {"fill_right", TokenKind::FillRight},
    {"group", TokenKind::Aggregator, AggregateOp::Group},
    {"group_left", TokenKind::GroupLeft},
    {"group_right", TokenKind::GroupRight},
    {"ignoring", TokenKind::Ignoring},
    {"inf", TokenKind::Number},
    {"limit_ratio", TokenKind::Aggregator, AggregateOp::LimitRatio},
    {"limitk", TokenKind::Aggregator, AggregateOp::LimitK},
    {"max", TokenKind::Aggregator, AggregateOp::Max},
    {"max_of", TokenKind::MaxOf},
    {"min", TokenKind::Aggregator, AggregateOp::Min},
    {"min_of", TokenKind::MinOf},
    {"nan", TokenKind::Number},
    {"offset", TokenKind::Offset},
    {"on", TokenKind::On},
    {"or", TokenKind::Or},
    {"quantile", TokenKind::Aggregator, AggregateOp::Quantile},
    {"range", TokenKind::Range},
    {"smoothed", TokenKind::Smoothed},
    {"start", TokenKind::Start},
    {"stddev", TokenKind::Aggregator, AggregateOp::Stddev},
    {"stdvar", TokenKind::Aggregator, AggregateOp::Stdvar},
    {"step", TokenKind::Step},
    {"sum", TokenKind::Aggregator, AggregateOp::Sum},
    {"topk", TokenKind::Aggregator, AggregateOp::TopK},
    {"unless", TokenKind::Unless},
    {"without", TokenKind::Without},
});

static_assert(std::ranges::is_sorted(kKeywords, {}, &Keyword::text));

std::string code_point_text(int c) {
  std::string text;
  core::append_utf8(text, static_cast<char32_t>(c));
  return text;
}

bool is_control(int c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

bool is_operator(TokenKind kind) {
  return kind >= TokenKind::Add && kind <= TokenKind::Atan2;
}

bool is_modifier_word(TokenKind kind) {
  return kind >= TokenKind::Offset && kind <= TokenKind::Bool;
}

// Cut to ten code points: the rest of the text adds nothing to a message.
std::string quoted_short(std::string_view text) {
  std::size_t position = 0;
  for (std::size_t i = 0; i < kDescribedCodePointsMax && position < text.size(); ++i) {
    static_cast<void>(core::next_code_point(text, position));
  }
  std::string result = quoted(text.substr(0, position));
  if (text.size() > kDescribedCodePointsMax) result += "...";
  return result;
}

char simple_escape(char c) {
  switch (c) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return c;
  }
}

}  // namespace

const Keyword* find_keyword(std::string_view lower_case) {
  const auto* found = std::ranges::lower_bound(kKeywords, lower_case, {}, &Keyword::text);
  return found != kKeywords.end() && found->text == lower_case ? found : nullptr;
}

std::string quote_character(int c) {
  if (c == kEndOfInput) c = kReplacement;
  switch (c) {
    case '\a':
      return R"('\a')";
    case '\b':
      return R"('\b')";
    case '\f':
      return R"('\f')";
    case '\n':
      return R"('\n')";
    case '\r':
      return R"('\r')";
    case '\t':
      return R"('\t')";
    case '\v':
      return R"('\v')";
    case '\\':
      return R"('\\')";
    case '\'':
      return R"('\'')";
    default:
      break;
  }
  if (c < 0x80 && is_control(c)) return fmt::format("'\\x{:02x}'", c);
  if (is_control(c)) return fmt::format("'\\u{:04x}'", c);
  return "'" + code_point_text(c) + "'";
}

std::string unicode_name(int c) {
  const std::string number = fmt::format("U+{:04X}", c);
  return is_control(c) ? number : number + " '" + code_point_text(c) + "'";
}

std::string quoted(std::string_view text) {
  std::string result;
  telemetry::append_go_quoted(result, text);
  return result;
}

int digit_value(int c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

std::optional<EscapeShape> escape_shape(int c) {
  constexpr std::uint32_t kByteMax = 0xFF;
  constexpr std::uint32_t kCodePointMax = 0x10FFFF;
  if (c >= '0' && c <= '7') return EscapeShape{3, 8, kByteMax, false};
  if (c == 'x') return EscapeShape{2, 16, kByteMax};
  if (c == 'u') return EscapeShape{4, 16, kCodePointMax};
  if (c == 'U') return EscapeShape{8, 16, kCodePointMax};
  return std::nullopt;
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::EndOfInput:
      return "end of input";
    case TokenKind::Error:
      return "error";
    case TokenKind::Identifier:
      return "identifier " + quoted(token.text);
    case TokenKind::MetricIdentifier:
      return "metric identifier " + quoted(token.text);
    case TokenKind::String:
      return "string " + quoted_short(token.text);
    case TokenKind::Number:
      return "number " + quoted_short(token.text);
    case TokenKind::Duration:
      return "duration " + quoted_short(token.text);
    case TokenKind::Aggregator:
      return fmt::format("<aggr:{}>", token.text);
    default:
      break;
  }
  if (is_operator(token.kind)) return fmt::format("<op:{}>", token.text);
  if (is_modifier_word(token.kind)) return fmt::format("<{}>", token.text);
  return quoted_short(token.text);
}

std::string unquote(std::string_view quoted_text) {
  const std::string_view body = quoted_text.substr(1, quoted_text.size() - 2);
  if (quoted_text.front() == '`') return std::string(body);
  std::string result;
  result.reserve(body.size());
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      result.push_back(body[i]);
      continue;
    }
    ++i;
    const auto shape = escape_shape(body[i]);
    if (!shape) {
      result.push_back(simple_escape(body[i]));
      continue;
    }
    if (shape->has_letter) ++i;
    std::uint32_t value = 0;
    for (int digit = 0; digit < shape->digits; ++digit, ++i) {
      value = value * static_cast<std::uint32_t>(shape->base) +
              static_cast<std::uint32_t>(digit_value(body[i]));
    }
    --i;
    if (shape->value_max == 0xFF) {
      result.push_back(static_cast<char>(value));
    } else {
      core::append_utf8(result, static_cast<char32_t>(value));
    }
  }
  return result;
}

}  // namespace gantry::promql
