#pragma once

// TraceQL read off its description: every span against every other, one value at a time. Slow,
// and nothing in it is shared with the engine, so that an answer on which both agree is likely
// right.
//
//   const PlainEvaluator plain(batches);
//   EXPECT_EQ(normalized(*plain.search(request)), normalized(*engine.search(request, source, …)));

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "traceql/engine.h"
#include "traceql/testing/plain_spans.h"

namespace gantry::traceql::testing {

/// Spans of one trace, ascending indexes, and what by() and aggregates said of them.
struct PlainSpanset {
  const PlainTrace* trace = nullptr;
  std::vector<std::size_t> spans;
  std::vector<NamedValue> attributes;
};

/// Immutable, thread-safe.
class PlainEvaluator {
 public:
  /// Copies the spans.
  explicit PlainEvaluator(std::span<const telemetry::SpanBatch> batches);

  /// As Engine::search, without FoundSpan::attributes and statistics. Errors: InvalidArgument
  /// (structural operators over several span sets).
  [[nodiscard]] Result<SearchAnswer> search(const SearchRequest& request) const;

  /// As Engine::metrics, without exemplars and statistics; series_max is not looked at. Errors as
  /// search, and those of the range.
  [[nodiscard]] Result<MetricsAnswer> metrics(const MetricsRequest& request) const;

  [[nodiscard]] const std::vector<PlainTrace>& traces() const { return traces_; }

 private:
  std::vector<PlainTrace> traces_;
};

/// What is left of one trace at the end of the pipeline.
[[nodiscard]] Result<std::vector<PlainSpanset>> run_plain(const Pipeline& pipeline,
                                                          const PlainTrace& trace);

}  // namespace gantry::traceql::testing
