#include "traceql/testing/trees.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace gantry::traceql::testing {

namespace {

// Overloads that call each other, whatever their order.
struct Equality {
  static bool equal(const Static& a, const Static& b) {
    return a == b &&
           std::bit_cast<std::uint64_t>(a.number) == std::bit_cast<std::uint64_t>(b.number);
  }

  static bool equal(const Attribute& a, const Attribute& b) { return a == b && a.text == b.text; }

  template <class T>
  static bool equal_pointers(const T& a, const T& b) {
    if (!a || !b) return !a && !b;
    return equal(*a, *b);
  }

  static bool equal(const UnaryField& a, const UnaryField& b) {
    return a.op == b.op && equal_pointers(a.operand, b.operand);
  }

  static bool equal(const BinaryField& a, const BinaryField& b) {
    return a.op == b.op && equal_pointers(a.left, b.left) && equal_pointers(a.right, b.right);
  }

  template <class Variant>
  static bool equal_nodes(const Variant& a, const Variant& b) {
    if (a.index() != b.index()) return false;
    return std::visit([&b]<class Node>(const Node& node) { return equal(node, std::get<Node>(b)); },
                      a);
  }

  static bool equal(const FieldExpr& a, const FieldExpr& b) { return equal_nodes(a.node, b.node); }

  static bool equal(const SpansetFilter& a, const SpansetFilter& b) {
    return equal_pointers(a.field, b.field);
  }

  static bool equal(const SpansetBinary& a, const SpansetBinary& b) {
    return a.op == b.op && equal_pointers(a.left, b.left) && equal_pointers(a.right, b.right);
  }

  static bool equal(const SpansetPipeline& a, const SpansetPipeline& b) {
    return equal_pointers(a.pipeline, b.pipeline);
  }

  static bool equal(const SpansetExpr& a, const SpansetExpr& b) {
    return equal_nodes(a.node, b.node);
  }

  static bool equal(const ScalarFilter& a, const ScalarFilter& b) {
    return a.op == b.op && equal(a.right, b.right) && a.aggregate.op == b.aggregate.op &&
           a.aggregate.text == b.aggregate.text &&
           equal_pointers(a.aggregate.field, b.aggregate.field);
  }

  static bool equal(const GroupBy& a, const GroupBy& b) {
    return a.text == b.text && equal_pointers(a.field, b.field);
  }

  static bool equal(const Coalesce&, const Coalesce&) { return true; }

  static bool equal(const std::vector<Attribute>& a, const std::vector<Attribute>& b) {
    return std::ranges::equal(a, b,
                              [](const Attribute& x, const Attribute& y) { return equal(x, y); });
  }

  static bool equal(const Select& a, const Select& b) { return equal(a.attributes, b.attributes); }

  static bool equal(const Pipeline& a, const Pipeline& b) {
    return std::ranges::equal(a.stages, b.stages,
                              [](const Stage& x, const Stage& y) { return equal_nodes(x, y); });
  }

  static bool equal(const MetricsFunction& a, const MetricsFunction& b) {
    if (a.attribute.has_value() != b.attribute.has_value()) return false;
    if (a.attribute && !equal(*a.attribute, *b.attribute)) return false;
    return a.op == b.op && a.quantiles == b.quantiles && equal(a.by, b.by) &&
           equal_pointers(a.selection, b.selection) && a.top_n == b.top_n &&
           a.selection_start_ns == b.selection_start_ns && a.selection_end_ns == b.selection_end_ns;
  }

  static bool equal(const MetricsPipeline& a, const MetricsPipeline& b) {
    return equal(a.pipeline, b.pipeline) && equal(a.function, b.function);
  }

  static bool equal(const MetricsBinary& a, const MetricsBinary& b) {
    return a.op == b.op && equal_pointers(a.left, b.left) && equal_pointers(a.right, b.right);
  }

  static bool equal(double a, double b) {
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
  }

  static bool equal(const MetricsExpr& a, const MetricsExpr& b) {
    return equal_nodes(a.node, b.node) &&
           std::ranges::equal(a.second, b.second, [](const SecondStage& x, const SecondStage& y) {
             return x.kind == y.kind && x.limit == y.limit && x.op == y.op &&
                    equal(x.value, y.value);
           });
  }

  static bool equal(const MetricsPtr& a, const MetricsPtr& b) { return equal_pointers(a, b); }
};

}  // namespace

bool are_equal(const Query& a, const Query& b) {
  return Equality::equal_nodes(a.node, b.node) &&
         std::ranges::equal(a.hints, b.hints, [](const Hint& x, const Hint& y) {
           return x.name == y.name && Equality::equal(x.value, y.value);
         });
}

bool are_equal(const FieldExpr& a, const FieldExpr& b) {
  return Equality::equal(a, b);
}

}  // namespace gantry::traceql::testing
