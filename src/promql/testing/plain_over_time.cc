// The functions of range vectors of the plain evaluator, apart from the rate family.

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "promql/histogram/accumulate.h"
#include "promql/testing/plain_range.h"
#include "promql/testing/plain_sum.h"

namespace gantry::promql::promqltest {

namespace {

using Id = FunctionId;

std::vector<double> values_of(const std::vector<PlainSample>& samples) {
  std::vector<double> values;
  for (const PlainSample& sample : samples) values.push_back(sample.value);
  return values;
}

std::optional<PlainAnswer> number(double value) {
  return PlainAnswer{.value = value, .histogram = nullptr};
}

/// Histograms beside floats are left out.
void note_ignored(PlainNotes& notes, const PlainWindow& window) {
  if (window.histograms.empty()) return;
  notes.info(
      "ignored histograms in a range containing both floats and histograms for metric name " +
          go_quoted(window.metric_name),
      window.position);
}

template <class Accumulator>
std::optional<PlainAnswer> combined(PlainNotes& notes, const PlainWindow& window) {
  Accumulator all;
  for (const PlainSample& sample : window.histograms) {
    all.add(*sample.histogram);
    if (!all.notes().is_possible) {
      notes.warn(
          "vector contains a mix of histograms with exponential and custom buckets schemas for "
          "metric name " +
              go_quoted(window.metric_name),
          window.position);
      return std::nullopt;
    }
  }
  if (all.notes().has_hint_conflict)
    notes.warn("conflicting counter resets during histogram aggregation", window.position);
  if (all.notes().has_reconciled_bounds)
    notes.info("mismatched custom buckets were reconciled during aggregation", window.position);
  return PlainAnswer{.value = 0, .histogram = share(all.result())};
}

std::optional<PlainAnswer> sum_or_mean(PlainNotes& notes, Id function, const PlainWindow& window) {
  if (!window.floats.empty() && !window.histograms.empty()) {
    notes.warn("encountered a mix of histograms and floats for metric name " +
                   go_quoted(window.metric_name),
               window.position);
    return std::nullopt;
  }
  if (window.floats.empty()) {
    return function == Id::SumOverTime ? combined<histogram::Total>(notes, window)
                                       : combined<histogram::Mean>(notes, window);
  }
  if (function == Id::AvgOverTime) return number(plain_mean(values_of(window.floats)));
  PlainSum sum;
  for (const PlainSample& sample : window.floats) sum.add(sample.value);
  return number(sum.total());
}

std::optional<PlainAnswer> extreme(PlainNotes& notes, Id function, const PlainWindow& window) {
  if (window.floats.empty()) return std::nullopt;
  note_ignored(notes, window);
  const bool wants_time = function == Id::TsOfMaxOverTime || function == Id::TsOfMinOverTime;
  const bool wants_large = function == Id::TsOfMaxOverTime || function == Id::MaxOverTime;
  PlainSample best = window.floats[0];
  for (const PlainSample& sample : window.floats) {
    const bool is_better = wants_large ? sample.value > best.value : sample.value < best.value;
    if (is_better || std::isnan(best.value) || (wants_time && sample.value == best.value))
      best = sample;
  }
  return number(wants_time ? static_cast<double>(best.time_ms) / 1000 : best.value);
}

std::optional<PlainAnswer> spread(PlainNotes& notes, Id function, const PlainWindow& window) {
  if (window.floats.empty()) return std::nullopt;
  note_ignored(notes, window);
  double count = 0;
  PlainSum mean;
  PlainSum squares;
  for (const PlainSample& sample : window.floats) {
    count += 1;
    const double delta = sample.value - mean.total();
    mean.add(delta / count);
    squares.add(delta * (sample.value - mean.total()));
  }
  const double variance = squares.total() / count;
  return number(function == Id::StddevOverTime ? std::sqrt(variance) : variance);
}

std::optional<PlainAnswer> median_deviation(PlainNotes& notes, const PlainWindow& window) {
  if (window.floats.empty()) return std::nullopt;
  note_ignored(notes, window);
  std::vector<double> values = values_of(window.floats);
  for (const double value : values) {
    if (std::isnan(value)) return number(value);
  }
  const double median = plain_quantile(0.5, values);
  for (double& value : values) value = std::fabs(value - median);
  return number(plain_quantile(0.5, values));
}

struct Line {
  double slope = 0;
  double intercept = 0;
};

Line regression(const std::vector<PlainSample>& samples, std::int64_t zero_ms) {
  bool is_constant = true;
  PlainSum x_sum;
  PlainSum y_sum;
  PlainSum xy_sum;
  PlainSum xx_sum;
  for (const PlainSample& sample : samples) {
    if (sample.value != samples[0].value && &sample != samples.data()) is_constant = false;
    const double x = static_cast<double>(sample.time_ms - zero_ms) / 1e3;
    x_sum.add(x);
    y_sum.add(sample.value);
    xy_sum.add(x * sample.value);
    xx_sum.add(x * x);
  }
  if (is_constant) {
    if (std::isinf(samples[0].value)) return {.slope = std::nan(""), .intercept = std::nan("")};
    return {.slope = 0, .intercept = samples[0].value};
  }
  const auto n = static_cast<double>(samples.size());
  const double covariance = xy_sum.total() - (x_sum.total() * y_sum.total() / n);
  const double variance = xx_sum.total() - (x_sum.total() * x_sum.total() / n);
  const double slope = covariance / variance;
  return {.slope = slope, .intercept = (y_sum.total() / n) - (slope * x_sum.total() / n)};
}

std::optional<PlainAnswer> trend(PlainNotes& notes, Id function, const PlainWindow& window,
                                 const std::vector<double>& scalars) {
  if (window.floats.size() < 2) {
    if (window.floats.size() == 1) note_ignored(notes, window);
    return std::nullopt;
  }
  note_ignored(notes, window);
  if (function == Id::Deriv)
    return number(regression(window.floats, window.floats[0].time_ms).slope);
  const Line line = regression(window.floats, window.step_ms);
  return number((line.slope * scalars[0]) + line.intercept);
}

Result<std::optional<PlainAnswer>> smoothing(PlainNotes& notes, const PlainWindow& window,
                                             const std::vector<double>& scalars) {
  const double smoothing_factor = scalars[0];
  const double trend_factor = scalars[1];
  if (smoothing_factor <= 0 || smoothing_factor >= 1) {
    return fail(
        Code::FailedPrecondition,
        fmt::format("invalid smoothing factor. Expected: 0 < sf < 1, got: {:f}", smoothing_factor));
  }
  if (trend_factor <= 0 || trend_factor >= 1) {
    return fail(Code::FailedPrecondition,
                fmt::format("invalid trend factor. Expected: 0 < tf < 1, got: {:f}", trend_factor));
  }
  const auto& floats = window.floats;
  if (floats.size() < 2) {
    if (floats.size() == 1) note_ignored(notes, window);
    return std::nullopt;
  }
  note_ignored(notes, window);
  double before = 0;
  double level = floats[0].value;
  double slope = floats[1].value - floats[0].value;
  for (std::size_t i = 1; i < floats.size(); ++i) {
    const double part = smoothing_factor * floats[i].value;
    if (i > 1) slope = (trend_factor * (level - before)) + ((1 - trend_factor) * slope);
    before = level;
    level = part + ((1 - smoothing_factor) * (level + slope));
  }
  return number(level);
}

/// The first or last sample of either kind.
const PlainSample& end_sample(const PlainWindow& window, bool wants_first) {
  if (window.floats.empty())
    return wants_first ? window.histograms.front() : window.histograms.back();
  if (window.histograms.empty()) return wants_first ? window.floats.front() : window.floats.back();
  if (wants_first)
    return window.floats.front().time_ms < window.histograms.front().time_ms
               ? window.floats.front()
               : window.histograms.front();
  return window.floats.back().time_ms > window.histograms.back().time_ms ? window.floats.back()
                                                                         : window.histograms.back();
}

std::optional<PlainAnswer> quantile_over_time(PlainNotes& notes, const PlainWindow& window,
                                              double phi) {
  if (window.floats.empty()) return std::nullopt;
  if (std::isnan(phi) || phi < 0 || phi > 1) {
    notes.warn("quantile value should be between 0 and 1, got " + general_text(phi),
               window.first_argument);
  }
  // The reference names the first argument, which is the quantile.
  if (!window.histograms.empty()) {
    notes.info(
        "ignored histograms in a range containing both floats and histograms for metric name " +
            go_quoted(window.metric_name),
        window.first_argument);
  }
  return number(plain_quantile(phi, values_of(window.floats)));
}

}  // namespace

Result<std::optional<PlainAnswer>> over_time(PlainNotes& notes, FunctionId function,
                                             const PlainWindow& window,
                                             const std::vector<double>& scalars) {
  switch (function) {
    case Id::Rate:
    case Id::Increase:
    case Id::Delta:
      return rate_over_time(notes, function, window);
    case Id::Irate:
    case Id::Idelta:
      return last_two_over_time(notes, function, window);
    case Id::Resets:
      return resets_over_time(window);
    case Id::Changes:
      return changes_over_time(window);
    case Id::SumOverTime:
    case Id::AvgOverTime:
      return sum_or_mean(notes, function, window);
    case Id::CountOverTime:
      return number(static_cast<double>(window.floats.size() + window.histograms.size()));
    case Id::PresentOverTime:
    case Id::AbsentOverTime:
      return number(1);
    case Id::MaxOverTime:
    case Id::MinOverTime:
    case Id::TsOfMaxOverTime:
    case Id::TsOfMinOverTime:
      return extreme(notes, function, window);
    case Id::StddevOverTime:
    case Id::StdvarOverTime:
      return spread(notes, function, window);
    case Id::MadOverTime:
      return median_deviation(notes, window);
    case Id::Deriv:
    case Id::PredictLinear:
      return trend(notes, function, window, scalars);
    case Id::DoubleExponentialSmoothing:
      return smoothing(notes, window, scalars);
    case Id::FirstOverTime:
    case Id::LastOverTime: {
      const PlainSample& sample = end_sample(window, function == Id::FirstOverTime);
      return PlainAnswer{.value = sample.value, .histogram = sample.histogram};
    }
    case Id::TsOfFirstOverTime:
    case Id::TsOfLastOverTime:
      return number(
          static_cast<double>(end_sample(window, function == Id::TsOfFirstOverTime).time_ms) /
          1000);
    case Id::QuantileOverTime:
      return quantile_over_time(notes, window, scalars[0]);
    default:
      return fail(Code::Internal, "not a function of a range vector");
  }
}

}  // namespace gantry::promql::promqltest
