#pragma once

// Runs filters and pipelines over one group of spans: what search, metrics and tag look-ups share.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "traceql/ast.h"
#include "traceql/engine.h"
#include "traceql/eval/row_set.h"
#include "traceql/eval/trace_facts.h"
#include "traceql/span_source.h"

namespace gantry::traceql {

/// Spans of one trace that passed, and what by() and aggregates said of them.
struct Spanset {
  std::uint32_t trace = 0;
  std::vector<std::uint32_t> rows;  ///< Ascending, each once.
  std::vector<NamedValue> attributes;
};

/// Cuts a list that is ordered by trace into the span sets of each trace.
[[nodiscard]] std::vector<std::span<const Spanset>> by_trace(std::span<const Spanset> sets);

/// A field's value for many rows, each distinct value once.
struct DistinctValues {
  static constexpr std::uint32_t kNil = UINT32_MAX;

  std::vector<std::uint32_t> ids;  ///< By row of the group: index into `values`, or kNil.
                                   ///< Unspecified for rows that were not asked for.
  std::vector<Static> values;      ///< Distinct by type and value. Some may belong to no row.
};

/// A field's numeric value for many rows. Durations in nanoseconds.
struct NumberValues {
  std::vector<double> numbers;  ///< By row of the group.
  RowSet present;               ///< Rows that were asked for and have a number.
  bool is_duration = false;     ///< The intrinsic `duration` and its kin.
  bool has_float = false;       ///< Some value came from a float attribute.
};

/// One thread. Lives as long as the query's use of the group; caches what it loaded, and what it
/// compiled by the addresses of expressions and pipelines, which must outlive it.
class GroupEvaluator {
 public:
  /// `group` must outlive it.
  explicit GroupEvaluator(SpanGroup& group);
  ~GroupEvaluator();
  GroupEvaluator(const GroupEvaluator&) = delete;
  GroupEvaluator& operator=(const GroupEvaluator&) = delete;

  [[nodiscard]] SpanGroup& group() const;

  /// Rows for which `{ field }` holds.
  Result<RowSet> filter(const FieldExpr& field);

  /// What is left at the end of the pipeline, by trace in the group's order. Errors:
  /// InvalidArgument (what the user asked cannot be computed: division by zero, span set operators
  /// over several span sets), those of the group.
  Result<std::vector<Spanset>> run(const Pipeline& pipeline);

  /// The same with only the spans in `within`, which holds traces whole or not at all.
  Result<std::vector<Spanset>> run(const Pipeline& pipeline, const RowSet& within);

  /// Rows of all span sets that are left, as metrics count them. Cheaper than `run` where the
  /// pipeline is one filter.
  Result<RowSet> run_to_rows(const Pipeline& pipeline);

  /// Values of an attribute or intrinsic at `rows`. Of events and links: the first that has one.
  /// Arrays are values of their own.
  Result<DistinctValues> distinct_values(const Attribute& attribute, const RowSet& rows);

  Result<NumberValues> numbers(const Attribute& attribute, const RowSet& rows);

  /// The value of any field expression at one row; Nil where it has none.
  Result<Static> value(const FieldExpr& field, std::uint32_t row);

  /// Valid as long as the evaluator.
  Result<const TraceFacts*> trace_facts();

  /// Spans of the traces in `traces`, a set of the group's traces.
  Result<RowSet> rows_of_traces(const RowSet& traces);

  /// The service.name of each resource, "" where there is none. Valid as long as the group.
  Result<std::span<const std::string_view>> service_names();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::traceql
