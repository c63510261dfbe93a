#pragma once

// How a found trace is written down: what to show of its spans, and what is said of it as a whole.

#include <cstdint>
#include <span>
#include <vector>

#include "core/error.h"
#include "traceql/ast.h"
#include "traceql/engine.h"
#include "traceql/eval/group_evaluator.h"

namespace gantry::traceql {

/// The attributes that the pipeline filters on, groups by, aggregates and selects, each once and in
/// the order of the query. Not those that every answer has a place for: names, durations, ids.
[[nodiscard]] std::vector<FieldExpr> displayed_fields(const Pipeline& pipeline);

struct DisplayOptions {
  std::span<const FieldExpr> fields;
  std::uint32_t spans_per_spanset = 3;
};

/// The trace of `sets`, all of one trace. Errors: those of the group.
Result<FoundTrace> describe_trace(GroupEvaluator& evaluator, std::span<const Spanset> sets,
                                  const DisplayOptions& options);

/// About how much memory it takes.
[[nodiscard]] std::uint64_t memory_bytes(const FoundTrace& trace);

}  // namespace gantry::traceql
