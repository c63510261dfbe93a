#include "traceql/nested_sets.h"

#include <numeric>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::traceql {
namespace {

using telemetry::SpanKind;

struct TestSpan {
  telemetry::SpanId id = 0;
  telemetry::SpanId parent = 0;
  SpanKind kind = SpanKind::Internal;
};

struct Numbers {
  std::vector<std::int32_t> left;
  std::vector<std::int32_t> right;
  std::vector<std::int32_t> parent;
  std::vector<std::int64_t> children;
};

Numbers number(const std::vector<TestSpan>& spans, std::span<const std::uint32_t> rows) {
  std::vector<telemetry::SpanId> ids;
  std::vector<telemetry::SpanId> parents;
  std::vector<std::uint8_t> kinds;
  for (const TestSpan& span : spans) {
    ids.push_back(span.id);
    parents.push_back(span.parent);
    kinds.push_back(static_cast<std::uint8_t>(span.kind));
  }
  Numbers out;
  out.left.assign(spans.size(), 77);
  out.right.assign(spans.size(), 77);
  out.parent.assign(spans.size(), 77);
  out.children.assign(spans.size(), 77);
  NestedSetNumbering numbering;
  numbering.number(rows, ids, parents, kinds,
                   {.left = out.left, .right = out.right, .parent = out.parent});
  numbering.count_children(rows, ids, parents, kinds, out.children);
  return out;
}

Numbers number(const std::vector<TestSpan>& spans) {
  std::vector<std::uint32_t> rows(spans.size());
  std::iota(rows.begin(), rows.end(), 0U);
  return number(spans, rows);
}

using Ints = std::vector<std::int32_t>;
using Counts = std::vector<std::int64_t>;

TEST(NestedSets, NumbersDepthFirstInOrderOfArrival) {
  // 1 -> (2 -> 4, 3)
  const Numbers out = number({{1, 0}, {2, 1}, {3, 1}, {4, 2}});
  EXPECT_EQ(out.left, (Ints{1, 2, 6, 3}));
  EXPECT_EQ(out.right, (Ints{8, 5, 7, 4}));
  EXPECT_EQ(out.parent, (Ints{-1, 1, 1, 2}));
  EXPECT_EQ(out.children, (Counts{2, 1, 0, 0}));
}

TEST(NestedSets, ChildrenMayArriveBeforeTheirParents) {
  const Numbers out = number({{3, 2}, {2, 1}, {1, 0}});
  EXPECT_EQ(out.left, (Ints{3, 2, 1}));
  EXPECT_EQ(out.right, (Ints{4, 5, 6}));
  EXPECT_EQ(out.parent, (Ints{2, 1, -1}));
}

TEST(NestedSets, RootsFollowEachOther) {
  const Numbers out = number({{1, 0}, {2, 0}, {3, 1}});
  EXPECT_EQ(out.left, (Ints{1, 5, 2}));
  EXPECT_EQ(out.right, (Ints{4, 6, 3}));
  EXPECT_EQ(out.parent, (Ints{-1, -1, 1}));
}

TEST(NestedSets, SpansThatNoRootReachesStayZeroButHaveChildren) {
  const Numbers out = number({{1, 0}, {4, 9}, {5, 4}});
  EXPECT_EQ(out.left, (Ints{1, 0, 0}));
  EXPECT_EQ(out.right, (Ints{2, 0, 0}));
  EXPECT_EQ(out.parent, (Ints{-1, 0, 0}));
  EXPECT_EQ(out.children, (Counts{0, 1, 0}));
}

TEST(NestedSets, CyclesStayZero) {
  const Numbers out = number({{1, 0}, {2, 3}, {3, 2}, {4, 4}});
  EXPECT_EQ(out.left, (Ints{1, 0, 0, 0}));
}

TEST(NestedSets, TraceWithoutRootHasNothing) {
  const Numbers out = number({{2, 1}, {3, 2}});
  EXPECT_EQ(out.left, (Ints{0, 0}));
  EXPECT_EQ(out.parent, (Ints{0, 0}));
  EXPECT_EQ(out.children, (Counts{0, 0}));
}

TEST(NestedSets, ThreeSpansOfOneIdLeaveTheTraceUnnumbered) {
  const Numbers out = number({{1, 0}, {2, 1}, {2, 1}, {2, 1}});
  EXPECT_EQ(out.left, (Ints{0, 0, 0, 0}));
  EXPECT_EQ(out.children, (Counts{0, 0, 0, 0}));
}

TEST(NestedSets, ServerWithTheClientsIdIsItsChild) {
  const std::vector<TestSpan> spans = {{1, 0, SpanKind::Server},
                                       {2, 1, SpanKind::Client},
                                       {2, 1, SpanKind::Server},
                                       {3, 2, SpanKind::Internal},
                                       {4, 2, SpanKind::Server}};
  const Numbers out = number(spans);
  EXPECT_EQ(out.parent, (Ints{-1, 1, 2, 3, 2}));
  std::vector<TestSpan> names_itself = spans;
  names_itself[2].parent = 2;
  EXPECT_EQ(number(names_itself).parent, out.parent);
}

TEST(NestedSets, PairAtTheRootHasOneRoot) {
  const Numbers out = number({{1, 0, SpanKind::Client}, {1, 0, SpanKind::Server}});
  EXPECT_EQ(out.parent, (Ints{-1, 1}));
}

TEST(NestedSets, TouchesOnlyTheRowsOfTheTrace) {
  const std::vector<std::uint32_t> rows = {0, 2};
  const Numbers out = number({{1, 0}, {5, 0}, {2, 1}}, rows);
  EXPECT_EQ(out.left, (Ints{1, 77, 2}));
  EXPECT_EQ(out.right, (Ints{4, 77, 3}));
}

RC_GTEST_PROP(NestedSetsProperty, IntervalsNestExactlyAsParentIdsDo, ()) {
  const auto size = *rc::gen::inRange<std::uint32_t>(1, 40);
  std::vector<TestSpan> spans;
  for (std::uint32_t i = 0; i < size; ++i) {
    // Ids are 1 … size; a parent may be missing, later or the span itself.
    spans.push_back({.id = i + 1, .parent = *rc::gen::inRange<telemetry::SpanId>(0, size + 2)});
  }
  const Numbers out = number(spans);
  for (std::uint32_t a = 0; a < size; ++a) {
    // The chain of parents, walked plainly.
    std::vector<bool> is_ancestor(size, false);
    bool reaches_root = false;
    std::uint32_t at = a;
    for (std::uint32_t step = 0; step <= size; ++step) {
      if (spans[at].parent == 0) {
        reaches_root = true;
        break;
      }
      if (spans[at].parent > size) break;
      at = static_cast<std::uint32_t>(spans[at].parent - 1);
      is_ancestor[at] = true;
    }
    RC_ASSERT((out.left[a] != 0) == reaches_root);
    for (std::uint32_t b = 0; b < size && reaches_root; ++b) {
      const bool contains =
          out.left[b] != 0 && out.left[b] < out.left[a] && out.right[a] < out.right[b];
      RC_ASSERT(contains == is_ancestor[b]);
    }
  }
}

}  // namespace
}  // namespace gantry::traceql
