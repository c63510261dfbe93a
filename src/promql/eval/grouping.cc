#include "promql/eval/grouping.h"

#include <limits>

namespace gantry::promql::eval {

std::vector<std::vector<std::uint32_t>> Grouping::members() const {
  std::vector<std::vector<std::uint32_t>> result(count());
  for (std::size_t row = 0; row < group_of.size(); ++row) {
    result[group_of[row]].push_back(static_cast<std::uint32_t>(row));
  }
  return result;
}

Projection make_grouping_projection(LabelTable& labels, const std::vector<std::string>& names,
                                    bool is_without) {
  std::vector<Symbol> symbols;
  symbols.reserve(names.size() + 1);
  for (const std::string& name : names) symbols.push_back(labels.intern(name));
  if (is_without) symbols.push_back(labels.metric_name());
  return {is_without ? Projection::Mode::Remove : Projection::Mode::Keep, std::move(symbols)};
}

Grouping make_grouping(std::size_t rows, const std::function<LabelSetId(std::size_t)>& key,
                       const std::function<bool(std::size_t)>& drops_name) {
  constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  Grouping grouping;
  grouping.group_of.resize(rows);
  std::vector<std::uint32_t> group_by_labels;
  for (std::size_t row = 0; row < rows; ++row) {
    const LabelSetId labels = key(row);
    if (group_by_labels.size() <= labels) {
      group_by_labels.resize(std::size_t{labels} + 1, kNone);
    }
    std::uint32_t& group = group_by_labels[labels];
    if (group == kNone) {
      group = static_cast<std::uint32_t>(grouping.labels.size());
      grouping.labels.push_back(labels);
      grouping.drops_name.push_back(0);
    }
    grouping.group_of[row] = group;
    if (drops_name(row)) grouping.drops_name[group] = 1;
  }
  return grouping;
}

}  // namespace gantry::promql::eval
