#pragma once

// A field expression made ready for one group: fields found, patterns compiled.

#include <cstdint>
#include <memory>

#include "core/error.h"
#include "traceql/ast.h"
#include "traceql/eval/field_table_internal.h"
#include "traceql/eval/static_operations.h"

namespace gantry::traceql {

struct FieldNode;
using FieldNodePtr = std::unique_ptr<FieldNode>;

struct FieldNode {
  enum class Kind : std::uint8_t {
    Literal,
    Lookup,     ///< A field's value.
    Condition,  ///< `left` is a Lookup, `right` a Literal, `op` a comparison.
    Exists,     ///< left != nil
    Missing,    ///< left = nil
    And,
    Or,
    Not,
    Negate,
    Binary,  ///< Any other comparison, and arithmetic.
  };

  Kind kind = Kind::Literal;
  FieldOp op = FieldOp::Equal;
  Static literal;
  const Fields* fields = nullptr;
  FieldNodePtr left;
  FieldNodePtr right;
  std::unique_ptr<TextPattern> pattern;  ///< Of =~ and !~.

  // What the value depends on beside the span.
  bool uses_events = false;
  bool uses_links = false;

  /// About how long a value takes, to begin with what is cheap.
  std::uint32_t cost = 0;
};

/// Errors: those of the group.
Result<FieldNodePtr> compile(const FieldExpr& field, FieldTable& table);

}  // namespace gantry::traceql
