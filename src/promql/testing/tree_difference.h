#pragma once

// Whether two trees are the same, for tests of what prints and copies them.

#include <string>

#include "promql/ast.h"

namespace gantry::promql::promqltest {

/// "" when the trees are the same but for positions and the order of a selector's matchers, which
/// the canonical form sorts; else what differs, innermost part first.
[[nodiscard]] std::string find_difference(const Expr& left, const Expr& right);

}  // namespace gantry::promql::promqltest
