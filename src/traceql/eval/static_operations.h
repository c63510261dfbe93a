#pragma once

// Operators between two values, as TraceQL defines them at run time (grafana/tempo, pkg/traceql,
// ast_execute.go).

#include <memory>
#include <optional>
#include <string_view>

#include "traceql/ast.h"
#include "traceql/static_value.h"

namespace gantry::traceql {

/// The right side of =~ and !~: matches whole texts; `.` matches newlines too. Immutable,
/// thread-safe.
class TextPattern {
 public:
  /// RE2 syntax. A pattern that does not compile matches nothing; parsing has refused it before.
  explicit TextPattern(std::string_view pattern);
  ~TextPattern();
  TextPattern(const TextPattern&) = delete;
  TextPattern& operator=(const TextPattern&) = delete;

  [[nodiscard]] bool matches(std::string_view text) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// left op right. Types that do not match, an operator that is not for them, and
/// Nil on either side give false, whatever the operator. An array matches if one element does; for
/// != and !~ if all do. `pattern` is needed for =~ and !~ only. Nothing: the operation cannot be
/// computed (division of integers by zero, arithmetic on arrays, array with array).
[[nodiscard]] std::optional<Static> apply(FieldOp op, const Static& left, const Static& right,
                                          const TextPattern* pattern);

/// -operand; nothing if it is no number.
[[nodiscard]] std::optional<Static> negate(const Static& operand);

/// For comparisons: a op b is b flip(op) a.
[[nodiscard]] FieldOp flip(FieldOp op);

[[nodiscard]] bool is_number(StaticType type);  ///< Int, Float, Duration.
[[nodiscard]] bool is_array(StaticType type);

/// Of a number; durations in nanoseconds.
[[nodiscard]] double to_double(const Static& number);

/// The comparison's outcome for an ordered type; false for other operators.
template <class T>
[[nodiscard]] bool compare(FieldOp op, const T& a, const T& b) {
  switch (op) {
    case FieldOp::Equal:
      return a == b;
    case FieldOp::NotEqual:
      return a != b;
    case FieldOp::Less:
      return a < b;
    case FieldOp::LessOrEqual:
      return a <= b;
    case FieldOp::Greater:
      return a > b;
    case FieldOp::GreaterOrEqual:
      return a >= b;
    default:
      return false;
  }
}

}  // namespace gantry::traceql
