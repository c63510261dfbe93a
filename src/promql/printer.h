#pragma once

// Tree to text.

#include <cstddef>
#include <string>

#include "promql/ast.h"

namespace gantry::promql {

/// The canonical one-line form.
[[nodiscard]] std::string print(const Expr& expr);

/// What /api/v1/format_query returns: nodes longer than `width_max` are split over lines, two
/// spaces a level.
[[nodiscard]] std::string print_pretty(const Expr& expr, std::size_t width_max = 100);

}  // namespace gantry::promql
