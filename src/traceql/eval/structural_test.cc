#include "traceql/eval/structural.h"

#include <algorithm>
#include <numeric>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traceql/nested_sets.h"

namespace gantry::traceql {
namespace {

using Rows = std::vector<std::uint32_t>;

/// Numbers of a trace whose spans have ids 1 … n; parents by id.
class Tree {
 public:
  explicit Tree(const std::vector<telemetry::SpanId>& parents) {
    std::vector<telemetry::SpanId> ids(parents.size());
    std::iota(ids.begin(), ids.end(), telemetry::SpanId{1});
    const std::vector<std::uint8_t> kinds(parents.size(), 1);
    std::vector<std::uint32_t> rows(parents.size());
    std::iota(rows.begin(), rows.end(), 0U);
    left_.resize(parents.size());
    right_.resize(parents.size());
    parent_.resize(parents.size());
    NestedSetNumbering numbering;
    numbering.number(rows, ids, parents, kinds,
                     {.left = left_, .right = right_, .parent = parent_});
  }

  [[nodiscard]] NestedSets sets() const {
    return {.left = left_, .right = right_, .parent = parent_};
  }

 private:
  std::vector<std::int32_t> left_;
  std::vector<std::int32_t> right_;
  std::vector<std::int32_t> parent_;
};

struct JoinCase {
  std::string name;
  std::string left;  ///< Names; "*": all.
  SpansetOp op;
  std::string right;
  Rows ids;  ///< Of the result.
};

class StructuralTable : public ::testing::TestWithParam<JoinCase> {};

// 1:a -> (2:b -> (3:c -> 4:d, 5:c), 6:b -> 7:e, 8:f -> 9:a)
constexpr std::string_view kNames = "abcdcbefa";

Rows rows_named(const std::string& name) {
  Rows rows;
  for (std::uint32_t row = 0; row < kNames.size(); ++row) {
    if (name == "*" || kNames[row] == name[0]) rows.push_back(row);
  }
  return rows;
}

TEST_P(StructuralTable, Joins) {
  const Tree tree({0, 1, 2, 3, 2, 1, 6, 1, 8});
  SpansetJoin join(tree.sets());
  Rows found = join.join(GetParam().op, rows_named(GetParam().left), rows_named(GetParam().right));
  for (std::uint32_t& row : found) ++row;
  EXPECT_EQ(found, GetParam().ids);
}

INSTANTIATE_TEST_SUITE_P(
    Spec, StructuralTable,
    ::testing::Values(JoinCase{"child", "a", SpansetOp::Child, "b", {2, 6}},
                      JoinCase{"descendant", "a", SpansetOp::Descendant, "d", {4}},
                      JoinCase{"several_children", "b", SpansetOp::Child, "c", {3, 5}},
                      JoinCase{"parent", "c", SpansetOp::Parent, "b", {2}},
                      JoinCase{"ancestor", "d", SpansetOp::Ancestor, "a", {1}},
                      JoinCase{"siblings_of_one_name", "c", SpansetOp::Sibling, "c", {3, 5}},
                      JoinCase{"siblings_under_the_root", "b", SpansetOp::Sibling, "b", {2, 6}},
                      JoinCase{"no_span_is_its_own_sibling", "e", SpansetOp::Sibling, "e", {}},
                      JoinCase{"no_span_is_its_own_ancestor", "a", SpansetOp::Descendant, "a", {9}},
                      JoinCase{"not_child", "b", SpansetOp::NotChild, "b", {2, 6}},
                      JoinCase{"not_descendant", "a", SpansetOp::NotDescendant, "d", {}},
                      JoinCase{"not_of_nothing", "x", SpansetOp::NotChild, "b", {2, 6}},
                      JoinCase{"nothing_on_the_right", "b", SpansetOp::NotChild, "x", {}},
                      JoinCase{"union_child", "b", SpansetOp::UnionChild, "c", {2, 3, 5}},
                      JoinCase{"union_descendant", "a", SpansetOp::UnionDescendant, "d", {1, 4}},
                      JoinCase{"union_parent", "c", SpansetOp::UnionParent, "b", {2, 3, 5}},
                      JoinCase{"union_ancestor", "d", SpansetOp::UnionAncestor, "a", {1, 4}},
                      JoinCase{"union_sibling", "*", SpansetOp::UnionSibling, "*", {2, 3, 5, 6, 8}},
                      JoinCase{"not_sibling", "*", SpansetOp::NotSibling, "*", {1, 4, 7, 9}},
                      JoinCase{"not_parent", "*", SpansetOp::NotParent, "*", {4, 5, 7, 9}},
                      JoinCase{
                          "not_ancestor", "d", SpansetOp::NotAncestor, "*", {4, 5, 6, 7, 8, 9}}),
    [](const auto& info) { return info.param.name; });

TEST(Structural, SpansOutsideTheTreeMatchNegatedOperatorsOnly) {
  // 1 -> 2; 3 has a parent that never came; 3 -> 4.
  const Tree tree({0, 1, 9, 3});
  SpansetJoin join(tree.sets());
  EXPECT_EQ(join.join(SpansetOp::Child, Rows{2}, Rows{3}), Rows{});
  EXPECT_EQ(join.join(SpansetOp::Sibling, Rows{2, 3}, Rows{2, 3}), Rows{});
  EXPECT_EQ(join.join(SpansetOp::NotDescendant, Rows{0, 1, 2, 3}, Rows{0, 1, 2, 3}),
            (Rows{0, 2, 3}));
}

TEST(Structural, RootsAreSiblings) {
  const Tree tree({0, 0});
  SpansetJoin join(tree.sets());
  EXPECT_EQ(join.join(SpansetOp::Sibling, Rows{0}, Rows{0, 1}), Rows{1});
}

/// The relation between two spans of a connected tree, found by walking.
bool is_plainly_related(SpansetOp op, const std::vector<telemetry::SpanId>& parents,
                        std::uint32_t a, std::uint32_t b) {
  const auto is_ancestor = [&](std::uint32_t above, std::uint32_t below) {
    for (telemetry::SpanId at = parents[below]; at != 0; at = parents[at - 1]) {
      if (at == above + 1) return true;
    }
    return false;
  };
  switch (op) {
    case SpansetOp::Child:
      return parents[b] == a + 1;
    case SpansetOp::Parent:
      return parents[a] == b + 1;
    case SpansetOp::Descendant:
      return is_ancestor(a, b);
    case SpansetOp::Ancestor:
      return is_ancestor(b, a);
    default:
      return a != b && parents[a] == parents[b];
  }
}

RC_GTEST_PROP(StructuralProperty, JoinsAgreeWithWalkingTheTree, ()) {
  const auto size = *rc::gen::inRange<std::uint32_t>(1, 25);
  std::vector<telemetry::SpanId> parents;
  Rows left;
  Rows right;
  for (std::uint32_t i = 0; i < size; ++i) {
    parents.push_back(*rc::gen::inRange<telemetry::SpanId>(0, i + 1));
    if (*rc::gen::arbitrary<bool>()) left.push_back(i);
    if (*rc::gen::arbitrary<bool>()) right.push_back(i);
  }
  const Tree tree(parents);
  SpansetJoin join(tree.sets());
  for (int offset = 0; offset < 5; ++offset) {
    const auto at = [&](SpansetOp first) {
      return static_cast<SpansetOp>(static_cast<int>(first) + offset);
    };
    Rows plain;
    Rows negated;
    Rows partners;
    for (const std::uint32_t b : right) {
      const bool is_related = std::ranges::any_of(left, [&](std::uint32_t a) {
        return is_plainly_related(at(SpansetOp::Child), parents, a, b);
      });
      (is_related ? plain : negated).push_back(b);
    }
    for (const std::uint32_t a : left) {
      if (std::ranges::any_of(right, [&](std::uint32_t b) {
            return is_plainly_related(at(SpansetOp::Child), parents, a, b);
          })) {
        partners.push_back(a);
      }
    }
    RC_ASSERT(join.join(at(SpansetOp::Child), left, right) == plain);
    RC_ASSERT(join.join(at(SpansetOp::NotChild), left, right) == negated);
    RC_ASSERT(join.join(at(SpansetOp::UnionChild), left, right) == merge_rows(plain, partners));
  }
}

}  // namespace
}  // namespace gantry::traceql
