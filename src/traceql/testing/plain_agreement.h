#pragma once

// The engine against the plain evaluator, for tests over any SpanSource.
//
//   EXPECT_EQ(search_disagreement(seed, Engine({}), source, plain), "");
//
// What an answer leaves open (the order of a trace's span sets, the last bits of sums) makes no
// difference.

#include <cstdint>
#include <string>

#include "traceql/engine.h"
#include "traceql/testing/plain_evaluator.h"

namespace gantry::traceql::testing {

/// Asks both for random_query(seed), some seeds with low limits. Returns the query and both answers
/// where they differ, else "". `plain` holds the spans of `source`, those of a trace in the same
/// order. Not compared: FoundSpan::attributes, statistics.
[[nodiscard]] std::string search_disagreement(std::uint64_t seed, const Engine& engine,
                                              const SpanSource& source,
                                              const PlainEvaluator& plain);

/// As above, over the later four of the five minutes of random_traces(), as a range or an instant
/// query. Samples may differ by 1e-9 of the expected ones. Not compared: exemplars, statistics.
[[nodiscard]] std::string metrics_disagreement(std::uint64_t seed, const Engine& engine,
                                               const SpanSource& source,
                                               const PlainEvaluator& plain);

}  // namespace gantry::traceql::testing
