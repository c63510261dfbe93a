#pragma once

// Which group of an aggregation each row belongs to: worked out once per query from label ids.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "promql/ast.h"
#include "promql/eval/context.h"
#include "promql/eval/label_table.h"

namespace gantry::promql::eval {

struct Grouping {
  std::vector<std::uint32_t> group_of;   ///< By row.
  std::vector<LabelSetId> labels;        ///< By group, in order of first appearance.
  std::vector<std::uint8_t> drops_name;  ///< By group: some member's name goes at the end.

  [[nodiscard]] std::size_t count() const { return labels.size(); }

  /// The rows of each group, in order.
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> members() const;
};

/// by (…) or without (…), which removes __name__ too.
[[nodiscard]] Projection make_grouping_projection(LabelTable& labels,
                                                  const std::vector<std::string>& names,
                                                  bool is_without);

/// `key` gives a row's group labels, `drops_name` its flag.
[[nodiscard]] Grouping make_grouping(std::size_t rows,
                                     const std::function<LabelSetId(std::size_t)>& key,
                                     const std::function<bool(std::size_t)>& drops_name);

}  // namespace gantry::promql::eval
