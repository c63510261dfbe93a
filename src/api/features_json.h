#pragma once

#include <string>

#include "promql/engine.h"

namespace gantry::api {

/// What /api/v1/features returns: for each category the features that there are and whether they
/// are on, under Prometheus's names, sorted.
[[nodiscard]] std::string features_json(const promql::EngineOptions& options);

}  // namespace gantry::api
