#pragma once

// Queries whose answers Tempo's own engine has given (conformance/traceql/execute_cases.json), for
// tests over any SpanSource that holds the case's data set.

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "traceql/engine.h"

namespace gantry::traceql::testing {

/// The list of cases, each with `id`, `kind` ("search", "metrics"), `dataset` and `query`; nothing
/// when the conformance data is not there (see read_conformance_file).
[[nodiscard]] std::optional<nlohmann::json> read_execute_cases();

/// What is wrong with the engine's answer to a search, or "".
[[nodiscard]] std::string check_search_case(const nlohmann::json& test, const Engine& engine,
                                            const SpanSource& source);

struct MetricsCaseOutcome {
  std::string problem;  ///< What is wrong with the answer, or "".
  /// Everything of the answer, numbers as their bits; "" for a refusal. Sums in the data sets are
  /// exact, so that it does not depend on where spans are nor on the number of threads.
  std::string fingerprint;
};

[[nodiscard]] MetricsCaseOutcome check_metrics_case(const nlohmann::json& test,
                                                    const Engine& engine, const SpanSource& source);

}  // namespace gantry::traceql::testing
