#include "promql/eval/histogram_functions.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/number_format.h"
#include "promql/histogram/statistics.h"
#include "promql/kernels/classic_histogram.h"

namespace gantry::promql::eval {
namespace {

using kernels::ClassicBucket;

/// The rows that make one classic histogram, and the native one of the same labels.
struct BucketGroup {
  struct Bucket {
    double upper_bound = 0;
    std::uint32_t row = 0;
  };

  LabelSetId labels = kEmptyLabels;  ///< With the name. Of classic buckets without `le`.
  bool drops_name = false;
  std::vector<Bucket> buckets;
  std::optional<std::uint32_t> native_row;
};

/// The name is told only where it is still there when the result is labelled.
std::string known_name(const QueryContext& context, LabelSetId labels) {
  return context.drops_names_at_once() ? std::string()
                                       : std::string(context.labels.name_of(labels));
}

bool has_floats(const Matrix& matrix, std::size_t row) {
  return std::ranges::any_of(matrix.rows.bits(row), [](std::uint64_t word) { return word != 0; });
}

std::vector<BucketGroup> find_groups(QueryContext& context, const HistogramCall& call,
                                     const Matrix& matrix) {
  LabelTable& table = context.labels;
  const Symbol le = table.intern("le");
  std::vector<BucketGroup> groups;
  std::unordered_map<LabelSetId, std::size_t> index;
  const auto group_of = [&](LabelSetId labels) -> BucketGroup& {
    const auto [place, is_new] = index.emplace(labels, groups.size());
    if (is_new)
      groups.push_back({.labels = labels, .drops_name = false, .buckets = {}, .native_row = {}});
    return groups[place->second];
  };
  for (std::uint32_t row = 0; row < matrix.count(); ++row) {
    if (!matrix.rows.histograms(row).empty()) {
      BucketGroup& group = group_of(matrix.labels[row]);
      group.native_row = row;
      group.drops_name = group.drops_name || matrix.drops_name[row] != 0;
    }
    if (!has_floats(matrix, row)) continue;
    const LabelSetId labels = table.with(matrix.labels[row], le, kEmptySymbol);
    const std::string_view bound_text = table.text(table.value(matrix.labels[row], le));
    const std::optional<double> bound = core::parse_float(bound_text);
    if (!bound) {
      context.annotations.warn(
          with_quoted("bucket label \"le\" is missing or has a malformed value of", bound_text) +
              for_metric_name(known_name(context, labels)),
          call.vector_position);
      continue;
    }
    BucketGroup& group = group_of(labels);
    group.buckets.push_back({.upper_bound = *bound, .row = row});
    group.drops_name = group.drops_name || matrix.drops_name[row] != 0;
  }
  for (BucketGroup& group : groups) {
    std::ranges::stable_sort(group.buckets, {}, &BucketGroup::Bucket::upper_bound);
  }
  return groups;
}

const telemetry::FloatHistogram* find_native(const BucketGroup& group, const Matrix& matrix,
                                             std::size_t step) {
  if (!group.native_row) return nullptr;
  return matrix.rows.histograms(*group.native_row)[step].get();
}

/// One histogram at one step. Texts of annotations want the metric name.
struct Place {
  std::size_t step = 0;
  const std::string& name;
  AnnotationSet& annotations;
};

/// What a function makes of a histogram of either kind. Nothing: no result.
struct HistogramFunction {
  std::function<std::optional<double>(std::span<ClassicBucket> buckets, const Place& place)>
      of_classic;
  std::function<std::optional<double>(const telemetry::FloatHistogram& histogram,
                                      const Place& place)>
      of_native;
};

void collect_buckets(const BucketGroup& group, const Matrix& matrix, std::size_t step,
                     std::vector<ClassicBucket>& buckets) {
  buckets.clear();
  for (const BucketGroup::Bucket& bucket : group.buckets) {
    if (!kernels::test_bit(matrix.rows.bits(bucket.row), step)) continue;
    buckets.push_back(
        {.upper_bound = bucket.upper_bound, .count = matrix.rows.row(bucket.row)[step]});
  }
}

Result<Matrix> for_each_histogram(QueryContext& context, const HistogramCall& call,
                                  const std::vector<BucketGroup>& groups, const Matrix& matrix,
                                  const HistogramFunction& function) {
  const std::size_t steps = matrix.rows.steps();
  GANTRY_TRY(Matrix result, make_matrix(context.budget, groups.size(), steps));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    result.labels[i] = groups[i].labels;
    result.drops_name[i] = groups[i].drops_name ? 1 : 0;
    names.push_back(known_name(context, groups[i].labels));
  }
  const RowsView out = result.rows.view();
  GANTRY_CHECK(run_batches(context, groups.size(), [&](const Batch& batch, BatchScratch& scratch) {
    std::vector<ClassicBucket> buckets;
    for (std::size_t i = batch.first; i < batch.first + batch.count; ++i) {
      const BucketGroup& group = groups[i];
      for (std::size_t step = 0; step < steps; ++step) {
        collect_buckets(group, matrix, step, buckets);
        const telemetry::FloatHistogram* const native = find_native(group, matrix, step);
        if (native == nullptr && buckets.empty()) continue;
        const Place place{.step = step, .name = names[i], .annotations = scratch.annotations};
        if (native != nullptr && !buckets.empty()) {
          scratch.annotations.warn(
              "vector contains a mix of classic and native histograms" + for_metric_name(names[i]),
              call.vector_position);
          continue;
        }
        const std::optional<double> value = native != nullptr ? function.of_native(*native, place)
                                                              : function.of_classic(buckets, place);
        if (!value) continue;
        out.row(i)[step] = *value;
        kernels::set_bit(out.bits(i), step);
      }
    }
    return Result<void>();
  }));
  GANTRY_CHECK(result.reservation.grow(count_samples(out), 0));
  remove_empty_rows(result);
  return result;
}

void warn_quantiles(QueryContext& context, const QuantileArgument& argument) {
  for (const double value : argument.phi) {
    if (value >= 0 && value <= 1) continue;
    std::string text = "quantile value should be between 0 and 1, got ";
    core::append_float_general(text, value);
    context.annotations.warn(std::move(text), argument.position);
  }
}

/// 0.5, 1.0, +Inf: as OpenMetrics writes quantiles.
std::string quantile_text(double value) {
  std::string text;
  core::append_float_general(text, value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

double quantile_of_native(double phi, const telemetry::FloatHistogram& native, const Place& place,
                          Position position) {
  const histogram::Quantile result = histogram::quantile(phi, native);
  constexpr std::string_view kText = "input to histogram_quantile has NaN observations, result is ";
  const auto inform = [&](std::string_view effect) {
    place.annotations.info(std::string(kText) + std::string(effect) + for_metric_name(place.name),
                           position);
  };
  switch (result.nan_effect) {
    case histogram::NanEffect::None:
      break;
    case histogram::NanEffect::ResultIsNan:
      inform("NaN");
      break;
    case histogram::NanEffect::SkewedHigher:
      inform("skewed higher");
      break;
  }
  return result.value;
}

/// `call` and `phi` must outlive the function.
HistogramFunction quantile_function(const HistogramCall& call, const std::vector<double>& phi) {
  return {.of_classic =
              [&call, &phi](std::span<ClassicBucket> buckets, const Place& place) {
                const kernels::ClassicQuantile result =
                    kernels::classic_histogram_quantile(phi[place.step], buckets);
                if (result.fix.is_fixed) {
                  place.annotations.add_monotonicity_fix(
                      place.name, result.fix, call.grid.time_ms(place.step), call.vector_position);
                }
                return std::optional(result.value);
              },
          .of_native =
              [&call, &phi](const telemetry::FloatHistogram& native, const Place& place) {
                return std::optional(
                    quantile_of_native(phi[place.step], native, place, call.vector_position));
              }};
}

bool is_same_quantile(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

/// The same function at those steps only that ask for `value`.
HistogramFunction where_quantile_is(double value, const std::vector<double>& phi,
                                    const HistogramFunction& quantile) {
  return {
      .of_classic =
          [value, &phi, &quantile](std::span<ClassicBucket> buckets, const Place& place) {
            return is_same_quantile(phi[place.step], value) ? quantile.of_classic(buckets, place)
                                                            : std::nullopt;
          },
      .of_native =
          [value, &phi, &quantile](const telemetry::FloatHistogram& native, const Place& place) {
            return is_same_quantile(phi[place.step], value) ? quantile.of_native(native, place)
                                                            : std::nullopt;
          }};
}

std::vector<double> distinct_values(const std::vector<double>& phi) {
  std::vector<double> distinct;
  for (const double value : phi) {
    if (std::ranges::none_of(distinct,
                             [value](double other) { return is_same_quantile(value, other); })) {
      distinct.push_back(value);
    }
  }
  return distinct;
}

Result<Matrix> join_rows(QueryContext& context, const std::vector<Matrix>& parts,
                         std::size_t steps) {
  std::size_t rows = 0;
  for (const Matrix& part : parts) rows += part.count();
  GANTRY_TRY(Matrix result, make_matrix(context.budget, rows, steps));
  std::size_t to = 0;
  for (const Matrix& part : parts) {
    for (std::size_t row = 0; row < part.count(); ++row, ++to) {
      result.labels[to] = part.labels[row];
      result.drops_name[to] = part.drops_name[row];
      std::ranges::copy(part.rows.row(row), result.rows.row(to).begin());
      std::ranges::copy(part.rows.bits(row), result.rows.bits(to).begin());
    }
  }
  return result;
}

double statistic(FunctionId function, const telemetry::FloatHistogram& native) {
  switch (function) {
    case FunctionId::HistogramSum:
      return native.sum;
    case FunctionId::HistogramAvg:
      return native.sum / native.count;
    case FunctionId::HistogramStdvar:
      return histogram::variance(native);
    case FunctionId::HistogramStddev:
      return std::sqrt(histogram::variance(native));
    default:
      return native.count;
  }
}

}  // namespace

Result<Matrix> histogram_quantile(QueryContext& context, const HistogramCall& call,
                                  const QuantileArgument& argument, const Matrix& buckets) {
  warn_quantiles(context, argument);
  const std::vector<BucketGroup> groups = find_groups(context, call, buckets);
  GANTRY_TRY(Matrix result, for_each_histogram(context, call, groups, buckets,
                                               quantile_function(call, argument.phi)));
  return drop_names(context, std::move(result));
}

Result<Matrix> histogram_quantiles(QueryContext& context, const HistogramCall& call,
                                   const std::string& label,
                                   const std::vector<QuantileArgument>& arguments,
                                   const Matrix& buckets) {
  const std::vector<BucketGroup> groups = find_groups(context, call, buckets);
  const Symbol symbol = context.labels.intern(label);
  std::vector<Matrix> parts;
  for (const QuantileArgument& argument : arguments) {
    warn_quantiles(context, argument);
    const HistogramFunction quantile = quantile_function(call, argument.phi);
    // A quantile that changes from step to step makes several series.
    for (const double value : distinct_values(argument.phi)) {
      GANTRY_TRY(Matrix part, for_each_histogram(context, call, groups, buckets,
                                                 where_quantile_is(value, argument.phi, quantile)));
      const Symbol text = context.labels.intern(quantile_text(value));
      for (LabelSetId& labels : part.labels) labels = context.labels.with(labels, symbol, text);
      parts.push_back(std::move(part));
    }
  }
  GANTRY_TRY(Matrix result, join_rows(context, parts, buckets.rows.steps()));
  GANTRY_TRY(result, drop_names(context, std::move(result)));
  // The label may have told rows apart. One step with delayed names keeps equal ones until the end.
  if (!context.drops_names_at_once() && !context.is_one_time(call.grid))
    GANTRY_CHECK(merge_equal_rows(result));
  return result;
}

Result<Matrix> histogram_fraction(QueryContext& context, const HistogramCall& call,
                                  const std::vector<double>& lower,
                                  const std::vector<double>& upper, const Matrix& buckets) {
  const std::vector<BucketGroup> groups = find_groups(context, call, buckets);
  const HistogramFunction fraction{
      .of_classic =
          [&](std::span<ClassicBucket> of_step, const Place& place) {
            return std::optional(
                kernels::classic_histogram_fraction(lower[place.step], upper[place.step], of_step));
          },
      .of_native =
          [&](const telemetry::FloatHistogram& native, const Place& place) {
            const histogram::Fraction result =
                histogram::fraction(lower[place.step], upper[place.step], native);
            if (result.excludes_nan) {
              place.annotations.info(
                  "input to histogram_fraction has NaN observations, which are "
                  "excluded from all fractions" +
                      for_metric_name(place.name),
                  call.vector_position);
            }
            return std::optional(result.value);
          }};
  GANTRY_TRY(Matrix result, for_each_histogram(context, call, groups, buckets, fraction));
  return drop_names(context, std::move(result));
}

RowsMap make_histogram_accessor(FunctionId function) {
  return [function](const RowsView& rows, BatchScratch& /*scratch*/) {
    for (std::size_t row = 0; row < rows.count; ++row) {
      std::ranges::fill(rows.bits(row), 0);
      for (std::size_t step = 0; step < rows.histograms[row].size(); ++step) {
        const HistogramPtr& native = rows.histograms[row][step];
        if (native == nullptr) continue;
        rows.row(row)[step] = statistic(function, *native);
        kernels::set_bit(rows.bits(row), step);
      }
      rows.histograms[row].clear();
    }
    return Result<void>();
  };
}

}  // namespace gantry::promql::eval
