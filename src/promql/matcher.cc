#include "promql/matcher.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "promql/anchored_regex.h"

namespace gantry::promql {

namespace {

// Groups are multiplied out ("(a|b)(c|d)") up to this many alternatives.
constexpr std::size_t kAlternativesMax = 4096;
constexpr int kGroupDepthMax = 16;

constexpr std::string_view kMetaCharacters = R"(\.+*?()|[]{}^$)";

bool is_meta(char c) {
  return kMetaCharacters.find(c) != std::string_view::npos;
}

using Strings = std::vector<std::string>;

// Reads an expression that is only literals, escaped punctuation, groups and `|`.
class LiteralReader {
 public:
  explicit LiteralReader(std::string_view text) : text_(text) {}

  std::optional<Strings> read() {
    auto result = read_alternation(0);
    if (!result || position_ != text_.size()) return std::nullopt;
    return result;
  }

 private:
  std::optional<Strings> read_alternation(int depth) {
    if (depth > kGroupDepthMax) return std::nullopt;
    Strings all;
    while (true) {
      auto sequence = read_sequence(depth);
      if (!sequence || all.size() + sequence->size() > kAlternativesMax) return std::nullopt;
      std::ranges::move(*sequence, std::back_inserter(all));
      if (position_ == text_.size() || text_[position_] != '|') return all;
      ++position_;
    }
  }

  std::optional<Strings> read_sequence(int depth) {
    Strings prefixes(1);
    while (position_ < text_.size() && text_[position_] != '|' && text_[position_] != ')') {
      if (text_[position_] == '(') {
        auto group = read_group(depth);
        if (!group || prefixes.size() * group->size() > kAlternativesMax) return std::nullopt;
        prefixes = combine(prefixes, *group);
        continue;
      }
      const std::optional<char> literal = read_literal();
      if (!literal) return std::nullopt;
      for (std::string& prefix : prefixes) prefix.push_back(*literal);
    }
    return prefixes;
  }

  std::optional<Strings> read_group(int depth) {
    ++position_;
    if (text_.substr(position_).starts_with("?:")) {
      position_ += 2;
    } else if (text_.substr(position_).starts_with("?")) {
      return std::nullopt;
    }
    auto group = read_alternation(depth + 1);
    if (!group || position_ == text_.size()) return std::nullopt;
    ++position_;  // the closing parenthesis
    if (position_ < text_.size() && std::string_view("*+?{").contains(text_[position_])) {
      return std::nullopt;
    }
    return group;
  }

  std::optional<char> read_literal() {
    char c = text_[position_];
    if (c == '\\') {
      // Only escaped punctuation stands for itself.
      if (position_ + 1 == text_.size() || !is_meta(text_[position_ + 1])) return std::nullopt;
      c = text_[++position_];
    } else if (is_meta(c)) {
      return std::nullopt;
    }
    ++position_;
    if (position_ < text_.size() && std::string_view("*+?{").contains(text_[position_])) {
      return std::nullopt;
    }
    return c;
  }

  static Strings combine(const Strings& heads, const Strings& tails) {
    Strings result;
    result.reserve(heads.size() * tails.size());
    for (const std::string& head : heads) {
      for (const std::string& tail : tails) result.push_back(head + tail);
    }
    return result;
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

// The literal that the whole expression starts with.
std::string read_literal_prefix(std::string_view text) {
  std::string prefix;
  std::size_t last_start = 0;  // where in `prefix` the last character begins
  std::size_t i = 0;
  while (i < text.size()) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size() && is_meta(text[i + 1])) {
      last_start = prefix.size();
      prefix.push_back(text[i + 1]);
      i += 2;
      continue;
    }
    if (is_meta(c)) break;
    // A quantifier binds to a whole code point.
    if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) last_start = prefix.size();
    prefix.push_back(c);
    ++i;
  }
  if (i == text.size()) return prefix;
  if (std::string_view("*?{").contains(text[i])) prefix.resize(std::min(last_start, prefix.size()));
  // A later alternative need not start with the prefix. A `|` inside a group or a class only costs
  // the optimisation.
  return text.substr(i).contains('|') ? std::string() : prefix;
}

}  // namespace

// Most matchers of dashboards are one of the simple shapes and never reach RE2.
struct Matcher::Regex {
  enum class Shape : std::uint8_t {
    Alternatives,
    Anything,
    NonEmpty,
    Prefix,
    LongerPrefix,
    General
  };

  Shape shape = Shape::General;
  Strings alternatives;
  std::string prefix;
  std::optional<AnchoredRegex> expression;

  void set_alternatives(Strings texts) {
    std::ranges::sort(texts);
    const auto repeated = std::ranges::unique(texts);
    texts.erase(repeated.begin(), repeated.end());
    shape = Shape::Alternatives;
    alternatives = std::move(texts);
    if (alternatives.size() == 1) prefix = alternatives.front();
  }

  [[nodiscard]] bool matches(std::string_view value) const {
    switch (shape) {
      case Shape::Alternatives:
        if (alternatives.size() == 1) return alternatives.front() == value;
        return std::ranges::binary_search(alternatives, value, std::less<std::string_view>{});
      case Shape::Anything:
        return true;
      case Shape::NonEmpty:
        return !value.empty();
      case Shape::Prefix:
        return value.starts_with(prefix);
      case Shape::LongerPrefix:
        return value.size() > prefix.size() && value.starts_with(prefix);
      case Shape::General:
        return value.starts_with(prefix) && expression->matches(value);
    }
    return false;
  }

  /// ".*", ".+", "literal.*", "literal.+": with (?s) the dot takes every byte.
  bool set_prefix_shape(std::string_view text) {
    const bool is_star = text.ends_with(".*");
    if (!is_star && !text.ends_with(".+")) return false;
    const std::string_view head = text.substr(0, text.size() - 2);
    if (head.ends_with('\\')) return false;
    const auto literal = LiteralReader(head).read();
    if (!literal || literal->size() != 1) return false;
    prefix = literal->front();
    if (prefix.empty()) {
      shape = is_star ? Shape::Anything : Shape::NonEmpty;
    } else {
      shape = is_star ? Shape::Prefix : Shape::LongerPrefix;
    }
    return true;
  }
};

std::string_view match_op_text(MatchOp op) {
  switch (op) {
    case MatchOp::Equal:
      return "=";
    case MatchOp::NotEqual:
      return "!=";
    case MatchOp::Regex:
      return "=~";
    case MatchOp::NotRegex:
      return "!~";
  }
  return "";
}

Result<Matcher> Matcher::make(MatchOp op, std::string name, std::string value) {
  Matcher matcher;
  matcher.op_ = op;
  matcher.name_ = std::move(name);
  matcher.value_ = std::move(value);
  if (op != MatchOp::Regex && op != MatchOp::NotRegex) return matcher;

  auto regex = std::make_shared<Regex>();
  if (auto alternatives = LiteralReader(matcher.value_).read()) {
    regex->set_alternatives(*std::move(alternatives));
  } else if (!regex->set_prefix_shape(matcher.value_)) {
    GANTRY_TRY(regex->expression, AnchoredRegex::compile(matcher.value_));
    regex->prefix = read_literal_prefix(matcher.value_);
  }
  matcher.regex_ = std::move(regex);
  return matcher;
}

Matcher Matcher::make_one_of(std::string name, std::vector<std::string> values) {
  Matcher matcher;
  matcher.op_ = MatchOp::Regex;
  matcher.name_ = std::move(name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) matcher.value_.push_back('|');
    for (const char c : values[i]) {
      if (is_meta(c)) matcher.value_.push_back('\\');
      matcher.value_.push_back(c);
    }
  }
  auto regex = std::make_shared<Regex>();
  regex->set_alternatives(std::move(values));
  matcher.regex_ = std::move(regex);
  return matcher;
}

bool Matcher::matches(std::string_view value) const {
  switch (op_) {
    case MatchOp::Equal:
      return value == value_;
    case MatchOp::NotEqual:
      return value != value_;
    case MatchOp::Regex:
      return regex_->matches(value);
    case MatchOp::NotRegex:
      return !regex_->matches(value);
  }
  return false;
}

const std::vector<std::string>* Matcher::literal_alternatives() const {
  if (!regex_ || regex_->shape != Regex::Shape::Alternatives) return nullptr;
  return &regex_->alternatives;
}

std::string_view Matcher::literal_prefix() const {
  return regex_ ? std::string_view(regex_->prefix) : std::string_view();
}

}  // namespace gantry::promql
