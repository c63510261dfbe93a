#include "promql/eval/label_functions.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "core/utf8.h"
#include "promql/anchored_regex.h"
#include "promql/kernels/float_functions.h"
#include "telemetry/labels.h"

namespace gantry::promql::eval {
namespace {

bool is_valid_label_name(std::string_view name) {
  return !name.empty() && core::is_valid_utf8(name);
}

void set_labels(Matrix& matrix, std::size_t row, LabelSetId labels, bool clears_flag) {
  matrix.labels[row] = labels;
  if (clears_flag) matrix.drops_name[row] = 0;
}

/// The one-step rows in `order`.
Result<Matrix> in_order(QueryContext& context, const std::vector<std::size_t>& order,
                        const Matrix& matrix) {
  GANTRY_TRY(Matrix result, make_matrix(context.budget, order.size(), 1));
  for (std::size_t i = 0; i < order.size(); ++i) {
    result.labels[i] = matrix.labels[order[i]];
    result.drops_name[i] = matrix.drops_name[order[i]];
    result.rows.row(i)[0] = matrix.rows.row(order[i])[0];
    result.rows.bits(i)[0] = matrix.rows.bits(order[i])[0];
    result.rows.histograms(i) = matrix.rows.histograms(order[i]);
  }
  const RowsView view = result.rows.view();
  GANTRY_CHECK(result.reservation.grow(count_samples(view), histogram_bytes(view)));
  return result;
}

}  // namespace

Result<Matrix> label_replace(QueryContext& context, const LabelReplacement& arguments,
                             Matrix matrix) {
  const auto regex = AnchoredRegex::compile(arguments.regex);
  if (!regex) {
    return fail(Code::FailedPrecondition,
                "invalid regular expression in label_replace(): " + arguments.regex);
  }
  if (!is_valid_label_name(arguments.destination)) {
    return fail(Code::FailedPrecondition,
                "invalid destination label name in label_replace(): " + arguments.destination);
  }
  LabelTable& table = context.labels;
  const GroupTemplate replacement(arguments.replacement, *regex);
  const Symbol source = table.intern(arguments.source);
  const Symbol destination = table.intern(arguments.destination);
  // The same values come again and again: one match for each.
  std::unordered_map<Symbol, std::optional<Symbol>> results;
  std::vector<std::string_view> groups;
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    const Symbol value = table.value(matrix.labels[row], source);
    const auto [place, is_new] = results.try_emplace(value);
    if (is_new && regex->match(table.text(value), groups))
      place->second = table.intern(replacement.expand(groups));
    if (!place->second) continue;
    set_labels(matrix, row, table.with(matrix.labels[row], destination, *place->second),
               destination == table.metric_name());
  }
  GANTRY_CHECK(merge_equal_rows(matrix));
  return matrix;
}

Result<Matrix> label_join(QueryContext& context, const std::string& destination,
                          const std::string& separator, std::span<const std::string> sources,
                          Matrix matrix) {
  for (const std::string& name : sources) {
    if (is_valid_label_name(name)) continue;
    return fail(Code::FailedPrecondition, "invalid source label name in label_join(): " + name);
  }
  if (!is_valid_label_name(destination)) {
    return fail(Code::FailedPrecondition,
                "invalid destination label name in label_join(): " + destination);
  }
  LabelTable& table = context.labels;
  const Symbol destination_symbol = table.intern(destination);
  std::vector<Symbol> symbols;
  for (const std::string& name : sources) symbols.push_back(table.intern(name));
  std::string joined;
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    joined.clear();
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      if (i > 0) joined += separator;
      joined += table.text(table.value(matrix.labels[row], symbols[i]));
    }
    set_labels(matrix, row,
               table.with(matrix.labels[row], destination_symbol, table.intern(joined)),
               destination_symbol == table.metric_name());
  }
  GANTRY_CHECK(merge_equal_rows(matrix));
  return matrix;
}

Result<Matrix> sort_by_value(QueryContext& context, SortOrder order, const Matrix& matrix) {
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    if (kernels::test_bit(matrix.rows.bits(row), 0)) rows.push_back(row);
  }
  const auto value = [&](std::size_t row) { return matrix.rows.row(row)[0]; };
  std::ranges::stable_sort(rows, [&](std::size_t a, std::size_t b) {
    const bool a_nan = std::isnan(value(a));
    const bool b_nan = std::isnan(value(b));
    if (a_nan || b_nan) return !a_nan;
    return order == SortOrder::Ascending ? value(a) < value(b) : value(a) > value(b);
  });
  return in_order(context, rows, matrix);
}

Result<Matrix> sort_by_label(QueryContext& context, SortOrder order,
                             std::span<const std::string> names, const Matrix& matrix) {
  LabelTable& table = context.labels;
  std::vector<Symbol> symbols;
  for (const std::string& name : names) symbols.push_back(table.intern(name));
  std::vector<std::size_t> rows(matrix.count());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  std::ranges::stable_sort(rows, [&](std::size_t a, std::size_t b) {
    int result = 0;
    for (const Symbol name : symbols) {
      const Symbol left = table.value(matrix.labels[a], name);
      const Symbol right = table.value(matrix.labels[b], name);
      if (left == right) continue;
      result = kernels::compare_natural(table.text(left), table.text(right));
      if (result != 0) break;
    }
    if (result == 0) result = table.compare(matrix.labels[a], matrix.labels[b]);
    return order == SortOrder::Ascending ? result < 0 : result > 0;
  });
  return in_order(context, rows, matrix);
}

LabelSetId absent_labels(LabelTable& labels, const VectorSelector& selector) {
  LabelSetId result = kEmptyLabels;
  std::vector<std::string_view> taken;
  for (const Matcher& matcher : selector.matchers) {
    if (matcher.name() == telemetry::kMetricNameLabel) continue;
    // In written order, as in Prometheus: what follows an equality undoes it, what precedes does
    // not.
    const bool is_first_equality =
        matcher.op() == MatchOp::Equal && std::ranges::find(taken, matcher.name()) == taken.end();
    if (is_first_equality) taken.push_back(matcher.name());
    result = labels.with(result, labels.intern(matcher.name()),
                         is_first_equality ? labels.intern(matcher.value()) : kEmptySymbol);
  }
  return result;
}

}  // namespace gantry::promql::eval
