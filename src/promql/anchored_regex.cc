#include "promql/anchored_regex.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <fmt/format.h>
#include <re2/re2.h>

namespace gantry::promql {
namespace {

constexpr std::int64_t kRegexBytesMax = std::int64_t{16} << 20;

// RE2's codes in the words of Go's regexp package, which clients know.
std::string_view regex_error_text(RE2::ErrorCode code) {
  switch (code) {
    case RE2::NoError:
    case RE2::ErrorInternal:
      return "regexp/syntax: internal error";
    case RE2::ErrorBadEscape:
      return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
      return "invalid character class";
    case RE2::ErrorBadCharRange:
      return "invalid character class range";
    case RE2::ErrorMissingBracket:
      return "missing closing ]";
    case RE2::ErrorMissingParen:
      return "missing closing )";
    case RE2::ErrorUnexpectedParen:
      return "unexpected )";
    case RE2::ErrorTrailingBackslash:
      return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
      return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
      return "invalid repeat count";
    case RE2::ErrorRepeatOp:
      return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
      return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
      return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
      return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
      return "expression too large";
  }
  return "invalid expression";
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_word(char c) {
  return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// The name after `$`, moved past; empty (nothing moved) when there is none.
std::string_view take_name(std::string_view& text) {
  const bool is_braced = text.starts_with('{');
  const std::string_view rest = is_braced ? text.substr(1) : text;
  const auto end = std::ranges::find_if_not(rest, is_word);
  const auto length = static_cast<std::size_t>(end - rest.begin());
  if (length == 0 || (is_braced && (end == rest.end() || *end != '}'))) return {};
  text.remove_prefix(length + (is_braced ? 2 : 0));
  return rest.substr(0, length);
}

/// The number that the name is; Go knows none with a leading zero, and none that is huge.
std::optional<int> parse_group(std::string_view name) {
  constexpr std::size_t kDigitsMax = 8;
  if (!std::ranges::all_of(name, is_digit) || name.size() > kDigitsMax) return std::nullopt;
  if (name.size() > 1 && name.starts_with('0')) return std::nullopt;
  int number = 0;
  for (const char c : name) number = number * 10 + (c - '0');
  return number;
}

}  // namespace

struct AnchoredRegex::Impl {
  explicit Impl(const std::string& expression, const RE2::Options& options)
      : regex(expression, options) {}

  RE2 regex;
};

Result<AnchoredRegex> AnchoredRegex::compile(std::string_view expression) {
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kRegexBytesMax);
  auto impl = std::make_shared<const Impl>(fmt::format("^(?s:{})$", expression), options);
  if (!impl->regex.ok()) {
    return fail(Code::InvalidArgument,
                fmt::format("error parsing regexp: {}: `{}`",
                            regex_error_text(impl->regex.error_code()), impl->regex.error_arg()));
  }
  return AnchoredRegex(std::move(impl));
}

bool AnchoredRegex::matches(std::string_view text) const {
  return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), impl_->regex);
}

bool AnchoredRegex::match(std::string_view text, std::vector<std::string_view>& groups) const {
  const auto count = static_cast<std::size_t>(impl_->regex.NumberOfCapturingGroups()) + 1;
  std::vector<re2::StringPiece> pieces(count);
  if (!impl_->regex.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(),
                          RE2::ANCHOR_BOTH, pieces.data(), static_cast<int>(count)))
    return false;
  groups.clear();
  for (const re2::StringPiece& piece : pieces) groups.emplace_back(piece.data(), piece.size());
  return true;
}

std::optional<int> AnchoredRegex::find_group(std::string_view name) const {
  const auto& named = impl_->regex.NamedCapturingGroups();
  const auto found = named.find(std::string(name));
  if (found == named.end()) return std::nullopt;
  return found->second;
}

GroupTemplate::GroupTemplate(std::string_view text, const AnchoredRegex& regex) {
  std::string literal;
  while (!text.empty()) {
    const std::size_t dollar = text.find('$');
    literal += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar + 1);
    if (text.starts_with('$')) {
      literal += '$';
      text.remove_prefix(1);
      continue;
    }
    const std::string_view name = take_name(text);
    if (name.empty()) {
      literal += '$';  // Malformed: stands for itself.
      continue;
    }
    std::optional<int> group = parse_group(name);
    if (!group) group = regex.find_group(name);
    parts_.push_back({.literal = std::exchange(literal, {}), .group = group.value_or(kNoGroup)});
  }
  parts_.push_back({.literal = std::move(literal), .group = kNoGroup});
}

std::string GroupTemplate::expand(std::span<const std::string_view> groups) const {
  std::string result;
  for (const Part& part : parts_) {
    result += part.literal;
    if (part.group >= 0 && static_cast<std::size_t>(part.group) < groups.size())
      result += groups[static_cast<std::size_t>(part.group)];
  }
  return result;
}

}  // namespace gantry::promql
