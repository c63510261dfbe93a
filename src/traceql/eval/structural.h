#pragma once

// Span set operators between spans of one trace.

#include <cstdint>
#include <span>
#include <vector>

#include "traceql/ast.h"
#include "traceql/span_source.h"

namespace gantry::traceql {

/// Joins spans of one trace by their nested-set numbers. Reuses its memory. One thread.
class SpansetJoin {
 public:
  /// The numbers must outlive it.
  explicit SpansetJoin(const NestedSets& sets) : sets_(sets) {}

  /// left op right, `op` a structural operator. Both sides are rows of one trace, ascending, and so
  /// is the result. Nothing when `right` is empty. Sorts and merges: O(n log n) in both sides.
  [[nodiscard]] std::vector<std::uint32_t> join(SpansetOp op, std::span<const std::uint32_t> left,
                                                std::span<const std::uint32_t> right);

 private:
  enum class Relation : std::uint8_t { Child, Descendant, Parent, Ancestor, Sibling };

  /// Rows of `right` that are `relation` of some row of `left`.
  void related(Relation relation, std::span<const std::uint32_t> left,
               std::span<const std::uint32_t> right, std::vector<std::uint32_t>& out);
  void prepare(Relation relation, std::span<const std::uint32_t> left);
  [[nodiscard]] bool is_related(Relation relation, std::span<const std::uint32_t> left,
                                std::uint32_t row) const;

  NestedSets sets_;
  std::vector<std::int32_t> keys_;        ///< Of the left side, ascending.
  std::vector<std::int32_t> right_ends_;  ///< Descendant: the largest `right` up to each key.
  std::vector<std::uint32_t> by_left_;
};

[[nodiscard]] bool is_structural(SpansetOp op);

/// !>, !>>, …: holds for spans that the plain relation does not hold for.
[[nodiscard]] bool is_negated(SpansetOp op);

/// Rows that are in one of the two, ascending, each once.
[[nodiscard]] std::vector<std::uint32_t> merge_rows(std::span<const std::uint32_t> a,
                                                    std::span<const std::uint32_t> b);

}  // namespace gantry::traceql
