#include "traceql/span_source.h"

#include <algorithm>

#include "traceql/nested_sets.h"

namespace gantry::traceql {

std::size_t Column::size() const {
  switch (type) {
    case ColumnType::String:
    case ColumnType::Encoded:
      return ids.size();
    case ColumnType::Int:
      return ints.size();
    case ColumnType::Double:
      return doubles.size();
    case ColumnType::Bool:
      return bools.size();
  }
  return 0;
}

std::optional<std::size_t> Column::find(std::uint32_t row) const {
  if (is_dense) return row;
  const auto found = std::ranges::lower_bound(rows, row);
  if (found == rows.end() || *found != row) return std::nullopt;
  return static_cast<std::size_t>(found - rows.begin());
}

std::uint32_t GroupCounts::rows(Table table) const {
  switch (table) {
    case Table::Span:
      return spans;
    case Table::Resource:
      return resources;
    case Table::Event:
      return events;
    case Table::Link:
      return links;
    case Table::Instrumentation:
      return scopes;
  }
  return 0;
}

/// What the group can derive from its own columns, kept for the second call.
struct SpanGroup::Computed {
  std::vector<std::uint32_t> begin;
  std::vector<std::uint32_t> rows;
  std::vector<std::int32_t> left;
  std::vector<std::int32_t> right;
  std::vector<std::int32_t> parent;
  bool has_nested_sets = false;
};

Result<SpanGroup::TraceRows> SpanGroup::trace_rows() {
  if (!computed_) computed_ = std::make_shared<Computed>();
  Computed& computed = *computed_;
  if (computed.begin.empty()) {
    GANTRY_TRY(const std::span<const std::uint32_t> traces, this->traces());
    // A counting sort: stable, so the rows of a trace stay in order of arrival.
    std::vector<std::uint32_t> begin(counts().traces + 1, 0);
    for (const std::uint32_t trace : traces) ++begin[trace + 1];
    for (std::size_t t = 1; t < begin.size(); ++t) begin[t] += begin[t - 1];
    std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
    computed.rows.resize(traces.size());
    for (std::uint32_t row = 0; row < traces.size(); ++row) {
      computed.rows[next[traces[row]]++] = row;
    }
    computed.begin = std::move(begin);
  }
  return TraceRows{.begin = computed.begin, .rows = computed.rows};
}

Result<NestedSets> SpanGroup::nested_sets() {
  GANTRY_TRY(const TraceRows traces, trace_rows());
  if (!computed_) computed_ = std::make_shared<Computed>();
  Computed& computed = *computed_;
  if (!computed.has_nested_sets) {
    GANTRY_TRY(const std::span<const telemetry::SpanId> ids, span_ids());
    GANTRY_TRY(const std::span<const telemetry::SpanId> parents, parent_ids());
    GANTRY_TRY(const std::span<const std::uint8_t> kinds, this->kinds());
    computed.left.assign(ids.size(), 0);
    computed.right.assign(ids.size(), 0);
    computed.parent.assign(ids.size(), 0);
    NestedSetNumbering numbering;
    for (std::uint32_t trace = 0; trace < counts().traces; ++trace) {
      numbering.number(traces.of(trace), ids, parents, kinds,
                       {.left = computed.left, .right = computed.right, .parent = computed.parent});
    }
    computed.has_nested_sets = true;
  }
  return NestedSets{.left = computed.left, .right = computed.right, .parent = computed.parent};
}

}  // namespace gantry::traceql
