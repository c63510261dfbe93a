#include "promql/testing/plain_aggregate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/hash.h"
#include "core/number_format.h"
#include "promql/histogram/accumulate.h"
#include "promql/testing/plain_sum.h"

namespace gantry::promql::promqltest {

namespace {

struct Group {
  PlainLabels labels;
  bool drops_name = false;
  PlainVector members;
};

PlainLabels group_labels(const PlainLabels& labels, const std::vector<std::string>& names,
                         bool is_without) {
  PlainLabels result;
  for (const auto& [name, value] : labels) {
    const bool is_named = std::ranges::find(names, name) != names.end();
    if (is_without ? !is_named && name != "__name__" : is_named) result[name] = value;
  }
  return result;
}

/// In order of first appearance.
std::vector<Group> groups_of(const Aggregate& aggregate, const PlainVector& vector) {
  std::vector<Group> groups;
  for (const PlainElement& element : vector) {
    PlainLabels labels = group_labels(element.labels, aggregate.grouping, aggregate.is_without);
    auto group = std::ranges::find(groups, labels, &Group::labels);
    if (group == groups.end())
      group = groups.insert(groups.end(),
                            Group{.labels = std::move(labels), .drops_name = false, .members = {}});
    group->members.push_back(element);
    group->drops_name = group->drops_name || element.drops_name;
  }
  return groups;
}

class StepAggregation {
 public:
  StepAggregation(PlainContext& context, const Expr& expr)
      : notes_(context.notes),
        aggregate_(std::get<Aggregate>(expr.node)),
        whole_(expr.position),
        inside_(strip_parens(*aggregate_.expr).position) {}

  PlainVector run(const PlainVector& vector, double parameter) {
    PlainVector result;
    for (const Group& group : groups_of(aggregate_, vector)) {
      switch (aggregate_.op) {
        case AggregateOp::TopK:
        case AggregateOp::BottomK:
          best(group, parameter, vector.size(), result);
          break;
        case AggregateOp::LimitK:
          for (std::size_t i = 0;
               i < group.members.size() && static_cast<double>(i + 1) <= parameter; ++i)
            result.push_back(group.members[i]);
          break;
        case AggregateOp::LimitRatio:
          sample(group, parameter, result);
          break;
        default:
          fold(group, parameter, result);
      }
    }
    return result;
  }

 private:
  void note_ignored(Position position) {
    notes_.info(
        "ignored histogram in " + std::string(aggregate_op_text(aggregate_.op)) + " aggregation",
        position);
  }

  /// The numbers of a group; histograms are left out with a note.
  std::vector<double> numbers(const Group& group) {
    std::vector<double> values;
    for (const PlainElement& member : group.members) {
      if (member.histogram) {
        note_ignored(inside_);
      } else {
        values.push_back(member.value);
      }
    }
    return values;
  }

  void fold(const Group& group, double parameter, PlainVector& result) {
    if (aggregate_.op == AggregateOp::Sum || aggregate_.op == AggregateOp::Avg) {
      add_up(group, result);
      return;
    }
    PlainElement element{
        .labels = group.labels, .drops_name = group.drops_name, .value = 1, .histogram = nullptr};
    if (aggregate_.op == AggregateOp::Count)
      element.value = static_cast<double>(group.members.size());
    if (aggregate_.op != AggregateOp::Count && aggregate_.op != AggregateOp::Group) {
      const std::vector<double> values = numbers(group);
      if (values.empty()) return;
      element.value = of_numbers(values, parameter);
    }
    result.push_back(std::move(element));
  }

  [[nodiscard]] double of_numbers(const std::vector<double>& values, double parameter) const {
    if (aggregate_.op == AggregateOp::Quantile) return plain_quantile(parameter, values);
    if (aggregate_.op == AggregateOp::Min || aggregate_.op == AggregateOp::Max) {
      double best = values[0];
      for (const double value : values) {
        if (std::isnan(best) || (aggregate_.op == AggregateOp::Max ? value > best : value < best))
          best = value;
      }
      return best;
    }
    // Welford.
    double mean = values[0];
    double squares = std::isfinite(values[0]) ? 0 : std::nan("");
    for (std::size_t i = 1; i < values.size(); ++i) {
      const double delta = values[i] - mean;
      mean += delta / static_cast<double>(i + 1);
      squares += delta * (values[i] - mean);
    }
    const double variance = squares / static_cast<double>(values.size());
    return aggregate_.op == AggregateOp::Stddev ? std::sqrt(variance) : variance;
  }

  void add_up(const Group& group, PlainVector& result) {
    const bool is_histogram = group.members[0].histogram != nullptr;
    const bool is_sum = aggregate_.op == AggregateOp::Sum;
    bool has_float = false;
    bool has_histogram = false;
    bool is_impossible = false;
    bool is_reconciled = false;
    histogram::Total total;
    histogram::Mean mean;
    std::vector<double> values;
    for (const PlainElement& member : group.members) {
      if (is_impossible) break;
      has_float = has_float || !member.histogram;
      has_histogram = has_histogram || member.histogram;
      if (!member.histogram) values.push_back(member.value);
      // Where a float came first, no histogram is looked at: there will be no result.
      if (!member.histogram || !is_histogram) continue;
      if (is_sum) {
        total.add(*member.histogram);
      } else {
        mean.add(*member.histogram);
      }
      const histogram::Combination& done = is_sum ? total.notes() : mean.notes();
      is_reconciled = is_reconciled || done.has_reconciled_bounds;
      if (!done.is_possible) {
        is_impossible = true;
        notes_.warn(
            "vector contains a mix of histograms with exponential and custom buckets schemas for "
            "metric name " +
                go_quoted(label_of(member.labels, "__name__")),
            inside_);
      }
    }
    if (is_reconciled)
      notes_.info("mismatched custom buckets were reconciled during aggregation", inside_);
    if (has_float && has_histogram) {
      notes_.warn("encountered a mix of histograms and floats for aggregation", inside_);
      return;
    }
    if (is_impossible) return;
    PlainElement element{
        .labels = group.labels, .drops_name = group.drops_name, .value = 0, .histogram = nullptr};
    if (is_histogram) {
      if ((is_sum ? total.notes() : mean.notes()).has_hint_conflict) {
        notes_.warn("conflicting counter resets during histogram aggregation", inside_);
      }
      element.histogram = share(is_sum ? total.result() : mean.result());
    } else {
      element.value = is_sum ? sum_of(values) : plain_mean(values);
    }
    result.push_back(std::move(element));
  }

  static double sum_of(const std::vector<double>& values) {
    PlainSum sum{.sum = values[0]};
    for (std::size_t i = 1; i < values.size(); ++i) sum.add(values[i]);
    return sum.total();
  }

  void best(const Group& group, double k, std::size_t vector_size, PlainVector& result) {
    if (!(k >= 1)) return;
    PlainVector candidates;
    for (const PlainElement& member : group.members) {
      if (member.histogram) {
        note_ignored(whole_);
      } else {
        candidates.push_back(member);
      }
    }
    const bool wants_large = aggregate_.op == AggregateOp::TopK;
    std::ranges::stable_sort(candidates,
                             [wants_large](const PlainElement& a, const PlainElement& b) {
                               if (std::isnan(a.value) || std::isnan(b.value))
                                 return !std::isnan(a.value) && std::isnan(b.value);
                               return wants_large ? a.value > b.value : a.value < b.value;
                             });
    const double kept = std::min(std::trunc(k), static_cast<double>(vector_size));
    for (std::size_t i = 0; i < candidates.size() && static_cast<double>(i) < kept; ++i)
      result.push_back(candidates[i]);
  }

  static void sample(const Group& group, double ratio, PlainVector& result) {
    if (ratio == 0) return;
    const double limit = std::clamp(ratio, -1.0, 1.0);
    for (const PlainElement& member : group.members) {
      std::string key;
      for (const auto& [name, value] : member.labels) key += name + '\xff' + value + '\xff';
      const double position = static_cast<double>(core::hash64(key)) / 0x1p64;
      if (limit >= 0 ? position < limit : position >= 1 + limit) result.push_back(member);
    }
  }

  PlainNotes& notes_;
  const Aggregate& aggregate_;
  Position whole_;
  Position inside_;
};

struct Bounds {
  double least = std::numeric_limits<double>::max();
  double most = -std::numeric_limits<double>::max();
  bool has_nan = false;
};

Bounds bounds_of(const Expr& parameter, const std::vector<double>& values) {
  Bounds bounds;
  if (std::holds_alternative<NumberLiteral>(strip_parens(parameter).node)) {
    return {.least = values[0], .most = values[0], .has_nan = std::isnan(values[0])};
  }
  for (const double value : values) {
    bounds.least = smaller(bounds.least, value);
    bounds.most = larger(bounds.most, value);
    bounds.has_nan = bounds.has_nan || std::isnan(value);
  }
  return bounds;
}

/// False: the answer is empty.
Result<bool> check_parameter(PlainContext& context, const Aggregate& aggregate,
                             const std::vector<double>& values) {
  const Bounds bounds = bounds_of(*aggregate.parameter, values);
  const Position position = strip_parens(*aggregate.parameter).position;
  switch (aggregate.op) {
    case AggregateOp::TopK:
    case AggregateOp::BottomK:
    case AggregateOp::LimitK:
      if (bounds.most < 1) return false;
      if (bounds.has_nan) return fail(Code::FailedPrecondition, "Parameter value is NaN");
      if (bounds.least <= -0x1p63)
        return fail(Code::FailedPrecondition,
                    "Scalar value " + general_text(bounds.least) + " underflows int64");
      if (bounds.most >= 0x1p63)
        return fail(Code::FailedPrecondition,
                    "Scalar value " + general_text(bounds.most) + " overflows int64");
      return true;
    case AggregateOp::LimitRatio: {
      if (bounds.most == 0 && bounds.least == 0) return false;
      if (bounds.has_nan) return fail(Code::FailedPrecondition, "Ratio value is NaN");
      const std::string text = "ratio value should be between -1 and 1, got ";
      if (bounds.most > 1)
        context.notes.warn(text + general_text(bounds.most) + ", capping to 1", position);
      if (bounds.least < -1)
        context.notes.warn(text + general_text(bounds.least) + ", capping to -1", position);
      return true;
    }
    default: {
      const std::string text = "quantile value should be between 0 and 1, got ";
      if (bounds.has_nan) context.notes.warn(text + "NaN", position);
      if (bounds.most > 1) context.notes.warn(text + general_text(bounds.most), position);
      if (bounds.least < 0) context.notes.warn(text + general_text(bounds.least), position);
      return true;
    }
  }
}

PlainSteps count_values(const Aggregate& aggregate, const PlainSteps& steps) {
  const std::string label = std::get<StringLiteral>(strip_parens(*aggregate.parameter).node).value;
  std::vector<std::string> names = aggregate.grouping;
  if (!aggregate.is_without) names.push_back(label);
  PlainSteps result;
  for (const PlainVector& vector : steps) {
    PlainVector counts;
    for (const PlainElement& element : vector) {
      PlainLabels labels = element.labels;
      std::string text;
      if (element.histogram) {
        text = telemetry::format_histogram(*element.histogram);
      } else {
        core::append_float_plain(text, element.value);
      }
      set_label(labels, label, text);
      labels = group_labels(labels, names, aggregate.is_without);
      auto found = std::ranges::find(counts, labels, &PlainElement::labels);
      if (found == counts.end())
        found = counts.insert(counts.end(), PlainElement{.labels = std::move(labels),
                                                         .drops_name = false,
                                                         .value = 0,
                                                         .histogram = nullptr});
      found->value += 1;
    }
    result.push_back(std::move(counts));
  }
  return result;
}

}  // namespace

Result<PlainSteps> aggregate_steps(PlainContext& context, const Expr& expr, const PlainSteps& steps,
                                   const std::vector<double>& parameters) {
  const auto& aggregate = std::get<Aggregate>(expr.node);
  if (aggregate.op == AggregateOp::CountValues) return count_values(aggregate, steps);
  if (!parameters.empty()) {
    GANTRY_TRY(const bool has_answer, check_parameter(context, aggregate, parameters));
    if (!has_answer) return PlainSteps(steps.size());
  }
  StepAggregation aggregation(context, expr);
  PlainSteps result;
  for (std::size_t step = 0; step < steps.size(); ++step) {
    result.push_back(aggregation.run(steps[step], parameters.empty() ? 0 : parameters[step]));
  }
  return result;
}

}  // namespace gantry::promql::promqltest
