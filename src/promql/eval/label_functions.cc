#include "promql/eval/label_functions.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <re2/re2.h>

#include "core/utf8.h"
#include "promql/kernels/float_functions.h"
#include "telemetry/labels.h"

namespace gantry::promql::eval {
namespace {

constexpr std::int64_t kRegexBytesMax = std::int64_t{16} << 20;

bool is_valid_label_name(std::string_view name) {
  return !name.empty() && core::is_valid_utf8(name);
}

bool is_word(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// A replacement text of Go's regexp.Expand: literals and group references.
class Template {
 public:
  Template(std::string_view text, const RE2& regex) {
    std::string literal;
    while (!text.empty()) {
      const std::size_t dollar = text.find('$');
      literal += text.substr(0, dollar);
      if (dollar == std::string_view::npos) break;
      text.remove_prefix(dollar + 1);
      if (text.starts_with('$')) {
        literal += '$';
        text.remove_prefix(1);
        continue;
      }
      const std::string_view name = take_name(text);
      if (name.empty()) {
        literal += '$';  // Malformed: stands for itself.
        continue;
      }
      parts_.push_back({.literal = std::exchange(literal, {}), .group = find_group(name, regex)});
    }
    parts_.push_back({.literal = std::move(literal), .group = kNoGroup});
  }

  [[nodiscard]] std::string expand(std::span<const re2::StringPiece> groups) const {
    std::string result;
    for (const Part& part : parts_) {
      result += part.literal;
      if (part.group < 0 || static_cast<std::size_t>(part.group) >= groups.size()) continue;
      const re2::StringPiece& group = groups[static_cast<std::size_t>(part.group)];
      result.append(group.data(), group.size());
    }
    return result;
  }

 private:
  static constexpr int kNoGroup = -1;

  struct Part {
    std::string literal;
    int group = kNoGroup;  ///< What follows the literal.
  };

  /// The name after `$`, moved past; empty (nothing moved) when there is none.
  static std::string_view take_name(std::string_view& text) {
    const bool is_braced = text.starts_with('{');
    const std::string_view rest = is_braced ? text.substr(1) : text;
    const auto end = std::ranges::find_if_not(rest, is_word);
    const auto length = static_cast<std::size_t>(end - rest.begin());
    if (length == 0 || (is_braced && (end == rest.end() || *end != '}'))) return {};
    text.remove_prefix(length + (is_braced ? 2 : 0));
    return rest.substr(0, length);
  }

  static int find_group(std::string_view name, const RE2& regex) {
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) return number;
    const auto& named = regex.NamedCapturingGroups();
    const auto found = named.find(std::string(name));
    return found == named.end() ? kNoGroup : found->second;
  }

  std::vector<Part> parts_;
};

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
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexBytesMax);
  const RE2 regex("^(?s:" + arguments.regex + ")$", options);
  if (!regex.ok()) {
    return fail(Code::FailedPrecondition,
                "invalid regular expression in label_replace(): " + arguments.regex);
  }
  if (!is_valid_label_name(arguments.destination)) {
    return fail(Code::FailedPrecondition,
                "invalid destination label name in label_replace(): " + arguments.destination);
  }
  LabelTable& table = context.labels;
  const Template replacement(arguments.replacement, regex);
  const Symbol source = table.intern(arguments.source);
  const Symbol destination = table.intern(arguments.destination);
  // The same values come again and again: one match for each.
  std::unordered_map<Symbol, std::optional<Symbol>> results;
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) +
                                       1);
  for (std::size_t row = 0; row < matrix.count(); ++row) {
    const Symbol value = table.value(matrix.labels[row], source);
    const auto [place, is_new] = results.try_emplace(value);
    if (is_new) {
      const std::string_view text = table.text(value);
      if (regex.Match(re2::StringPiece(text.data(), text.size()), 0, text.size(), RE2::ANCHOR_BOTH,
                      groups.data(), static_cast<int>(groups.size()))) {
        place->second = table.intern(replacement.expand(groups));
      }
    }
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
