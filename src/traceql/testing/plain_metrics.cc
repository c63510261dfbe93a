// Metrics queries, span by span and label by label.

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "traceql/testing/plain_evaluator.h"
#include "traceql/testing/plain_field.h"

namespace gantry::traceql::testing {

namespace {

using Labels = std::vector<NamedValue>;
using Samples = std::map<std::int64_t, double>;  ///< By interval; absent: none.

struct Line {
  Labels labels;
  Samples samples;
  bool is_notice = false;  ///< Has no samples and stays.
};

using Lines = std::vector<Line>;
using Operand = std::variant<Lines, double>;

/// Intervals with closed right ends. An instant query has one, as long as its range.
struct Axis {
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t step_ns = 0;

  [[nodiscard]] std::int64_t count() const { return (end_ns - start_ns) / step_ns; }

  [[nodiscard]] std::optional<std::int64_t> interval(std::int64_t time_ns) const {
    for (std::int64_t i = 0; i < count(); ++i) {
      const std::int64_t left = start_ns + i * step_ns;
      if (time_ns > left && time_ns <= left + step_ns) return i;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::int64_t timestamp_ms(std::int64_t interval) const {
    return (start_ns + (interval + 1) * step_ns) / 1'000'000;
  }

  [[nodiscard]] double seconds() const { return static_cast<double>(step_ns) / 1e9; }
};

std::int64_t round_down(std::int64_t value, std::int64_t step) {
  const std::int64_t rest = value % step;
  return value - (rest < 0 ? rest + step : rest);
}

Axis make_axis(const MetricsRequest& request) {
  if (request.step_ns == 0) {
    return {.start_ns = request.start_ns,
            .end_ns = request.end_ns,
            .step_ns = request.end_ns - request.start_ns};
  }
  const std::int64_t step = request.step_ns;
  return {.start_ns = round_down(request.start_ns, step) - step,
          .end_ns = round_down(request.end_ns + step - 1, step),
          .step_ns = step};
}

std::string label_text(const Static& value) {
  return value.type == StaticType::String ? value.text : format_static(value);
}

// Status, kind and durations are texts in labels.
Static label_value(const Static& value) {
  if (value.type == StaticType::Status || value.type == StaticType::Kind ||
      value.type == StaticType::Duration) {
    return Static::of_string(format_static(value));
  }
  return value;
}

std::string sort_key(const Line& line) {
  std::vector<std::string> parts;
  for (const NamedValue& label : line.labels) {
    parts.push_back(label.key + '\0' + label_text(label.value) + '\0');
  }
  std::ranges::sort(parts);
  std::string key(1, static_cast<char>(parts.size()));
  for (const std::string& part : parts) key += part;
  return key;
}

void sort_lines(Lines& lines) {
  std::ranges::stable_sort(lines, {}, sort_key);
}

void drop_empty(Lines& lines) {
  std::erase_if(lines, [](const Line& line) { return line.samples.empty() && !line.is_notice; });
}

// A key may be there twice.
bool same_labels(const Labels& a, const Labels& b) {
  return std::ranges::is_permutation(a, b, [](const NamedValue& left, const NamedValue& right) {
    return left.key == right.key && left.value == right.value;
  });
}

// ---- functions

/// A span that a pipeline left, in range.
struct Seen {
  const PlainTrace* trace = nullptr;
  const PlainSpan* span = nullptr;
  std::int64_t interval = 0;
};

Result<std::vector<Seen>> select(const Pipeline& pipeline, const std::vector<PlainTrace>& traces,
                                 const Axis& axis) {
  std::vector<Seen> seen;
  for (const PlainTrace& trace : traces) {
    GANTRY_TRY(const std::vector<PlainSpanset> sets, run_plain(pipeline, trace));
    std::set<std::size_t> spans;
    for (const PlainSpanset& set : sets) spans.insert(set.spans.begin(), set.spans.end());
    for (const std::size_t i : spans) {
      const PlainSpan& span = trace.spans[i];
      const auto interval = axis.interval(span.start_ns);
      if (interval) seen.push_back({.trace = &trace, .span = &span, .interval = *interval});
    }
  }
  return seen;
}

bool has_buckets(const MetricsFunction& function) {
  return function.op == MetricsOp::HistogramOverTime || function.op == MetricsOp::QuantileOverTime;
}

bool counts_spans(const MetricsFunction& function) {
  return function.op == MetricsOp::Rate || function.op == MetricsOp::CountOverTime;
}

// What min, max, sum and avg look at; durations of the intrinsic in nanoseconds.
std::optional<double> observed(const MetricsFunction& function, const Seen& seen) {
  if (counts_spans(function)) return 0;
  const Static value = value_of(*function.attribute, *seen.trace, *seen.span);
  const auto number = number_of(value);
  if (!number || std::isnan(*number)) return std::nullopt;
  const bool is_bucketed = *number >= 2 && value.type != StaticType::Float;
  if (has_buckets(function) && !is_bucketed) return std::nullopt;
  return number;
}

Labels labels_of(const MetricsFunction& function, const Seen& seen) {
  Labels labels;
  for (const Attribute& attribute : function.by) {
    const Static value = value_of(attribute, *seen.trace, *seen.span);
    if (value.type == StaticType::Nil) continue;
    labels.push_back({.key = attribute.text, .value = label_value(value)});
  }
  if (labels.empty() && !function.by.empty() && !has_buckets(function)) {
    labels.push_back({.key = function.by[0].text, .value = Static::of_string("nil")});
  }
  if (function.by.empty() && !has_buckets(function)) {
    labels.push_back(
        {.key = "__name__", .value = Static::of_string(std::string(metrics_op_text(function.op)))});
  }
  return labels;
}

double bucket_of(double value) {
  double bound = 2;
  while (bound < value) bound *= 2;
  return bound;
}

// Tempo's estimate within buckets of powers of two.
double quantile_of(double p, const std::map<double, double>& buckets) {
  double total = 0;
  for (const auto& [bound, count] : buckets) total += count;
  if (total == 0) return 0;
  const double wanted = std::max(1.0, std::ceil(p * total));
  double consumed = 0;
  double previous = buckets.begin()->first / 2;
  for (const auto& [bound, count] : buckets) {
    if (consumed + count == wanted) return bound;
    if (consumed + count > wanted) {
      const double low = std::log2(previous);
      return std::exp2(low + (std::log2(bound) - low) * (wanted - consumed) / count);
    }
    consumed += count;
    previous = bound;
  }
  return previous;
}

struct Group {
  Labels labels;
  std::map<std::int64_t, std::vector<double>> values;  ///< By interval.
};

double unit_of(const MetricsFunction& function) {
  if (!function.attribute) return 1;
  const Intrinsic intrinsic = function.attribute->intrinsic;
  const bool is_other_duration =
      intrinsic == Intrinsic::TraceDuration || intrinsic == Intrinsic::EventTimeSinceStart;
  const bool is_seconds =
      intrinsic == Intrinsic::Duration || (has_buckets(function) && is_other_duration);
  return is_seconds ? 1e9 : 1;
}

std::optional<double> sample_of(const MetricsFunction& function, const std::vector<double>& values,
                                const Axis& axis) {
  const auto count = static_cast<double>(values.size());
  if (function.op == MetricsOp::Rate) return count / axis.seconds();
  if (function.op == MetricsOp::CountOverTime) return count;
  if (values.empty()) return std::nullopt;
  double sum = 0;
  for (const double value : values) sum += value;
  switch (function.op) {
    case MetricsOp::MinOverTime:
      return *std::ranges::min_element(values) / unit_of(function);
    case MetricsOp::MaxOverTime:
      return *std::ranges::max_element(values) / unit_of(function);
    case MetricsOp::AvgOverTime:
      return sum / count / unit_of(function);
    default:
      return sum / unit_of(function);
  }
}

Lines plain_lines(const MetricsFunction& function, const Group& group, const Axis& axis) {
  Line line{.labels = group.labels};
  for (std::int64_t i = 0; i < axis.count(); ++i) {
    const auto found = group.values.find(i);
    const auto sample = sample_of(
        function, found == group.values.end() ? std::vector<double>() : found->second, axis);
    if (sample) line.samples[i] = *sample;
  }
  return {std::move(line)};
}

// One line for each bucket, or for each quantile.
Lines bucket_lines(const MetricsFunction& function, const Group& group, const Axis& axis) {
  std::map<double, std::map<std::int64_t, double>> counts;  // by bucket, by interval
  for (const auto& [interval, values] : group.values) {
    for (const double value : values) ++counts[bucket_of(value)][interval];
  }
  Lines lines;
  const double unit = unit_of(function);
  if (function.op == MetricsOp::HistogramOverTime) {
    for (const auto& [bound, by_interval] : counts) {
      Line line{.labels = group.labels};
      line.labels.push_back({.key = "__bucket", .value = Static::of_float(bound / unit)});
      for (std::int64_t i = 0; i < axis.count(); ++i) {
        line.samples[i] = by_interval.contains(i) ? by_interval.at(i) : 0;
      }
      lines.push_back(std::move(line));
    }
    return lines;
  }
  for (const double p : function.quantiles) {
    Line line{.labels = group.labels};
    line.labels.push_back({.key = "p", .value = Static::of_float(p)});
    for (std::int64_t i = 0; i < axis.count(); ++i) {
      std::map<double, double> buckets;
      for (const auto& [bound, by_interval] : counts) {
        if (by_interval.contains(i)) buckets[bound] = by_interval.at(i);
      }
      line.samples[i] = quantile_of(p, buckets) / unit;
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

Lines run_function(const MetricsFunction& function, const std::vector<Seen>& seen,
                   const Axis& axis) {
  std::vector<Group> groups;
  for (const Seen& one : seen) {
    const auto value = observed(function, one);
    if (!value) continue;
    Labels labels = labels_of(function, one);
    auto group = std::ranges::find_if(
        groups, [&](const Group& known) { return same_labels(known.labels, labels); });
    if (group == groups.end()) {
      groups.push_back({.labels = std::move(labels)});
      group = groups.end() - 1;
    }
    group->values[one.interval].push_back(*value);
  }
  if (groups.empty() && function.by.empty() && counts_spans(function)) {
    groups.push_back({.labels = labels_of(function, {})});
  }
  Lines lines;
  for (const Group& group : groups) {
    std::ranges::move(has_buckets(function) ? bucket_lines(function, group, axis)
                                            : plain_lines(function, group, axis),
                      std::back_inserter(lines));
  }
  drop_empty(lines);
  sort_lines(lines);
  return lines;
}

// ---- compare()

/// Every attribute of the span that compare() tells of, by its text.
std::map<std::string, Static> all_attributes(const Seen& seen) {
  std::map<std::string, Static> result;
  const auto add = [&](const Attribute& attribute) {
    const Static value = value_of(attribute, *seen.trace, *seen.span);
    if (value.type != StaticType::Nil) result.emplace(attribute.text, label_value(value));
  };
  for (const Intrinsic intrinsic :
       {Intrinsic::Name, Intrinsic::Kind, Intrinsic::Status, Intrinsic::StatusMessage,
        Intrinsic::RootName, Intrinsic::RootServiceName, Intrinsic::ChildCount,
        Intrinsic::InstrumentationName, Intrinsic::InstrumentationVersion, Intrinsic::EventName,
        Intrinsic::LinkTraceId, Intrinsic::LinkSpanId}) {
    add(make_intrinsic(intrinsic));
  }
  const auto add_all = [&](AttributeScope scope, const PlainAttributes& attributes) {
    for (const auto& [name, value] : attributes) add(make_attribute(scope, name));
  };
  add_all(AttributeScope::Span, seen.span->attributes);
  add_all(AttributeScope::Resource, seen.span->resource);
  add_all(AttributeScope::Instrumentation, seen.span->scope);
  for (const PlainEvent& event : seen.span->events) {
    add_all(AttributeScope::Event, event.attributes);
  }
  for (const PlainLink& link : seen.span->links) add_all(AttributeScope::Link, link.attributes);
  return result;
}

struct ValueCount {
  Static value;
  Samples counts;
  double total = 0;
};

/// By attribute, of one side.
using SideCounts = std::map<std::string, std::vector<ValueCount>>;

void count(SideCounts& side, const Seen& seen) {
  for (auto& [text, value] : all_attributes(seen)) {
    std::vector<ValueCount>& values = side[text];
    auto known = std::ranges::find(values, value, &ValueCount::value);
    if (known == values.end()) {
      values.push_back({.value = value});
      known = values.end() - 1;
    }
    ++known->counts[seen.interval];
    ++known->total;
  }
}

Line compare_line(std::string_view type, const std::string& text, const Static& value,
                  const Samples& counts, const Axis& axis) {
  Line line;
  line.labels.push_back({.key = "__meta_type", .value = Static::of_string(std::string(type))});
  line.labels.push_back({.key = text, .value = value});
  for (std::int64_t i = 0; i < axis.count(); ++i) {
    line.samples[i] = counts.contains(i) ? counts.at(i) : 0;
  }
  return line;
}

void add_side(Lines& lines, std::string_view type, SideCounts& side, std::size_t top,
              const Axis& axis, std::set<std::string>& overflowing) {
  for (auto& [text, values] : side) {
    std::ranges::stable_sort(values, {},
                             [](const ValueCount& value) { return label_text(value.value); });
    std::ranges::stable_sort(values, std::greater<>(), &ValueCount::total);
    Samples totals;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i < top)
        lines.push_back(compare_line(type, text, values[i].value, values[i].counts, axis));
      for (const auto& [interval, number] : values[i].counts) totals[interval] += number;
    }
    if (values.size() > top) overflowing.insert(text);
    lines.push_back(
        compare_line(std::string(type) + "_total", text, Static::of_string("nil"), totals, axis));
  }
}

Lines run_compare(const MetricsFunction& function, const std::vector<Seen>& seen,
                  const Axis& axis) {
  SideCounts baseline;
  SideCounts selection;
  const bool has_window = function.selection_start_ns != 0 || function.selection_end_ns != 0;
  for (const Seen& one : seen) {
    const std::int64_t start = one.span->start_ns;
    const bool is_in_window =
        !has_window || (start > function.selection_start_ns && start <= function.selection_end_ns);
    const bool is_selected = is_in_window && holds(*function.selection, *one.trace, *one.span);
    count(is_selected ? selection : baseline, one);
  }
  Lines lines;
  std::set<std::string> overflowing;
  const auto top = static_cast<std::size_t>(function.top_n);
  add_side(lines, "baseline", baseline, top, axis, overflowing);
  add_side(lines, "selection", selection, top, axis, overflowing);
  for (const std::string& text : overflowing) {
    lines.push_back(
        {.labels = {{.key = "__meta_error", .value = Static::of_string("__too_many_values__")},
                    {.key = text, .value = Static::of_string("nil")}},
         .is_notice = true});
  }
  sort_lines(lines);
  return lines;
}

// ---- second stages and arithmetic

void filter_samples(Lines& lines, const SecondStage& stage) {
  for (Line& line : lines) {
    std::erase_if(line.samples, [&](const auto& sample) {
      return !compare_values(stage.op, Static::of_float(sample.second),
                             Static::of_float(stage.value));
    });
  }
}

// Of equal samples topk() keeps the first line's and bottomk() the last's.
void keep_extremes(Lines& lines, const SecondStage& stage, const Axis& axis) {
  const auto limit = static_cast<std::size_t>(stage.limit);
  if (lines.size() <= limit) return;
  const bool is_top = stage.kind == SecondStage::Kind::TopK;
  for (std::int64_t i = 0; i < axis.count(); ++i) {
    std::vector<std::pair<double, Line*>> ranked;
    for (Line& line : lines) {
      if (line.samples.contains(i)) ranked.emplace_back(line.samples.at(i), &line);
    }
    if (!is_top) std::ranges::reverse(ranked);
    std::ranges::stable_sort(ranked, [&](const auto& a, const auto& b) {
      return is_top ? a.first > b.first : a.first < b.first;
    });
    for (std::size_t rank = limit; rank < ranked.size(); ++rank)
      ranked[rank].second->samples.erase(i);
  }
}

void apply_second(Lines& lines, const std::vector<SecondStage>& stages, const Axis& axis) {
  for (const SecondStage& stage : stages) {
    if (stage.kind == SecondStage::Kind::Filter) {
      filter_samples(lines, stage);
    } else {
      keep_extremes(lines, stage, axis);
    }
    drop_empty(lines);
  }
}

std::optional<double> calculate(FieldOp op, double left, double right) {
  if (op == FieldOp::Add) return left + right;
  if (op == FieldOp::Subtract) return left - right;
  if (op == FieldOp::Multiply) return left * right;
  if (right == 0) return std::nullopt;
  return left / right;
}

Labels without_name(const Labels& labels) {
  Labels result;
  std::ranges::copy_if(labels, std::back_inserter(result),
                       [](const NamedValue& label) { return label.key != "__name__"; });
  return result;
}

const Static* name_of(const Line& line) {
  const auto found = std::ranges::find(line.labels, "__name__", &NamedValue::key);
  return found == line.labels.end() ? nullptr : &found->value;
}

Line join(FieldOp op, const Line& left, const Line& right) {
  Line result;
  if (name_of(left) != nullptr && name_of(right) != nullptr) {
    result.labels.push_back(
        {.key = "__name__",
         .value = Static::of_string(fmt::format("({} {} {})", label_text(*name_of(left)),
                                                field_op_text(op), label_text(*name_of(right))))});
  }
  Labels labels = without_name(left.labels);
  if (labels.empty()) labels = without_name(right.labels);
  std::ranges::move(labels, std::back_inserter(result.labels));
  for (const auto& [interval, value] : left.samples) {
    const auto other = right.samples.find(interval);
    if (other == right.samples.end()) continue;
    const auto sample = calculate(op, value, other->second);
    if (sample) result.samples[interval] = *sample;
  }
  return result;
}

Lines join_all(FieldOp op, const Lines& left, const Lines& right) {
  const auto is_single = [](const Lines& lines) {
    return lines.size() == 1 && without_name(lines[0].labels).empty();
  };
  Lines result;
  for (const Line& a : left) {
    for (const Line& b : right) {
      const bool is_pair = is_single(right) || is_single(left) ||
                           same_labels(without_name(a.labels), without_name(b.labels));
      if (is_pair) result.push_back(join(op, a, b));
    }
  }
  return result;
}

Operand calculate_all(FieldOp op, const Operand& left, const Operand& right) {
  const auto* left_lines = std::get_if<Lines>(&left);
  const auto* right_lines = std::get_if<Lines>(&right);
  Lines result;
  if (left_lines != nullptr && right_lines != nullptr) {
    result = join_all(op, *left_lines, *right_lines);
  } else {
    for (const Line& line : left_lines != nullptr ? *left_lines : *right_lines) {
      Line computed{.labels = line.labels};
      for (const auto& [interval, value] : line.samples) {
        const auto sample = left_lines != nullptr ? calculate(op, value, std::get<double>(right))
                                                  : calculate(op, std::get<double>(left), value);
        if (sample) computed.samples[interval] = *sample;
      }
      result.push_back(std::move(computed));
    }
  }
  drop_empty(result);
  sort_lines(result);
  return result;
}

Result<Operand> evaluate(const MetricsExpr& expr, const std::vector<PlainTrace>& traces,
                         const Axis& axis) {
  if (const auto* number = std::get_if<double>(&expr.node)) return *number;
  Operand operand;
  if (const auto* binary = std::get_if<MetricsBinary>(&expr.node)) {
    GANTRY_TRY(const Operand left, evaluate(*binary->left, traces, axis));
    GANTRY_TRY(const Operand right, evaluate(*binary->right, traces, axis));
    operand = calculate_all(binary->op, left, right);
  } else {
    const auto& metrics = std::get<MetricsPipeline>(expr.node);
    GANTRY_TRY(const std::vector<Seen> seen, select(metrics.pipeline, traces, axis));
    operand = metrics.function.op == MetricsOp::Compare
                  ? run_compare(metrics.function, seen, axis)
                  : run_function(metrics.function, seen, axis);
  }
  apply_second(std::get<Lines>(operand), expr.second, axis);
  return operand;
}

}  // namespace

Result<MetricsAnswer> PlainEvaluator::metrics(const MetricsRequest& request) const {
  if (request.end_ns <= request.start_ns) {
    return fail(Code::InvalidArgument, "end must be greater than start");
  }
  const Axis axis = make_axis(request);
  GANTRY_TRY(Operand operand, evaluate(*std::get<MetricsPtr>(request.query->node), traces_, axis));
  MetricsAnswer answer;
  for (Line& line : std::get<Lines>(operand)) {
    MetricsSeries series{.labels = std::move(line.labels)};
    for (const auto& [interval, value] : line.samples) {
      series.samples.emplace_back(axis.timestamp_ms(interval), value);
    }
    answer.series.push_back(std::move(series));
  }
  return answer;
}

}  // namespace gantry::traceql::testing
