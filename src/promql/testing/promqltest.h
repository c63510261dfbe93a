#pragma once

// Runs test scripts (script.h) against the engine over a MemorySource.
//
// An instant case is not one evaluation but up to twelve that must agree: as written; with every
// selector pinned to its time by `@` and evaluated at other times; and each of these as the middle
// of a range query. That is how Prometheus runs them.

#include <string>
#include <string_view>
#include <vector>

#include "promql/engine.h"

namespace gantry::promql::promqltest {

struct Failure {
  int line = 0;  ///< 1-based, of the block's first line.
  std::string message;
};

struct Report {
  int eval_count = 0;
  int passed_count = 0;
  std::vector<Failure> failures;  ///< One per failed eval, and per block that does not parse.
};

/// The switches that scripts assume: everything experimental on, names removed late, start
/// timestamps used, at most 10,000 samples in memory.
[[nodiscard]] EngineOptions script_engine_options();

/// Runs all of `text` with a store of its own. A query that does not parse is a failed eval and
/// stops nothing.
[[nodiscard]] Report run_script(std::string_view text, const Engine& engine);

}  // namespace gantry::promql::promqltest
