#pragma once

// Compares the answer to a query with what an eval block says.

#include <optional>
#include <string>
#include <vector>

#include "promql/engine.h"
#include "promql/testing/script.h"

namespace gantry::promql::promqltest {

/// What is wrong, or nothing.
using Mismatch = std::optional<std::string>;

[[nodiscard]] Mismatch compare_value(const Eval& eval, const Value& value);

/// The points of a range query's answer at one time, as the vector or scalar of an instant query.
[[nodiscard]] Mismatch compare_at(const Eval& eval, const Value& range_value, std::int64_t time_ms);

[[nodiscard]] Mismatch compare_annotations(const Eval& eval, const Annotations& annotations);

/// For a query that failed with `message`. Mismatch when the eval does not expect that.
[[nodiscard]] Mismatch compare_failure(const Eval& eval, const std::string& message);

}  // namespace gantry::promql::promqltest
