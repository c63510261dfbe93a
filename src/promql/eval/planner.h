#pragma once

// What is known of an expression before it is evaluated.

#include <cstdint>
#include <unordered_map>
#include <unordered_set>

#include "promql/ast.h"

namespace gantry::promql::eval {

/// For each node whether its value is the same at every step: everything below is pinned by `@` or
/// constant, and no function looks at the evaluation time.
[[nodiscard]] std::unordered_map<const Expr*, bool> find_invariants(const Expr& root);

/// The selectors below histogram_count, histogram_sum or histogram_avg whose histograms nothing
/// above looks into: no sub-query (which reads samples anew, so that resets must be found from
/// buckets), no histogram_quantile(s) or histogram_fraction, no trim operator encloses them.
[[nodiscard]] std::unordered_set<const VectorSelector*> find_statistics_only(const Expr& root);

/// The longest time that the samples of a row can cover when the query covers `query_ms`: with the
/// ranges of selectors and the sub-queries around them, without the lookback. Durations must be
/// resolved.
[[nodiscard]] std::int64_t row_span_ms(const Expr& root, std::int64_t query_ms);

}  // namespace gantry::promql::eval
