#include "promql/testing/random_query.h"

#include <cstddef>
#include <string_view>
#include <vector>

#include "promql/function_table.h"
#include "promql/testing/random_selector.h"
#include "promql/testing/vocabulary.h"

namespace gantry::promql::promqltest {

namespace {

using Id = FunctionId;

constexpr Words kSetOperators = {"and", "or", "unless"};
constexpr Words kPlainAggregators = {"sum", "avg",   "count",  "min",
                                     "max", "group", "stddev", "stdvar"};
// Whose series never have equal values, so that a choice among them does not depend on their order.
constexpr Words kDistinctMetrics = {"errors_total",   "hits",        "temperature",
                                    "requests_total", "queue_depth", "latency_seconds_sum"};
constexpr Words kPairOperators = {"rate",          "increase",       "irate",
                                  "sum_over_time", "last_over_time", "max_over_time"};

// Of later versions than 2.42, apart from the experimental ones.
bool is_newer_than_2_42(const FunctionSignature& function) {
  switch (function.id) {
    case Id::HistogramAvg:
    case Id::HistogramStddev:
    case Id::HistogramStdvar:
    case Id::FirstOverTime:
      return true;
    default:
      return function.is_experimental;
  }
}

bool is_of_histograms(Id id) {
  switch (id) {
    case Id::HistogramAvg:
    case Id::HistogramCount:
    case Id::HistogramFraction:
    case Id::HistogramStddev:
    case Id::HistogramStdvar:
    case Id::HistogramSum:
      return true;
    default:
      return false;
  }
}

bool is_of_calendar(Id id) {
  switch (id) {
    case Id::DayOfMonth:
    case Id::DayOfWeek:
    case Id::DayOfYear:
    case Id::DaysInMonth:
    case Id::Hour:
    case Id::Minute:
    case Id::Month:
    case Id::Year:
      return true;
    default:
      return false;
  }
}

bool is_periodic(Id id) {
  return id == Id::Sin || id == Id::Cos || id == Id::Tan;
}

bool takes_anchored(Id id) {
  return id == Id::Changes || id == Id::Delta || id == Id::Increase || id == Id::Rate ||
         id == Id::Resets;
}

bool takes_smoothed(Id id) {
  return id == Id::Delta || id == Id::Increase || id == Id::Rate;
}

// One number to another: there are so many of them that they would crowd out the rest.
bool is_element_wise(const FunctionSignature& function) {
  return function.argument_types.size() == 1 && function.argument_types[0] == ValueType::Vector &&
         function.return_type == ValueType::Vector && !is_of_histograms(function.id) &&
         function.id != Id::Absent && function.id != Id::Timestamp &&
         function.id != Id::StartTimestamp;
}

class QueryMaker : private RandomSelector {
 public:
  QueryMaker(std::uint64_t seed, const QueryFeatures& features) : RandomSelector(seed, features) {
    for (const FunctionSignature& function : all_functions()) {
      if (!is_allowed(function)) continue;
      (function.return_type == ValueType::Vector ? vector_functions_ : scalar_functions_)
          .push_back(&function);
    }
  }

  std::string query() { return one_in(12) ? scalar(3) : vector(static_cast<int>(below(4))); }

 private:
  [[nodiscard]] bool is_allowed(const FunctionSignature& function) const {
    if (features_.prometheus_2_42) {
      // Without histograms a fraction is always empty there.
      return !is_newer_than_2_42(function) && !is_of_histograms(function.id);
    }
    if (function.is_experimental && !features_.experimental_functions) return false;
    if (function.id == Id::Info && !features_.info) return false;
    // Over classic buckets it works without.
    return features_.histograms || !is_of_histograms(function.id) ||
           function.id == Id::HistogramFraction;
  }

  // ---- ranges

  std::string matrix(int depth, Id function) {
    if (features_.prometheus_2_42 && function == Id::PredictLinear) return old_prediction_range();
    if (features_.subqueries && one_in(depth > 0 ? 4 : 12)) {
      // Another expression may begin inside the window at any value, and where a rate's
      // extrapolation then stops at zero has changed.
      const bool is_plain =
          features_.prometheus_2_42 && (function == Id::Rate || function == Id::Increase);
      return subquery(is_plain ? 0 : depth);
    }
    std::string text = joined({selector_without_time(), "[", range_duration(), "]"});
    if (has_extended_ranges() && takes_anchored(function) && one_in(3)) {
      text += takes_smoothed(function) && one_in(2) ? " smoothed" : " anchored";
    } else if (has_extended_ranges() && one_in(100)) {
      text += one_in(2) ? " smoothed" : " anchored";
    }
    return text + time_modifiers();
  }

  // Without @: 2.42 loses its samples from one step to the next in functions of the step's time.
  std::string old_prediction_range() {
    return joined({selector_without_time(), "[", range_duration(), "]", one_in(8) ? offset() : ""});
  }

  std::string subquery(int depth) {
    const std::string inner = depth > 0 ? atom(depth - 1) : selector();
    std::string text =
        (inner.find(" offset ") == std::string::npos && inner.find(" @ ") == std::string::npos)
            ? inner
            : "(" + inner + ")";
    if (has_extended_ranges() && (text.ends_with(" anchored") || text.ends_with(" smoothed")))
      text = "(" + text + ")";
    if (features_.prometheus_2_42) {
      text += "[" + one_of({"2m500ms", "5m500ms", "90s500ms", "10m500ms", "3m500ms"});
      if (text.ends_with("90s500ms")) text.replace(text.size() - 8, 8, "1m30s500ms");
    } else {
      text += "[" + one_of({"2m", "5m", "90s", "10m", "3m", "17s", "4m30s", "30m"});
    }
    text += ":" + one_of({"", "30s", "1m", "15s", "17s", "2m"}) + "]";
    return text + time_modifiers();
  }

  // ---- scalars

  std::string scalar(int depth) {
    if (depth <= 0 || one_in(2)) return one_in(6) ? "time()" : number();
    switch (below(6)) {
      case 0:
        return joined({"(", scalar(depth - 1), " ", arithmetic(), " ", scalar(depth - 1), ")"});
      case 1:
        return joined(
            {"(", scalar(depth - 1), " ", one_of(kComparisons), " bool ", scalar(depth - 1), ")"});
      case 2:
        return "-(" + scalar(depth - 1) + ")";
      case 3: {
        const FunctionSignature& function = *scalar_functions_[below(scalar_functions_.size())];
        if (function.id != Id::Scalar) return call(function, depth);
        return "scalar(" + one_vector(depth) + ")";
      }
      default:
        return "scalar(" + one_vector(depth) + ")";
    }
  }

  // Of an aggregation, or beside a range. Evaluated once by 2.42 where the vector has a fixed time.
  std::string parameter_scalar() { return features_.prometheus_2_42 ? number() : scalar(1); }

  // Mostly of one element.
  std::string one_vector(int depth) {
    switch (below(4)) {
      case 0:
        return vector(depth - 1);
      case 1:
        return "errors_total{job=\"api\", instance=\"" + one_of(kInstances) + "\"}";
      default:
        return aggregate_by("", depth);
    }
  }

  // ---- vectors

  std::string vector(int depth) {
    if (depth <= 0) return one_in(3) ? range_call(0) : selector();
    switch (below(16)) {
      case 0:
        return "-" + atom(depth - 1);
      case 1:
        return one_in(4) ? "+" + atom(depth - 1) : "(" + vector(depth - 1) + ")";
      case 2:
      case 3:
      case 4:
      case 5:
        return binary(depth);
      case 6:
        return bucket_quantile();
      default:
        return atom(depth);
    }
  }

  // What a bracket or an operator may follow.
  std::string atom(int depth) {
    if (depth <= 0) return one_in(3) ? range_call(0) : selector();
    switch (below(10)) {
      case 0:
        return "(" + vector(depth - 1) + ")";
      case 1:
      case 2:
      case 3:
        return aggregate(depth);
      case 4:
      case 5:
        return range_call(depth);
      case 6:
        if (features_.histograms && features_.prometheus_2_42) {
          return joined({one_of({"histogram_count(", "histogram_sum("}), native(depth - 1), ")"});
        }
        [[fallthrough]];
      default:
        return any_call(depth);
    }
  }

  // Histograms, as far as old versions agree on them.
  std::string native(int depth) {
    const std::string name = one_in(3) ? "gauge_native" : "duration_native";
    if (depth <= 0) {
      return one_in(2) || name == "gauge_native"
                 ? braced(name)
                 : joined({"rate(", braced(name), "[", one_of(kRanges), "])"});
    }
    switch (below(3)) {
      case 0:
        return joined({"sum by (", one_of({"job", "instance", "job, instance", ""}), ") (",
                       native(depth - 1), ")"});
      case 1:
        return "(duration_native + gauge_native)";
      default:
        return native(0);
    }
  }

  std::string bucket_quantile() {
    const std::string argument =
        joined({"sum by (", one_of({"le", "job, le", "instance, job, le"}), ") (rate(",
                braced(std::string(kBucketMetric)), "[", range_duration(), "]))"});
    return "histogram_quantile(" + one_of({"0.5", "0.9", "0.99", "0", "1", "0.25", "1.5", "-1"}) +
           ", " + argument + ")";
  }

  // A deviation among infinities has changed, and so has their calendar, which depends on the
  // machine.
  static std::string only_finite(const std::string& operand) {
    return "((" + operand + ") > -1e9 < 1e9)";
  }

  std::string aggregate_by(std::string_view labels, int depth) {
    const std::string op = one_of(kPlainAggregators);
    std::string operand = vector(depth - 1);
    if (features_.prometheus_2_42 && op.starts_with("std")) operand = only_finite(operand);
    return op + " by (" + std::string(labels) + ") (" + operand + ")";
  }

  // Ties go by the order of series, which stores need not agree on.
  std::string distinct_values() {
    const std::string selected = braced(one_of(kDistinctMetrics));
    switch (below(4)) {
      case 0:
        return joined({one_of({"last_over_time", "max_over_time", "min_over_time"}), "(", selected,
                       "[", range_duration(), "])"});
      case 1:
        return selected + " * " + one_of({"2", "-1", "0.25"});
      default:
        return selected + time_modifiers();
    }
  }

  std::string aggregate(int depth) {
    std::string op;
    std::string parameter;
    std::string operand = vector(depth - 1);
    switch (below(features_.experimental_functions && !features_.prometheus_2_42 ? 12 : 9)) {
      case 0:
      case 1:
        op = one_of({"topk", "bottomk"});
        parameter = one_in(10) ? parameter_scalar() : std::to_string(below(5));
        if (features_.prometheus_2_42) {
          // Numbers beyond integers are refused in another order.
          parameter = one_of({"1", "2", "3", "4", "0", "-1", "2.9", "1e3"});
          operand = distinct_values();
        }
        break;
      case 2:
        op = "quantile";
        parameter = one_in(5) ? parameter_scalar()
                              : one_of({"0.5", "0.9", "0", "1", "0.25", "-0.1", "1.1"});
        break;
      case 3:
        op = "count_values";
        parameter = one_of({"\"value\"", "\"job\"", "\"code\""});
        // The last digit of a mean has changed.
        if (features_.prometheus_2_42) operand = selector();
        break;
      case 9:
        op = "limitk";
        parameter = one_in(10) ? scalar(1) : std::to_string(below(5));
        break;
      case 10:
        op = "limit_ratio";
        parameter = one_of({"0.5", "-0.5", "0.3", "1", "-1", "0", "1.5", "-0.8"});
        break;
      default:
        op = one_of(kPlainAggregators);
        if (features_.prometheus_2_42 && op.starts_with("std")) operand = only_finite(operand);
    }
    const std::string arguments =
        "(" + (parameter.empty() ? operand : parameter + ", " + operand) + ")";
    if (one_in(3)) return op + arguments;
    const std::string modifier = joined({one_in(3) ? "without " : "by ", grouping()});
    return one_in(3) ? op + arguments + " " + modifier : op + " " + modifier + " " + arguments;
  }

  // ---- calls

  std::string range_call(int depth) {
    for (;;) {
      const FunctionSignature& function = *vector_functions_[below(vector_functions_.size())];
      if (function.argument_types.empty()) continue;
      bool has_range = false;
      for (const ValueType type : function.argument_types) has_range |= type == ValueType::Matrix;
      if (has_range) return call(function, depth);
    }
  }

  std::string any_call(int depth) {
    const FunctionSignature* function = vector_functions_[below(vector_functions_.size())];
    for (int tries = 0; tries < 2 && is_element_wise(*function); ++tries) {
      function = vector_functions_[below(vector_functions_.size())];
    }
    return call(*function, depth);
  }

  std::string call(const FunctionSignature& function, int depth) {
    return std::string(function.name) + "(" + arguments(function, depth) + ")";
  }

  std::string arguments(const FunctionSignature& function, int depth) {
    switch (function.id) {
      case Id::LabelReplace:
        return joined({vector(depth - 1), ", ", label_replacement()});
      case Id::LabelJoin:
        return joined(
            {vector(depth - 1), ", \"", one_of({"dst", "job", "dst", "__name__"}), "\", \"",
             one_of({"-", "", ","}), "\", ",
             one_of({"\"job\"", "\"job\", \"instance\"", "\"__name__\", \"code\", \"nope\""})});
      case Id::SortByLabel:
      case Id::SortByLabelDesc:
        return joined({vector(depth - 1),
                       one_of({"", ", \"job\"", ", \"instance\", \"job\"", ", \"code\""})});
      case Id::HistogramQuantiles:
        return joined({histogram_operand(depth), ", \"", one_of({"q", "le", "job"}), "\", ",
                       one_of({"0.5", "0.5, 0.9", "0, 0.25, 1, 2"})});
      case Id::HistogramQuantile:
        return joined({one_of({"0.5", "0.9", "0.99", "0.1", "1", "-1", "NaN"}), ", ",
                       histogram_operand(depth)});
      case Id::HistogramFraction:
        return joined({one_of({"0", "-Inf", "0.2", "-1"}), ", ", one_of({"1", "0.3", "+Inf", "10"}),
                       ", ", histogram_operand(depth)});
      case Id::DoubleExponentialSmoothing:
        return joined({matrix(depth, function.id), ", ", one_of({"0.5", "0.3", "0.01"}), ", ",
                       one_of({"0.5", "0.9", "0.1"})});
      case Id::Info:
        return joined(
            {vector(depth - 1),
             one_of({"", ", {version=\"1.0\"}", ", {__name__=\"build_info\"}", ", {region=~\".+\"}",
                     ", {__name__=~\".+_info\", version=~\".*\"}"})});
      case Id::QuantileOverTime:
        return joined(
            {one_in(8) ? parameter_scalar() : one_of({"0.5", "0.9", "0", "1", "0.25", "2"}), ", ",
             matrix(depth, function.id)});
      case Id::Timestamp:
      case Id::StartTimestamp:
        return one_in(2) ? selector() : vector(depth - 1);
      default:
        return plain_arguments(function, depth);
    }
  }

  std::string plain_arguments(const FunctionSignature& function, int depth) {
    std::size_t count = function.argument_types.size();
    if (function.variadic != 0 && one_in(2)) --count;
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      if (i != 0) text += ", ";
      switch (function.argument_types[i]) {
        case ValueType::Scalar:
          text += scalar(one_in(3) ? depth - 1 : 0);
          break;
        case ValueType::Matrix:
          text += matrix(depth, function.id);
          break;
        default:
          text += vector_operand(function, depth);
      }
    }
    return text;
  }

  std::string vector_operand(const FunctionSignature& function, int depth) {
    // Of a large number that is not exact, the last digits decide.
    if (features_.prometheus_2_42 && is_periodic(function.id)) return selector();
    const std::string operand =
        is_of_histograms(function.id) ? histogram_operand(depth) : vector(depth - 1);
    const bool is_limited = features_.prometheus_2_42 && is_of_calendar(function.id);
    return is_limited ? only_finite(operand) : operand;
  }

  std::string histogram_operand(int depth) {
    if (!features_.histograms || features_.prometheus_2_42 || one_in(3)) {
      if (one_in(3)) return vector(depth - 1);
      return one_in(2) ? braced(std::string(kBucketMetric))
                       : joined({"rate(", braced(std::string(kBucketMetric)), "[", one_of(kRanges),
                                 "])"});
    }
    const std::string selected = braced(one_of(kNativeMetrics));
    switch (below(6)) {
      case 0:
        return selected;
      case 1:
        return joined({one_of({"rate", "increase", "delta", "irate", "sum_over_time",
                               "avg_over_time", "last_over_time"}),
                       "(", selected, "[", range_duration(), "])"});
      case 2:
        return joined({one_of({"sum", "avg"}), " by (", one_of({"job", "instance", ""}), ") (",
                       selected, ")"});
      case 3:
        return joined({"sum by (", one_of({"job", "instance", ""}), ") (rate(", selected, "[",
                       range_duration(), "]))"});
      case 4:
        return joined({"(", selected, " ", one_of({"</", ">/", "*", "/"}), " ",
                       one_of({"0.5", "1", "2", "-1"}), ")"});
      default:
        return vector(depth - 1);
    }
  }

  // ---- operators

  // Of {job, instance}, one element each.
  std::string pair_operand(int depth) {
    const bool with_native = features_.histograms && !features_.prometheus_2_42;
    const std::string name =
        with_native && one_in(4) ? one_of(kNativeMetrics) : one_of(kPairMetrics);
    switch (below(depth > 0 ? 5 : 3)) {
      case 0:
      case 1:
        return joined({braced(name), time_modifiers()});
      case 2:
        return joined({one_of(kPairOperators), "(", braced(name), "[", range_duration(), "])"});
      default:
        return aggregate_by("job, instance", depth);
    }
  }

  std::string binary(int depth) {
    switch (below(9)) {
      case 0:
        return joined({atom(depth - 1), " ", element_operator(), scalar(1)});
      case 1:
        return joined({scalar(1), " ", element_operator(), atom(depth - 1)});
      case 2:
      case 3:
        return set_operation(depth);
      case 4:
      case 5:
        return joined({pair_operand(depth), " ", element_operator(),
                       one_of({"", "", "on (job, instance) ", "ignoring () ", "ignoring (code) "}),
                       fill(), pair_operand(depth)});
      case 6:
        return one_to_many(depth);
      case 7: {
        const std::string group = one_of({"job", "instance"});
        return joined({aggregate_by(group, depth), " ", element_operator(), fill(),
                       aggregate_by(group, depth)});
      }
      default:
        return joined({vector(depth - 1), " ", many_operator(),
                       one_of({"", "on (job) ", "on (job, instance) ", "ignoring (code) ", "on () ",
                               "on (instance) group_left () ", "ignoring (job) group_right (code) ",
                               "on (__name__) "}),
                       vector(depth - 1)});
    }
  }

  std::string one_to_many(int depth) {
    const std::string many =
        one_in(2)
            ? braced(one_in(2) ? std::string(kCodeMetric) : std::string(kQueueMetric))
            : joined({"rate(", braced(std::string(kCodeMetric)), "[", range_duration(), "])"});
    const std::string one = one_in(3) ? one_of(kInfoMetrics) : pair_operand(depth);
    const std::string matching = one_of({"on (job, instance) ", "on (instance, job) ",
                                         "ignoring (code, queue, version, region, revision) "});
    const std::string include =
        one_of({"", "()", "(version)", "(version, region)", "(nope)", "(code)"});
    const bool is_left = one_in(2);
    return joined({is_left ? many : one, " ", many_operator(), matching,
                   is_left ? "group_left " : "group_right ", include, " ", fill(),
                   is_left ? one : many});
  }

  std::string set_operation(int depth) {
    return joined(
        {vector(depth - 1), " ", one_of(kSetOperators), " ",
         one_of({"", "", "on (job) ", "on (job, instance) ", "ignoring (code) ", "on () "}),
         vector(depth - 1)});
  }

  std::vector<const FunctionSignature*> vector_functions_;
  std::vector<const FunctionSignature*> scalar_functions_;
};

}  // namespace

QueryFeatures QueryFeatures::of_prometheus_2_42() {
  return {.experimental_functions = false,
          .histograms = false,
          .extended_ranges = false,
          .fill = false,
          .duration_expressions = false,
          .quoted_names = false,
          .info = false,
          .prometheus_2_42 = true};
}

ParserOptions parser_options(const QueryFeatures& features) {
  return {.experimental_functions = features.experimental_functions,
          .duration_expressions = features.duration_expressions,
          .extended_range_selectors = features.extended_ranges,
          .binop_fill_modifiers = features.fill};
}

std::string random_query(std::uint64_t seed, const QueryFeatures& features) {
  QueryMaker maker(seed, features);
  const ParserOptions options = parser_options(features);
  for (;;) {
    // Where operands stand without parentheses, precedence may pair a scalar with what wants a
    // vector.
    std::string text = maker.query();
    if (parse(text, options)) return text;
  }
}

}  // namespace gantry::promql::promqltest
