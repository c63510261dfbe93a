#include "promql/eval/histogram_functions.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/number_format.h"
#include "promql/kernels/classic_histogram.h"

namespace gantry::promql::eval {
namespace {

using kernels::ClassicBucket;

/// The rows that make one classic histogram, and the native ones of the same labels.
struct BucketGroup {
  struct Bucket {
    double upper_bound = 0;
    std::uint32_t row = 0;
  };

  LabelSetId labels = kEmptyLabels;  ///< Without `le`; with the name.
  bool drops_name = false;
  std::vector<Bucket> buckets;
  std::vector<std::uint32_t> native_rows;
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
      groups.push_back({.labels = labels, .drops_name = false, .buckets = {}, .native_rows = {}});
    return groups[place->second];
  };
  for (std::uint32_t row = 0; row < matrix.count(); ++row) {
    const LabelSetId labels = table.with(matrix.labels[row], le, kEmptySymbol);
    if (!matrix.rows.histograms(row).empty()) group_of(labels).native_rows.push_back(row);
    if (!has_floats(matrix, row)) continue;
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
  std::erase_if(groups, [](const BucketGroup& group) { return group.buckets.empty(); });
  for (BucketGroup& group : groups) {
    std::ranges::stable_sort(group.buckets, {}, &BucketGroup::Bucket::upper_bound);
  }
  return groups;
}

bool has_native(const BucketGroup& group, const Matrix& matrix, std::size_t step) {
  return std::ranges::any_of(group.native_rows, [&](std::uint32_t row) {
    return matrix.rows.histograms(row)[step] != nullptr;
  });
}

/// Of the buckets of one group at one step; may annotate. Nothing: no result.
using BucketFunction = std::function<std::optional<double>(
    std::size_t step, const std::string& name, std::span<ClassicBucket> buckets,
    AnnotationSet& annotations)>;

Result<Matrix> for_each_histogram(QueryContext& context, const HistogramCall& call,
                                  const std::vector<BucketGroup>& groups, const Matrix& matrix,
                                  const BucketFunction& function) {
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
        buckets.clear();
        for (const BucketGroup::Bucket& bucket : group.buckets) {
          if (!kernels::test_bit(matrix.rows.bits(bucket.row), step)) continue;
          buckets.push_back(
              {.upper_bound = bucket.upper_bound, .count = matrix.rows.row(bucket.row)[step]});
        }
        if (buckets.empty()) continue;
        if (has_native(group, matrix, step)) {
          scratch.annotations.warn(
              "vector contains a mix of classic and native histograms" + for_metric_name(names[i]),
              call.vector_position);
          continue;
        }
        const std::optional<double> value = function(step, names[i], buckets, scratch.annotations);
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

void warn_quantiles(QueryContext& context, const HistogramCall& call,
                    const std::vector<double>& phi) {
  for (const double value : phi) {
    if (value >= 0 && value <= 1) continue;
    std::string text = "quantile value should be between 0 and 1, got ";
    core::append_float_general(text, value);
    context.annotations.warn(std::move(text), call.scalar_position);
  }
}

/// 0.5, 1.0, +Inf: as OpenMetrics writes quantiles.
std::string quantile_text(double value) {
  std::string text;
  core::append_float_general(text, value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

BucketFunction quantile_function(const HistogramCall& call, const std::vector<double>& phi) {
  return [&call, &phi](std::size_t step, const std::string& name, std::span<ClassicBucket> buckets,
                       AnnotationSet& annotations) -> std::optional<double> {
    const kernels::ClassicQuantile result = kernels::classic_histogram_quantile(phi[step], buckets);
    if (result.fix.is_fixed) {
      annotations.add_monotonicity_fix(name, result.fix, call.grid.time_ms(step),
                                       call.vector_position);
    }
    return result.value;
  };
}

}  // namespace

Result<Matrix> histogram_quantile(QueryContext& context, const HistogramCall& call,
                                  const std::vector<double>& phi, const Matrix& buckets) {
  warn_quantiles(context, call, phi);
  const std::vector<BucketGroup> groups = find_groups(context, call, buckets);
  GANTRY_TRY(Matrix result,
             for_each_histogram(context, call, groups, buckets, quantile_function(call, phi)));
  return drop_names(context, std::move(result));
}

Result<Matrix> histogram_quantiles(QueryContext& context, const HistogramCall& call,
                                   const std::string& label,
                                   const std::vector<std::vector<double>>& phis,
                                   const Matrix& buckets) {
  const std::vector<BucketGroup> groups = find_groups(context, call, buckets);
  const Symbol symbol = context.labels.intern(label);
  std::vector<Matrix> parts;
  std::size_t rows = 0;
  for (const std::vector<double>& phi : phis) {
    warn_quantiles(context, call, phi);
    const BucketFunction quantile = quantile_function(call, phi);
    std::vector<double> distinct;
    for (const double value : phi) {
      const auto is_same = [value](double other) {
        return other == value || (std::isnan(other) && std::isnan(value));
      };
      if (std::ranges::none_of(distinct, is_same)) distinct.push_back(value);
    }
    // A quantile that changes from step to step makes several series.
    for (const double value : distinct) {
      GANTRY_TRY(
          Matrix part,
          for_each_histogram(
              context, call, groups, buckets,
              [&](std::size_t step, const std::string& name, std::span<ClassicBucket> of_step,
                  AnnotationSet& annotations) -> std::optional<double> {
                if (phi[step] != value && !(std::isnan(phi[step]) && std::isnan(value))) {
                  return std::nullopt;
                }
                return quantile(step, name, of_step, annotations);
              }));
      const Symbol text = context.labels.intern(quantile_text(value));
      for (LabelSetId& labels : part.labels) labels = context.labels.with(labels, symbol, text);
      rows += part.count();
      parts.push_back(std::move(part));
    }
  }
  GANTRY_TRY(Matrix result, make_matrix(context.budget, rows, buckets.rows.steps()));
  std::size_t to = 0;
  for (const Matrix& part : parts) {
    for (std::size_t row = 0; row < part.count(); ++row, ++to) {
      result.labels[to] = part.labels[row];
      result.drops_name[to] = part.drops_name[row];
      std::ranges::copy(part.rows.row(row), result.rows.row(to).begin());
      std::ranges::copy(part.rows.bits(row), result.rows.bits(to).begin());
    }
  }
  return drop_names(context, std::move(result));
}

Result<Matrix> histogram_fraction(QueryContext& context, const HistogramCall& call,
                                  const std::vector<double>& lower,
                                  const std::vector<double>& upper, const Matrix& buckets) {
  const std::vector<BucketGroup> groups = find_groups(context, call, buckets);
  GANTRY_TRY(Matrix result,
             for_each_histogram(context, call, groups, buckets,
                                [&](std::size_t step, const std::string& /*name*/,
                                    std::span<ClassicBucket> of_step, AnnotationSet&) {
                                  return std::optional(kernels::classic_histogram_fraction(
                                      lower[step], upper[step], of_step));
                                }));
  return drop_names(context, std::move(result));
}

RowsMap make_histogram_accessor(FunctionId function) {
  return [function](const RowsView& rows, BatchScratch& /*scratch*/) {
    for (std::size_t row = 0; row < rows.count; ++row) {
      std::ranges::fill(rows.bits(row), 0);
      for (std::size_t step = 0; step < rows.histograms[row].size(); ++step) {
        const HistogramPtr& histogram = rows.histograms[row][step];
        if (histogram == nullptr) continue;
        double value = histogram->count;
        if (function == FunctionId::HistogramSum) value = histogram->sum;
        if (function == FunctionId::HistogramAvg) value = histogram->sum / histogram->count;
        rows.row(row)[step] = value;
        kernels::set_bit(rows.bits(row), step);
      }
      rows.histograms[row].clear();
    }
    return Result<void>();
  };
}

}  // namespace gantry::promql::eval
