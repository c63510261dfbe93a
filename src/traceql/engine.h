#pragma once

// Evaluates TraceQL over a SpanSource.
//
//   Engine engine({.workers = &pool});
//   auto found = engine.search({.query = "{ status = error }", .limit = 20}, source, cancel);
//
// Groups of spans are evaluated independently, several at once, newest first. The answer to the
// same request over the same data is the same every time, whatever the number of workers. See
// traceql/README.md.

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/cancel.h"
#include "core/error.h"
#include "core/worker_pool.h"
#include "traceql/ast.h"
#include "traceql/span_source.h"

namespace gantry::traceql {

struct EngineOptions {
  core::WorkerPool* workers = nullptr;  ///< Null: everything on the calling thread.
  std::uint64_t memory_bytes_max = std::uint64_t{1} << 30;  ///< Of one query's results and tables.
};

/// What a query looked at.
struct SearchStatistics {
  std::uint64_t inspected_traces = 0;
  std::uint64_t inspected_spans = 0;
  std::uint64_t inspected_bytes = 0;
  std::uint64_t total_groups = 0;
  std::uint64_t completed_groups = 0;
  std::uint64_t total_bytes = 0;
};

/// A name and its value, as answers list them.
struct NamedValue {
  std::string key;
  Static value;  ///< Never Nil; the group of nil is the text "nil".
};

struct FoundSpan {
  telemetry::SpanId span_id = 0;
  std::string name;
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
  std::vector<NamedValue> attributes;  ///< What the query filtered on and selected; keys bare.
};

struct FoundSpanset {
  std::vector<FoundSpan> spans;  ///< The first `spans_per_spanset` by start.
  std::uint64_t matched = 0;
  std::vector<NamedValue> attributes;  ///< `by(…)`, `count()`, …
};

struct ServiceStatistics {
  std::uint32_t spans = 0;
  std::uint32_t errors = 0;
};

struct FoundTrace {
  telemetry::TraceId trace_id;
  bool has_root = false;
  std::string root_service;
  std::string root_name;
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
  std::vector<FoundSpanset> spansets;
  std::map<std::string, ServiceStatistics> services;
};

struct SearchRequest {
  const Query* query = nullptr;  ///< A search, not metrics.
  std::int64_t start_ns = 0;     ///< Traces that overlap [start, end], both inclusive.
  std::int64_t end_ns = std::numeric_limits<std::int64_t>::max();
  std::uint32_t limit = 20;
  std::uint32_t spans_per_spanset = 3;
  /// Of the whole trace, for the old tag search; 0: none.
  std::int64_t trace_duration_ns_min = 0;
  std::int64_t trace_duration_ns_max = 0;
};

struct SearchAnswer {
  std::vector<FoundTrace> traces;  ///< Latest start first; equal starts by trace id.
  SearchStatistics statistics;
  std::vector<std::string> warnings;
};

struct MetricsRequest {
  const Query* query = nullptr;  ///< Metrics, not a search.
  /// As asked for; a range query aligns it (see align_range).
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t step_ns = 0;  ///< 0: an instant query, one interval (start, end].
  std::uint32_t exemplars_max = 100;
  std::uint32_t series_max = 0;  ///< 0: none; more are cut and `is_truncated` set.
};

struct MetricsExemplar {
  std::vector<NamedValue> labels;  ///< `trace:id` among them, leading zeros stripped.
  double value = 0;
  std::int64_t timestamp_ms = 0;
};

struct MetricsSeries {
  std::vector<NamedValue> labels;
  std::vector<std::pair<std::int64_t, double>>
      samples;  ///< Milliseconds; one for an instant query. None in compare()'s `__meta_error`.
  std::vector<MetricsExemplar> exemplars;
};

struct MetricsAnswer {
  std::vector<MetricsSeries> series;  ///< Fewer labels first, then by key and value text.
  SearchStatistics statistics;
  bool is_truncated = false;
  std::vector<std::string> warnings;
};

/// Intervals are right-closed and stamped at their right edge: the first is (start, start + step].
struct AlignedRange {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
};

/// start = floor(start, step) - step, end = ceil(end, step).
[[nodiscard]] AlignedRange align_range(std::int64_t start_ns, std::int64_t end_ns,
                                       std::int64_t step_ns);

/// Tempo's default step for a range.
[[nodiscard]] std::int64_t default_step_ns(std::int64_t start_ns, std::int64_t end_ns);

struct TagNamesRequest {
  std::optional<AttributeScope> scope;  ///< Absent: all.
  const FieldExpr* filter = nullptr;    ///< Null: every span.
  std::int64_t start_ns = 0;
  std::int64_t end_ns = std::numeric_limits<std::int64_t>::max();
  std::size_t limit = 0;  ///< Per scope; 0: none.
};

struct TagNamesAnswer {
  /// Resource, Span, Event, Link, Instrumentation, in that order, those that have names; sorted.
  std::vector<std::pair<AttributeScope, std::vector<std::string>>> scopes;
  SearchStatistics statistics;
};

struct TagValuesRequest {
  const Attribute* attribute = nullptr;
  const FieldExpr* filter = nullptr;  ///< Null: every span.
  std::int64_t start_ns = 0;
  std::int64_t end_ns = std::numeric_limits<std::int64_t>::max();
  std::size_t limit = 0;                      ///< 0: none.
  std::uint64_t value_bytes_max = 1'000'000;  ///< The list is cut where its texts pass it.
};

struct TagValuesAnswer {
  std::vector<Static> values;  ///< Distinct by type and value; most frequent first, then by text.
  SearchStatistics statistics;
};

/// Why a query failed: InvalidArgument (the message is for the user: division by zero, `{ }` over
/// too many span sets, …), ResourceExhausted (a limit), DeadlineExceeded, Cancelled, DataLoss,
/// Internal.
///
/// Immutable. Thread-safe: any number of queries at once.
class Engine {
 public:
  explicit Engine(EngineOptions options) : options_(options) {}

  [[nodiscard]] Result<SearchAnswer> search(const SearchRequest& request, const SpanSource& source,
                                            const CancelToken& cancel) const;

  [[nodiscard]] Result<MetricsAnswer> metrics(const MetricsRequest& request,
                                              const SpanSource& source,
                                              const CancelToken& cancel) const;

  [[nodiscard]] Result<TagNamesAnswer> tag_names(const TagNamesRequest& request,
                                                 const SpanSource& source,
                                                 const CancelToken& cancel) const;

  [[nodiscard]] Result<TagValuesAnswer> tag_values(const TagValuesRequest& request,
                                                   const SpanSource& source,
                                                   const CancelToken& cancel) const;

 private:
  EngineOptions options_;
};

}  // namespace gantry::traceql
