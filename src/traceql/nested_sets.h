#pragma once

// Nested-set numbers: positions in a tree as intervals, so that "is an ancestor of" is a
// comparison. The rules for roots, disconnected spans and repeated ids are Tempo's (grafana/tempo,
// tempodb/encoding/vparquet5/nested_set_model.go).

#include <cstdint>
#include <span>
#include <vector>

#include "telemetry/span_batch.h"

namespace gantry::traceql {

/// Where the numbers of a group go, by row.
struct NestedSetColumns {
  std::span<std::int32_t> left;
  std::span<std::int32_t> right;
  std::span<std::int32_t> parent;
};

/// Numbers trace after trace, reusing its memory. One thread.
class NestedSetNumbering {
 public:
  /// `rows`: the spans of one trace in order of arrival. Writes their numbers to `out`: depth first
  /// from each root (a span without parent) in order of arrival, children likewise; left counts on
  /// entry, right on exit, parent is the parent's left or -1 for a root. Spans that no root reaches
  /// get zeros, and so does every span of a trace without a root or with more than two spans of one
  /// id. Two spans of one id are a client's and a server's: the server is the client's child (when
  /// it names the client or the client's parent as its own), and children go to the server unless
  /// they are servers themselves.
  void number(std::span<const std::uint32_t> rows, std::span<const telemetry::SpanId> ids,
              std::span<const telemetry::SpanId> parents, std::span<const std::uint8_t> kinds,
              const NestedSetColumns& out);

  /// Writes to `out`, by row, how many direct children each span of the trace has: 0 for all of a
  /// trace that `number` leaves without numbers. Spans that no root reaches have children too.
  void count_children(std::span<const std::uint32_t> rows, std::span<const telemetry::SpanId> ids,
                      std::span<const telemetry::SpanId> parents,
                      std::span<const std::uint8_t> kinds, std::span<std::int64_t> out);

 private:
  struct Node {
    telemetry::SpanId id = 0;
    std::uint32_t index = 0;  ///< Into the trace's rows.
  };

  struct Trace;

  bool link(const Trace& trace);
  [[nodiscard]] std::span<const Node> nodes_with(telemetry::SpanId id) const;
  [[nodiscard]] std::uint32_t parent_of(const Trace& trace, std::uint32_t index) const;
  void walk(const Trace& trace, std::uint32_t root, std::int32_t& next,
            const NestedSetColumns& out) const;

  std::vector<Node> by_id_;
  std::vector<std::uint32_t> parent_;
  std::vector<std::uint32_t> first_child_;
  std::vector<std::uint32_t> next_sibling_;
  std::vector<std::uint32_t> last_child_;
};

}  // namespace gantry::traceql
