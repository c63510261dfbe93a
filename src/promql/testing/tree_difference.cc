#include "promql/testing/tree_difference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "promql/function_table.h"

namespace gantry::promql::promqltest {
namespace {

// Each of these gives "" when both are the same.

std::string differ(std::string_view what, bool is_same) {
  return is_same ? std::string() : std::string(what) + " differs";
}

/// The first that is not empty.
template <class... Texts>
std::string first_of(Texts... texts) {
  std::string result;
  ((result.empty() ? static_cast<void>(result = std::move(texts)) : void()), ...);
  return result;
}

/// Zeros of both signs are two numbers, all NaNs one.
bool is_same_number(double left, double right) {
  if (std::isnan(left) || std::isnan(right)) return std::isnan(left) && std::isnan(right);
  return std::bit_cast<std::uint64_t>(left) == std::bit_cast<std::uint64_t>(right);
}

bool is_same_number(std::optional<double> left, std::optional<double> right) {
  if (!left || !right) return left.has_value() == right.has_value();
  return is_same_number(*left, *right);
}

bool is_same(const DurationExpr* left, const DurationExpr* right) {
  if (left == nullptr || right == nullptr) return left == right;
  return left->op == right->op && left->is_wrapped == right->is_wrapped &&
         left->is_duration_literal == right->is_duration_literal &&
         is_same_number(left->literal_seconds, right->literal_seconds) &&
         is_same(left->left.get(), right->left.get()) &&
         is_same(left->right.get(), right->right.get());
}

/// A duration that is arithmetic has no value before it is resolved.
bool is_same(std::int64_t left_ms, const DurationExpr* left, std::int64_t right_ms,
             const DurationExpr* right) {
  return is_same(left, right) && (left != nullptr || left_ms == right_ms);
}

std::string find(const TimeModifiers& left, const TimeModifiers& right) {
  return first_of(differ("offset", is_same(left.offset_ms, left.offset_expr.get(), right.offset_ms,
                                           right.offset_expr.get())),
                  differ("kind of @", left.at == right.at),
                  differ("time of @", left.at_ms == right.at_ms));
}

std::vector<std::string> texts_of(const std::vector<Matcher>& matchers) {
  std::vector<std::string> texts;
  for (const Matcher& matcher : matchers) {
    texts.push_back(fmt::format("{}\xff{}\xff{}", matcher.name(), match_op_text(matcher.op()),
                                matcher.value()));
  }
  std::ranges::sort(texts);
  return texts;
}

std::string find(const VectorSelector& left, const VectorSelector& right) {
  return first_of(differ("selector's name", left.name == right.name),
                  differ("matchers", texts_of(left.matchers) == texts_of(right.matchers)),
                  differ("anchored or smoothed", left.mode == right.mode),
                  find(left.time, right.time));
}

std::string find(const MatrixSelector& left, const MatrixSelector& right) {
  return first_of(find(left.selector, right.selector),
                  differ("range", is_same(left.range_ms, left.range_expr.get(), right.range_ms,
                                          right.range_expr.get())));
}

std::string find(const Subquery& left, const Subquery& right) {
  return first_of(find_difference(*left.expr, *right.expr),
                  differ("range", is_same(left.range_ms, left.range_expr.get(), right.range_ms,
                                          right.range_expr.get())),
                  differ("step", is_same(left.step_ms, left.step_expr.get(), right.step_ms,
                                         right.step_expr.get())),
                  find(left.time, right.time));
}

std::string find(const NumberLiteral& left, const NumberLiteral& right) {
  return first_of(differ("number", is_same_number(left.value, right.value)),
                  differ("written as a duration", left.is_duration == right.is_duration));
}

std::string find(const StringLiteral& left, const StringLiteral& right) {
  return differ("string", left.value == right.value);
}

std::string find(const Paren& left, const Paren& right) {
  return find_difference(*left.expr, *right.expr);
}

std::string find(const Unary& left, const Unary& right) {
  return first_of(differ("sign", left.op == right.op), find_difference(*left.expr, *right.expr));
}

std::string find(const VectorMatching& left, const VectorMatching& right) {
  return first_of(differ("cardinality", left.card == right.card),
                  differ("on or ignoring", left.is_on == right.is_on),
                  differ("matching labels", left.labels == right.labels),
                  differ("included labels", left.include == right.include),
                  differ("fill_left", is_same_number(left.fill_left, right.fill_left)),
                  differ("fill_right", is_same_number(left.fill_right, right.fill_right)));
}

std::string find(const Binary& left, const Binary& right) {
  std::string matching =
      differ("presence of matching", left.matching.has_value() == right.matching.has_value());
  if (left.matching && right.matching) matching = find(*left.matching, *right.matching);
  return first_of(differ("operator", left.op == right.op),
                  differ("bool", left.returns_bool == right.returns_bool), std::move(matching),
                  find_difference(*left.left, *right.left),
                  find_difference(*left.right, *right.right));
}

std::string find(const Aggregate& left, const Aggregate& right) {
  const bool has_parameter = left.parameter != nullptr;
  if (has_parameter != (right.parameter != nullptr)) return "presence of a parameter differs";
  return first_of(differ("aggregation", left.op == right.op),
                  differ("by or without", left.is_without == right.is_without),
                  differ("grouping", left.grouping == right.grouping),
                  has_parameter ? find_difference(*left.parameter, *right.parameter) : "",
                  find_difference(*left.expr, *right.expr));
}

std::string find(const Call& left, const Call& right) {
  if (left.function != right.function) return "function differs";
  if (left.arguments.size() != right.arguments.size()) return "number of arguments differs";
  for (std::size_t i = 0; i < left.arguments.size(); ++i) {
    std::string difference = find_difference(*left.arguments[i], *right.arguments[i]);
    if (!difference.empty()) return difference;
  }
  return "";
}

}  // namespace

std::string find_difference(const Expr& left, const Expr& right) {
  if (left.node.index() != right.node.index()) {
    return fmt::format("{} is not {}", node_kind_text(left), node_kind_text(right));
  }
  std::string difference = std::visit(
      [&](const auto& node) {
        return find(node, std::get<std::remove_cvref_t<decltype(node)>>(right.node));
      },
      left.node);
  if (!difference.empty()) difference += fmt::format(" in {}", node_kind_text(left));
  return difference;
}

}  // namespace gantry::promql::promqltest
