#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "promql/function_table.h"
#include "promql/lexer_text.h"
#include "promql/parser_internal.h"
#include "telemetry/labels.h"

namespace gantry::promql {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Sub-query errors name types by their short names.
std::string_view short_type_text(ValueType type) {
  switch (type) {
    case ValueType::None:
      return "none";
    case ValueType::Scalar:
      return "scalar";
    case ValueType::Vector:
      return "vector";
    case ValueType::Matrix:
      return "matrix";
    case ValueType::String:
      return "string";
  }
  return "none";
}

bool is_arithmetic_type(ValueType type) {
  return type == ValueType::Scalar || type == ValueType::Vector;
}

enum class EmptyMatchers : std::uint8_t { Refused, Allowed };

class TypeChecker {
 public:
  TypeChecker(std::string_view query, std::vector<ParseError>& errors)
      : query_(query), errors_(errors) {}

  ValueType check(Expr& expr, EmptyMatchers empty_matchers = EmptyMatchers::Refused) {
    return std::visit(
        [&](auto& node) -> ValueType {
          using Node = std::decay_t<decltype(node)>;
          if constexpr (std::is_same_v<Node, VectorSelector>) {
            check_selector(node, expr.position, empty_matchers);
            return ValueType::Vector;
          } else {
            return check_node(node, expr.position);
          }
        },
        expr.node);
  }

 private:
  void add_error(Position position, std::string message) {
    errors_.push_back({.position = position, .message = std::move(message)});
  }

  void expect(Expr& expr, ValueType wanted, std::string_view context,
              EmptyMatchers empty_matchers = EmptyMatchers::Refused) {
    const ValueType type = check(expr, empty_matchers);
    if (type == wanted) return;
    add_error(expr.position, fmt::format("expected type {} in {}, got {}", value_type_text(wanted),
                                         context, value_type_text(type)));
  }

  static ValueType check_node(const NumberLiteral& /*node*/, Position /*position*/) {
    return ValueType::Scalar;
  }

  static ValueType check_node(const StringLiteral& /*node*/, Position /*position*/) {
    return ValueType::String;
  }

  ValueType check_node(MatrixSelector& matrix, Position /*position*/) {
    check_selector(matrix.selector, matrix.selector_position, EmptyMatchers::Refused);
    return ValueType::Matrix;
  }

  ValueType check_node(Subquery& subquery, Position position) {
    const ValueType type = check(*subquery.expr);
    if (type != ValueType::Vector) {
      add_error(position, fmt::format("subquery is only allowed on instant vector, got {} instead",
                                      short_type_text(type)));
    }
    return ValueType::Matrix;
  }

  ValueType check_node(Paren& paren, Position /*position*/) { return check(*paren.expr); }

  ValueType check_node(Unary& unary, Position position) {
    const ValueType type = check(*unary.expr);
    if (!is_arithmetic_type(type)) {
      add_error(position,
                fmt::format("unary expression only allowed on expressions of type scalar or "
                            "instant vector, got \"{}\"",
                            value_type_text(type)));
    }
    return type;
  }

  ValueType check_node(Aggregate& aggregate, Position /*position*/) {
    expect(*aggregate.expr, ValueType::Vector, "aggregation expression");
    if (aggregate.parameter) {
      const ValueType wanted =
          aggregate.op == AggregateOp::CountValues ? ValueType::String : ValueType::Scalar;
      expect(*aggregate.parameter, wanted, "aggregation parameter");
    }
    return ValueType::Vector;
  }

  ValueType check_node(Binary& binary, Position position) {
    const ValueType left = check(*binary.left);
    const ValueType right = check(*binary.right);
    check_operator(binary, left, right);
    check_matching(binary, position, left, right);
    const bool is_scalar = left == ValueType::Scalar && right == ValueType::Scalar;
    return is_scalar ? ValueType::Scalar : ValueType::Vector;
  }

  void check_operator(Binary& binary, ValueType left, ValueType right) {
    const bool compares = is_comparison(binary.op);
    if (binary.returns_bool && !compares) {
      add_error(operator_position(binary),
                "bool modifier can only be used on comparison operators");
    }
    if (compares && !binary.returns_bool && left == ValueType::Scalar &&
        right == ValueType::Scalar) {
      add_error(operator_position(binary), "comparisons between scalars must use BOOL modifier");
    }
    VectorMatching& matching = *binary.matching;
    if (is_set_operator(binary.op) && matching.card == MatchCard::OneToOne) {
      matching.card = MatchCard::ManyToMany;
    }
    if (matching.is_on) {
      for (const std::string& label : matching.labels) {
        for (const std::string& included : matching.include) {
          if (label != included) continue;
          add_error(
              operator_position(binary),
              fmt::format("label {} must not occur in ON and GROUP clause at once", quoted(label)));
        }
      }
    }
    for (const auto& [type, operand] : {std::pair{left, &binary.left}, {right, &binary.right}}) {
      if (!is_arithmetic_type(type)) {
        add_error((*operand)->position,
                  "binary expression must contain only scalar and instant vector types");
      }
    }
  }

  void check_matching(Binary& binary, Position position, ValueType left, ValueType right) {
    const VectorMatching& matching = *binary.matching;
    const bool fills = matching.fill_left || matching.fill_right;
    const bool is_set = is_set_operator(binary.op);
    if (left != ValueType::Vector || right != ValueType::Vector) {
      if (!matching.labels.empty()) {
        add_error(position, "vector matching only allowed between instant vectors");
      }
      if (fills) {
        add_error(position, "filling in missing series only allowed between instant vectors");
      }
      binary.matching.reset();
    } else if (is_set) {
      if (matching.card != MatchCard::ManyToMany) {
        add_error(position, fmt::format("no grouping allowed for \"{}\" operation",
                                        binary_op_text(binary.op)));
        add_error(position, "set operations must always be many-to-many");
      }
      if (fills) add_error(position, "filling in missing series not allowed for set operators");
    }
    if (is_set && (left == ValueType::Scalar || right == ValueType::Scalar)) {
      add_error(position, fmt::format("set operator \"{}\" not allowed in binary scalar expression",
                                      binary_op_text(binary.op)));
    }
  }

  /// The text between the operands, without the space around it. The end is the last character, not
  /// one behind it: Prometheus prints it so.
  [[nodiscard]] Position operator_position(const Binary& binary) const {
    Position position{.start = binary.left->position.end, .end = binary.right->position.start - 1};
    while (position.start < position.end && is_space(query_[position.start])) ++position.start;
    while (position.end > position.start && is_space(query_[position.end])) --position.end;
    return position;
  }

  ValueType check_node(Call& call, Position position) {
    const FunctionSignature& function = *call.function;
    check_argument_count(call, position);
    const std::string context = fmt::format("call to function \"{}\"", function.name);
    const std::size_t types = function.argument_types.size();
    for (std::size_t i = 0; i < call.arguments.size(); ++i) {
      if (i >= types && function.variadic == 0) break;
      Expr& argument = *call.arguments[i];
      const bool is_info_selector = function.id == FunctionId::Info && i == 1;
      if (is_info_selector) check_info_selector(argument);
      expect(argument, function.argument_types[std::min(i, types - 1)], context,
             is_info_selector ? EmptyMatchers::Allowed : EmptyMatchers::Refused);
    }
    return function.return_type;
  }

  void check_argument_count(const Call& call, Position position) {
    const FunctionSignature& function = *call.function;
    const auto listed = static_cast<std::ptrdiff_t>(function.argument_types.size());
    const auto given = static_cast<std::ptrdiff_t>(call.arguments.size());
    const auto complain = [&](std::string_view bound, std::ptrdiff_t count) {
      add_error(position, fmt::format("expected {}{} argument(s) in call to \"{}\", got {}", bound,
                                      count, function.name, given));
    };
    if (function.variadic == 0) {
      if (given != listed) complain("", listed);
    } else if (given < listed - 1) {
      complain("at least ", listed - 1);
    } else if (function.variadic > 0 && given > listed - 1 + function.variadic) {
      complain("at most ", listed - 1 + function.variadic);
    }
  }

  void check_info_selector(const Expr& argument) {
    const auto* selector = std::get_if<VectorSelector>(&argument.node);
    if (selector == nullptr) {
      add_error(argument.position, "expected label selectors only");
    } else if (!selector->name.empty()) {
      add_error(argument.position, "expected label selectors only, got vector selector instead");
    }
  }

  void check_selector(const VectorSelector& selector, Position position,
                      EmptyMatchers empty_matchers) {
    if (!selector.name.empty()) {
      for (std::size_t i = 0; i + 1 < selector.matchers.size(); ++i) {
        const Matcher& matcher = selector.matchers[i];
        if (matcher.name() != telemetry::kMetricNameLabel) continue;
        add_error(position, fmt::format("metric name must not be set twice: {} or {}",
                                        quoted(selector.name), quoted(matcher.value())));
      }
      return;
    }
    if (empty_matchers == EmptyMatchers::Allowed) return;
    for (const Matcher& matcher : selector.matchers) {
      if (!matcher.matches_empty()) return;
    }
    add_error(position, "vector selector must contain at least one non-empty matcher");
  }

  std::string_view query_;
  std::vector<ParseError>& errors_;
};

}  // namespace

void check_types(Expr& expr, std::string_view query, std::vector<ParseError>& errors) {
  TypeChecker(query, errors).check(expr);
}

}  // namespace gantry::promql
