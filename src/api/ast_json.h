#pragma once

#include <string>

#include "promql/ast.h"

namespace gantry::api {

/// The tree that /api/v1/parse_query returns (Prometheus web/api/v1/translate_ast.go).
[[nodiscard]] std::string ast_json(const promql::Expr& expr);

}  // namespace gantry::api
