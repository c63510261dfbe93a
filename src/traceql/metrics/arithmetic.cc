#include "traceql/metrics/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gantry::traceql::metrics {

namespace {

constexpr double kNoSample = std::numeric_limits<double>::quiet_NaN();

double compute(FieldOp op, double left, double right) {
  switch (op) {
    case FieldOp::Add:
      return left + right;
    case FieldOp::Subtract:
      return left - right;
    case FieldOp::Multiply:
      return left * right;
    case FieldOp::Divide:
      return right == 0 ? kNoSample : left / right;
    case FieldOp::Modulo:
    case FieldOp::Power:
    case FieldOp::Equal:
    case FieldOp::NotEqual:
    case FieldOp::Less:
    case FieldOp::LessOrEqual:
    case FieldOp::Greater:
    case FieldOp::GreaterOrEqual:
    case FieldOp::Regex:
    case FieldOp::NotRegex:
    case FieldOp::And:
    case FieldOp::Or:
      break;
  }
  GANTRY_ASSERT(false, "metrics arithmetic knows four operators");
}

/// Exemplars are drawn where the line is: at the computed sample.
void move_exemplars(Series& series) {
  for (PlacedExemplar& placed : series.exemplars) {
    placed.exemplar.value = series.values[placed.interval];
  }
}

const Static* find_name(const Series& series) {
  for (const NamedValue& label : series.labels) {
    if (label.key == kMetricNameLabel) return &label.value;
  }
  return nullptr;
}

bool is_unlabelled(const Series& series) {
  return std::ranges::all_of(series.labels,
                             [](const NamedValue& label) { return label.key == kMetricNameLabel; });
}

/// Equal for series that meet.
std::string matching_key(const Series& series) {
  std::vector<std::string> parts;
  for (const NamedValue& label : series.labels) {
    if (label.key == kMetricNameLabel) continue;
    std::string part = label.key;
    part.push_back('\0');
    append_key(part, label.value);
    parts.push_back(std::move(part));
  }
  std::ranges::sort(parts);
  std::string key;
  for (const std::string& part : parts) key += std::to_string(part.size()) + ':' + part;
  return key;
}

Series combine_pair(FieldOp op, const Series& left, const Series& right) {
  Series result;
  const Static* left_name = find_name(left);
  const Static* right_name = find_name(right);
  if (left_name != nullptr && right_name != nullptr) {
    result.labels.push_back({.key = kMetricNameLabel,
                             .value = Static::of_string("(" + label_text(*left_name) + " " +
                                                        std::string(field_op_text(op)) + " " +
                                                        label_text(*right_name) + ")")});
  }
  // One of them may be the single series that meets all: the labels are the other's.
  const Series& labelled = is_unlabelled(left) && !is_unlabelled(right) ? right : left;
  for (const NamedValue& label : labelled.labels) {
    if (label.key != kMetricNameLabel) result.labels.push_back(label);
  }
  result.values.resize(left.values.size());
  for (std::size_t i = 0; i < left.values.size(); ++i) {
    result.values[i] = compute(op, left.values[i], right.values[i]);
  }
  result.exemplars = labelled.exemplars;
  move_exemplars(result);
  return result;
}

SeriesTable combine_tables(FieldOp op, const SeriesTable& left, const SeriesTable& right) {
  SeriesTable result;
  if (right.size() == 1 && is_unlabelled(right.front())) {
    for (const Series& series : left) result.push_back(combine_pair(op, series, right.front()));
  } else if (left.size() == 1 && is_unlabelled(left.front())) {
    for (const Series& series : right) result.push_back(combine_pair(op, left.front(), series));
  } else {
    std::unordered_map<std::string, const Series*> by_labels;
    for (const Series& series : right) by_labels.emplace(matching_key(series), &series);
    for (const Series& series : left) {
      const auto partner = by_labels.find(matching_key(series));
      if (partner != by_labels.end()) {
        result.push_back(combine_pair(op, series, *partner->second));
      }
    }
  }
  return result;
}

/// `f` gives the computed sample for the table's one. Labels stay, the name among them.
template <class F>
void apply_to_samples(SeriesTable& table, F f) {
  for (Series& series : table) {
    for (double& value : series.values) value = f(value);
    move_exemplars(series);
  }
}

}  // namespace

Operand combine(FieldOp op, Operand left, Operand right) {
  auto* left_table = std::get_if<SeriesTable>(&left);
  auto* right_table = std::get_if<SeriesTable>(&right);
  if (left_table == nullptr && right_table == nullptr) {
    return compute(op, std::get<double>(left), std::get<double>(right));
  }
  SeriesTable result;
  if (right_table == nullptr) {
    const double scalar = std::get<double>(right);
    result = std::move(*left_table);
    apply_to_samples(result, [&](double value) { return compute(op, value, scalar); });
  } else if (left_table == nullptr) {
    const double scalar = std::get<double>(left);
    result = std::move(*right_table);
    apply_to_samples(result, [&](double value) { return compute(op, scalar, value); });
  } else {
    result = combine_tables(op, *left_table, *right_table);
  }
  drop_empty(result);
  sort_series(result);
  return result;
}

}  // namespace gantry::traceql::metrics
