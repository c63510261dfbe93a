#pragma once

// A label matcher: name, operator, value. Regular expressions are RE2, anchored at both ends, and
// `.` matches newline.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace gantry::promql {

enum class MatchOp : std::uint8_t { Equal, NotEqual, Regex, NotRegex };

/// "=", "!=", "=~", "!~"
[[nodiscard]] std::string_view match_op_text(MatchOp op);

/// Immutable and cheap to copy (the compiled expression is shared). Thread-safe.
class Matcher {
 public:
  /// Errors: InvalidArgument with RE2's message for a bad regular expression.
  static Result<Matcher> make(MatchOp op, std::string name, std::string value);

  /// A =~ matcher of these values and no other, however many and whatever is in them.
  static Matcher make_one_of(std::string name, std::vector<std::string> values);

  [[nodiscard]] MatchOp op() const { return op_; }

  [[nodiscard]] const std::string& name() const { return name_; }

  [[nodiscard]] const std::string& value() const { return value_; }

  /// `value` is "" for a series without the label.
  [[nodiscard]] bool matches(std::string_view value) const;

  [[nodiscard]] bool matches_empty() const { return matches(""); }

  /// For =~ and !~: the alternatives when the expression is a plain alternation of literals
  /// ("a|b|c"), else null. Sorted, unique.
  [[nodiscard]] const std::vector<std::string>* literal_alternatives() const;

  /// For =~ and !~: a literal that every match starts with ("" when none).
  [[nodiscard]] std::string_view literal_prefix() const;

 private:
  struct Regex;

  MatchOp op_ = MatchOp::Equal;
  std::string name_;
  std::string value_;
  std::shared_ptr<const Regex> regex_;
};

}  // namespace gantry::promql
