#include "traceql/nested_sets.h"

#include <algorithm>
#include <cstddef>

namespace gantry::traceql {

namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

}  // namespace

struct NestedSetNumbering::Trace {
  std::span<const std::uint32_t> rows;
  std::span<const telemetry::SpanId> ids;
  std::span<const telemetry::SpanId> parents;
  std::span<const std::uint8_t> kinds;

  [[nodiscard]] telemetry::SpanId id(std::uint32_t index) const { return ids[rows[index]]; }

  [[nodiscard]] telemetry::SpanId parent(std::uint32_t index) const { return parents[rows[index]]; }

  [[nodiscard]] bool has_kind(std::uint32_t index, telemetry::SpanKind kind) const {
    return kinds[rows[index]] == static_cast<std::uint8_t>(kind);
  }
};

std::span<const NestedSetNumbering::Node> NestedSetNumbering::nodes_with(
    telemetry::SpanId id) const {
  const auto found = std::ranges::equal_range(by_id_, id, {}, &Node::id);
  return {found.begin(), found.end()};
}

std::uint32_t NestedSetNumbering::parent_of(const Trace& trace, std::uint32_t index) const {
  const bool is_server = trace.has_kind(index, telemetry::SpanKind::Server);
  if (is_server) {
    for (const Node& other : nodes_with(trace.id(index))) {
      if (!trace.has_kind(other.index, telemetry::SpanKind::Client)) continue;
      // Zipkin: both halves of a call carry one id, and either the call's parent or the call itself
      // as the server's.
      if (trace.parent(index) == trace.parent(other.index) ||
          trace.parent(index) == trace.id(index)) {
        return other.index;
      }
    }
  }
  if (trace.parent(index) == 0) return kNone;
  const std::span<const Node> candidates = nodes_with(trace.parent(index));
  if (candidates.empty()) return kNone;
  if (candidates.size() == 1) return candidates.front().index;
  const auto wanted = is_server ? telemetry::SpanKind::Client : telemetry::SpanKind::Server;
  for (const Node& candidate : candidates) {
    if (trace.has_kind(candidate.index, wanted)) return candidate.index;
  }
  return kNone;
}

/// Fills the tree. False when the trace gets no numbers.
bool NestedSetNumbering::link(const Trace& trace) {
  const auto size = static_cast<std::uint32_t>(trace.rows.size());
  by_id_.clear();
  bool has_root = false;
  for (std::uint32_t i = 0; i < size; ++i) {
    by_id_.push_back({.id = trace.id(i), .index = i});
    has_root = has_root || trace.parent(i) == 0;
  }
  if (!has_root) return false;
  std::ranges::sort(by_id_, [](const Node& a, const Node& b) {
    return a.id != b.id ? a.id < b.id : a.index < b.index;
  });
  for (std::size_t i = 2; i < by_id_.size(); ++i) {
    if (by_id_[i].id == by_id_[i - 2].id) return false;
  }

  parent_.assign(size, kNone);
  first_child_.assign(size, kNone);
  last_child_.assign(size, kNone);
  next_sibling_.assign(size, kNone);
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::uint32_t parent = parent_of(trace, i);
    parent_[i] = parent;
    if (parent == kNone) continue;
    if (first_child_[parent] == kNone) {
      first_child_[parent] = i;
    } else {
      next_sibling_[last_child_[parent]] = i;
    }
    last_child_[parent] = i;
  }
  return true;
}

void NestedSetNumbering::walk(const Trace& trace, std::uint32_t root, std::int32_t& next,
                              const NestedSetColumns& out) const {
  const auto enter = [&](std::uint32_t index, std::int32_t parent_left) {
    out.left[trace.rows[index]] = next++;
    out.parent[trace.rows[index]] = parent_left;
  };
  enter(root, -1);
  // Every span hangs below one parent at most and the root below none, so the walk meets no cycle.
  std::uint32_t at = root;
  while (true) {
    if (first_child_[at] != kNone) {
      enter(first_child_[at], out.left[trace.rows[at]]);
      at = first_child_[at];
      continue;
    }
    while (true) {
      out.right[trace.rows[at]] = next++;
      if (at == root) return;
      const std::uint32_t sibling = next_sibling_[at];
      if (sibling != kNone) {
        enter(sibling, out.left[trace.rows[parent_[at]]]);
        at = sibling;
        break;
      }
      at = parent_[at];
    }
  }
}

void NestedSetNumbering::number(std::span<const std::uint32_t> rows,
                                std::span<const telemetry::SpanId> ids,
                                std::span<const telemetry::SpanId> parents,
                                std::span<const std::uint8_t> kinds, const NestedSetColumns& out) {
  for (const std::uint32_t row : rows) {
    out.left[row] = 0;
    out.right[row] = 0;
    out.parent[row] = 0;
  }
  const Trace trace{.rows = rows, .ids = ids, .parents = parents, .kinds = kinds};
  if (!link(trace)) return;
  std::int32_t next = 1;
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    if (trace.parent(i) == 0 && parent_[i] == kNone) walk(trace, i, next, out);
  }
}

void NestedSetNumbering::count_children(std::span<const std::uint32_t> rows,
                                        std::span<const telemetry::SpanId> ids,
                                        std::span<const telemetry::SpanId> parents,
                                        std::span<const std::uint8_t> kinds,
                                        std::span<std::int64_t> out) {
  for (const std::uint32_t row : rows) out[row] = 0;
  if (!link({.rows = rows, .ids = ids, .parents = parents, .kinds = kinds})) return;
  for (const std::uint32_t parent : parent_) {
    if (parent != kNone) ++out[rows[parent]];
  }
}

}  // namespace gantry::traceql
