#include "traceql/eval/structural.h"

#include <algorithm>
#include <iterator>

namespace gantry::traceql {

bool is_structural(SpansetOp op) {
  return op != SpansetOp::And && op != SpansetOp::Or;
}

bool is_negated(SpansetOp op) {
  return op >= SpansetOp::NotChild && op <= SpansetOp::NotSibling;
}

std::vector<std::uint32_t> merge_rows(std::span<const std::uint32_t> a,
                                      std::span<const std::uint32_t> b) {
  std::vector<std::uint32_t> out;
  out.reserve(a.size() + b.size());
  std::ranges::set_union(a, b, std::back_inserter(out));
  return out;
}

/// What is_related searches in, from the rows of the left side. Numbers of 0 relate to nothing and
/// stay out.
void SpansetJoin::prepare(Relation relation, std::span<const std::uint32_t> left) {
  keys_.clear();
  right_ends_.clear();
  if (relation == Relation::Descendant) {
    by_left_.assign(left.begin(), left.end());
    std::ranges::sort(by_left_, {}, [&](std::uint32_t row) { return sets_.left[row]; });
    std::int32_t end = 0;
    for (const std::uint32_t row : by_left_) {
      if (sets_.left[row] == 0) continue;
      end = std::max(end, sets_.right[row]);
      keys_.push_back(sets_.left[row]);
      right_ends_.push_back(end);
    }
    return;
  }
  const bool by_parent = relation == Relation::Parent || relation == Relation::Sibling;
  const std::span<const std::int32_t> numbers = by_parent ? sets_.parent : sets_.left;
  for (const std::uint32_t row : left) {
    if (numbers[row] != 0) keys_.push_back(numbers[row]);
  }
  std::ranges::sort(keys_);
}

bool SpansetJoin::is_related(Relation relation, std::span<const std::uint32_t> left,
                             std::uint32_t row) const {
  const std::int32_t begin = sets_.left[row];
  if (begin == 0) return false;
  switch (relation) {
    case Relation::Child:
      return std::ranges::binary_search(keys_, sets_.parent[row]);
    case Relation::Parent:
      return std::ranges::binary_search(keys_, begin);
    case Relation::Descendant: {
      // Intervals nest or lie apart: one that began before and has not ended holds this one.
      const auto after = std::ranges::lower_bound(keys_, begin);
      return after != keys_.begin() &&
             right_ends_[static_cast<std::size_t>(after - keys_.begin()) - 1] > begin;
    }
    case Relation::Ancestor: {
      const auto inside = std::ranges::upper_bound(keys_, begin);
      return inside != keys_.end() && *inside < sets_.right[row];
    }
    case Relation::Sibling: {
      const auto siblings = std::ranges::equal_range(keys_, sets_.parent[row]);
      const std::ptrdiff_t self = std::ranges::binary_search(left, row) ? 1 : 0;
      return std::ranges::ssize(siblings) > self;
    }
  }
  return false;
}

void SpansetJoin::related(Relation relation, std::span<const std::uint32_t> left,
                          std::span<const std::uint32_t> right, std::vector<std::uint32_t>& out) {
  if (left.empty() || right.empty()) return;
  prepare(relation, left);
  for (const std::uint32_t row : right) {
    if (is_related(relation, left, row)) out.push_back(row);
  }
}

std::vector<std::uint32_t> SpansetJoin::join(SpansetOp op, std::span<const std::uint32_t> left,
                                             std::span<const std::uint32_t> right) {
  // The plain, the negated and the union operators come in the order of Relation.
  const auto offset = static_cast<std::uint8_t>(
      (static_cast<std::uint8_t>(op) - static_cast<std::uint8_t>(SpansetOp::Child)) % 5);
  const auto relation = static_cast<Relation>(offset);
  std::vector<std::uint32_t> found;
  related(relation, left, right, found);
  if (is_negated(op)) {
    std::vector<std::uint32_t> rest;
    std::ranges::set_difference(right, found, std::back_inserter(rest));
    return rest;
  }
  if (op < SpansetOp::UnionChild) return found;
  Relation reverse = relation;
  switch (relation) {
    case Relation::Child:
      reverse = Relation::Parent;
      break;
    case Relation::Descendant:
      reverse = Relation::Ancestor;
      break;
    case Relation::Parent:
      reverse = Relation::Child;
      break;
    case Relation::Ancestor:
      reverse = Relation::Descendant;
      break;
    case Relation::Sibling:
      break;
  }
  std::vector<std::uint32_t> partners;
  related(reverse, right, left, partners);
  return merge_rows(found, partners);
}

}  // namespace gantry::traceql
