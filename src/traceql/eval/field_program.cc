#include <algorithm>
#include <utility>

#include "traceql/eval/field_program_internal.h"

namespace gantry::traceql {

namespace {

// Only their order matters.
constexpr std::uint32_t kLiteralCost = 0;
constexpr std::uint32_t kSmallTableCost = 1;
constexpr std::uint32_t kColumnCost = 4;
constexpr std::uint32_t kPatternCost = 8;
constexpr std::uint32_t kEventCost = 16;
constexpr std::uint32_t kRowByRowCost = 64;

bool is_pattern_operator(FieldOp op) {
  return op == FieldOp::Regex || op == FieldOp::NotRegex;
}

class Compiler {
 public:
  explicit Compiler(FieldTable& table) : table_(table) {}

  Result<FieldNodePtr> operator()(const Static& literal) {
    FieldNodePtr node = std::make_unique<FieldNode>();
    node->literal = literal;
    node->cost = kLiteralCost;
    return node;
  }

  Result<FieldNodePtr> operator()(const Attribute& attribute) {
    FieldNodePtr node = std::make_unique<FieldNode>();
    node->kind = FieldNode::Kind::Lookup;
    GANTRY_TRY(node->fields, table_.find(attribute));
    node->uses_events = has_level(*node->fields, Level::Event);
    node->uses_links = has_level(*node->fields, Level::Link);
    for (const Field* field : *node->fields) {
      switch (field->level) {
        case Level::Resource:
        case Level::Scope:
        case Level::Trace:
          node->cost += kSmallTableCost;
          break;
        case Level::Span:
          node->cost += kColumnCost;
          break;
        case Level::Event:
        case Level::Link:
          node->cost += kEventCost;
          break;
      }
    }
    return node;
  }

  Result<FieldNodePtr> operator()(const UnaryField& unary) {
    GANTRY_TRY(FieldNodePtr operand, compile(*unary.operand, table_));
    FieldNodePtr node = std::make_unique<FieldNode>();
    const bool is_not = unary.op == UnaryField::Op::Not;
    node->kind = is_not ? FieldNode::Kind::Not : FieldNode::Kind::Negate;
    node->cost = operand->cost;
    node->uses_events = operand->uses_events;
    node->uses_links = operand->uses_links;
    node->left = std::move(operand);
    return node;
  }

  Result<FieldNodePtr> operator()(const BinaryField& binary) {
    FieldNodePtr node = std::make_unique<FieldNode>();
    GANTRY_TRY(node->left, compile(*binary.left, table_));
    GANTRY_TRY(node->right, compile(*binary.right, table_));
    node->op = binary.op;
    node->uses_events = node->left->uses_events || node->right->uses_events;
    node->uses_links = node->left->uses_links || node->right->uses_links;
    node->cost = node->left->cost + node->right->cost;
    if (binary.op == FieldOp::And || binary.op == FieldOp::Or) {
      node->kind = binary.op == FieldOp::And ? FieldNode::Kind::And : FieldNode::Kind::Or;
      return node;
    }
    choose_comparison(*node);
    if (is_pattern_operator(node->op) && node->right->kind == FieldNode::Kind::Literal) {
      node->pattern = std::make_unique<TextPattern>(node->right->literal.text);
      node->cost += kPatternCost;
    }
    return node;
  }

 private:
  static bool is_literal(const FieldNode& node, bool is_nil) {
    return node.kind == FieldNode::Kind::Literal &&
           (node.literal.type == StaticType::Nil) == is_nil;
  }

  static void choose_comparison(FieldNode& node) {
    node.kind = FieldNode::Kind::Binary;
    const bool is_lookup = node.left->kind == FieldNode::Kind::Lookup;
    if (is_lookup && is_literal(*node.right, true) && node.op == FieldOp::Equal) {
      node.kind = FieldNode::Kind::Missing;
    } else if (is_lookup && is_literal(*node.right, true) && node.op == FieldOp::NotEqual) {
      node.kind = FieldNode::Kind::Exists;
    } else if (!is_comparison(node.op)) {
      node.cost += kRowByRowCost;
    } else if (is_lookup && is_literal(*node.right, false)) {
      node.kind = FieldNode::Kind::Condition;
    } else if (!is_pattern_operator(node.op) && is_literal(*node.left, false) &&
               node.right->kind == FieldNode::Kind::Lookup) {
      node.kind = FieldNode::Kind::Condition;
      std::swap(node.left, node.right);
      node.op = flip(node.op);
    } else {
      node.cost += kRowByRowCost;
    }
  }

  FieldTable& table_;
};

}  // namespace

Result<FieldNodePtr> compile(const FieldExpr& field, FieldTable& table) {
  return std::visit(Compiler(table), field.node);
}

}  // namespace gantry::traceql
