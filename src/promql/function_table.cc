#include "promql/function_table.h"

#include <algorithm>
#include <array>

namespace gantry::promql {

namespace {

constexpr auto V = ValueType::Vector;
constexpr auto R = ValueType::Matrix;
constexpr auto S = ValueType::Scalar;
constexpr auto T = ValueType::String;

// The argument lists that occur.
constexpr std::span<const ValueType> kNone;
constexpr std::array kVector = {V};
constexpr std::array kRange = {R};
constexpr std::array kVectorScalarScalar = {V, S, S};
constexpr std::array kVectorScalar = {V, S};
constexpr std::array kRangeScalarScalar = {R, S, S};
constexpr std::array kScalarScalarVector = {S, S, V};
constexpr std::array kScalarVector = {S, V};
constexpr std::array kVectorTextScalarScalar = {V, T, S, S};
constexpr std::array kVectorVector = {V, V};
constexpr std::array kVectorTextTextText = {V, T, T, T};
constexpr std::array kVectorTextTextTextText = {V, T, T, T, T};
constexpr std::array kScalarScalar = {S, S};
constexpr std::array kRangeScalar = {R, S};
constexpr std::array kScalarRange = {S, R};
constexpr std::array kVectorText = {V, T};
constexpr std::array kScalar = {S};

constexpr bool kExperimental = true;

using Id = FunctionId;

// Sorted by name: find_function searches it.
constexpr auto kFunctions = std::to_array<FunctionSignature>({
    {Id::Abs, "abs", kVector, 0, V},
    {Id::Absent, "absent", kVector, 0, V},
    {Id::AbsentOverTime, "absent_over_time", kRange, 0, V},
    {Id::Acos, "acos", kVector, 0, V},
    {Id::Acosh, "acosh", kVector, 0, V},
    {Id::Asin, "asin", kVector, 0, V},
    {Id::Asinh, "asinh", kVector, 0, V},
    {Id::Atan, "atan", kVector, 0, V},
    {Id::Atanh, "atanh", kVector, 0, V},
    {Id::AvgOverTime, "avg_over_time", kRange, 0, V},
    {Id::Ceil, "ceil", kVector, 0, V},
    {Id::Changes, "changes", kRange, 0, V},
    {Id::Clamp, "clamp", kVectorScalarScalar, 0, V},
    {Id::ClampMax, "clamp_max", kVectorScalar, 0, V},
    {Id::ClampMin, "clamp_min", kVectorScalar, 0, V},
    {Id::Cos, "cos", kVector, 0, V},
    {Id::Cosh, "cosh", kVector, 0, V},
    {Id::CountOverTime, "count_over_time", kRange, 0, V},
    {Id::DayOfMonth, "day_of_month", kVector, 1, V},
    {Id::DayOfWeek, "day_of_week", kVector, 1, V},
    {Id::DayOfYear, "day_of_year", kVector, 1, V},
    {Id::DaysInMonth, "days_in_month", kVector, 1, V},
    {Id::Deg, "deg", kVector, 0, V},
    {Id::Delta, "delta", kRange, 0, V},
    {Id::Deriv, "deriv", kRange, 0, V},
    {Id::DoubleExponentialSmoothing, "double_exponential_smoothing", kRangeScalarScalar, 0, V,
     kExperimental},
    {Id::End, "end", kNone, 0, S, kExperimental},
    {Id::Exp, "exp", kVector, 0, V},
    {Id::FirstOverTime, "first_over_time", kRange, 0, V},
    {Id::Floor, "floor", kVector, 0, V},
    {Id::HistogramAvg, "histogram_avg", kVector, 0, V},
    {Id::HistogramCount, "histogram_count", kVector, 0, V},
    {Id::HistogramFraction, "histogram_fraction", kScalarScalarVector, 0, V},
    {Id::HistogramQuantile, "histogram_quantile", kScalarVector, 0, V},
    {Id::HistogramQuantiles, "histogram_quantiles", kVectorTextScalarScalar, 9, V, kExperimental},
    {Id::HistogramStddev, "histogram_stddev", kVector, 0, V},
    {Id::HistogramStdvar, "histogram_stdvar", kVector, 0, V},
    {Id::HistogramSum, "histogram_sum", kVector, 0, V},
    {Id::Hour, "hour", kVector, 1, V},
    {Id::Idelta, "idelta", kRange, 0, V},
    {Id::Increase, "increase", kRange, 0, V},
    {Id::Info, "info", kVectorVector, 1, V, kExperimental},
    {Id::Irate, "irate", kRange, 0, V},
    {Id::LabelJoin, "label_join", kVectorTextTextText, -1, V},
    {Id::LabelReplace, "label_replace", kVectorTextTextTextText, 0, V},
    {Id::LastOverTime, "last_over_time", kRange, 0, V},
    {Id::Ln, "ln", kVector, 0, V},
    {Id::Log10, "log10", kVector, 0, V},
    {Id::Log2, "log2", kVector, 0, V},
    {Id::MadOverTime, "mad_over_time", kRange, 0, V, kExperimental},
    {Id::MaxOf, "max_of", kScalarScalar, 0, S, kExperimental},
    {Id::MaxOverTime, "max_over_time", kRange, 0, V},
    {Id::MinOf, "min_of", kScalarScalar, 0, S, kExperimental},
    {Id::MinOverTime, "min_over_time", kRange, 0, V},
    {Id::Minute, "minute", kVector, 1, V},
    {Id::Month, "month", kVector, 1, V},
    {Id::Pi, "pi", kNone, 0, S},
    {Id::PredictLinear, "predict_linear", kRangeScalar, 0, V},
    {Id::PresentOverTime, "present_over_time", kRange, 0, V},
    {Id::QuantileOverTime, "quantile_over_time", kScalarRange, 0, V},
    {Id::Rad, "rad", kVector, 0, V},
    {Id::Range, "range", kNone, 0, S, kExperimental},
    {Id::Rate, "rate", kRange, 0, V},
    {Id::Resets, "resets", kRange, 0, V},
    {Id::Round, "round", kVectorScalar, 1, V},
    {Id::Scalar, "scalar", kVector, 0, S},
    {Id::Sgn, "sgn", kVector, 0, V},
    {Id::Sin, "sin", kVector, 0, V},
    {Id::Sinh, "sinh", kVector, 0, V},
    {Id::Sort, "sort", kVector, 0, V},
    {Id::SortByLabel, "sort_by_label", kVectorText, -1, V, kExperimental},
    {Id::SortByLabelDesc, "sort_by_label_desc", kVectorText, -1, V, kExperimental},
    {Id::SortDesc, "sort_desc", kVector, 0, V},
    {Id::Sqrt, "sqrt", kVector, 0, V},
    {Id::Start, "start", kNone, 0, S, kExperimental},
    {Id::StartTimestamp, "start_timestamp", kVector, 0, V, kExperimental},
    {Id::StddevOverTime, "stddev_over_time", kRange, 0, V},
    {Id::StdvarOverTime, "stdvar_over_time", kRange, 0, V},
    {Id::Step, "step", kNone, 0, S, kExperimental},
    {Id::SumOverTime, "sum_over_time", kRange, 0, V},
    {Id::Tan, "tan", kVector, 0, V},
    {Id::Tanh, "tanh", kVector, 0, V},
    {Id::Time, "time", kNone, 0, S},
    {Id::Timestamp, "timestamp", kVector, 0, V},
    {Id::TsOfFirstOverTime, "ts_of_first_over_time", kRange, 0, V, kExperimental},
    {Id::TsOfLastOverTime, "ts_of_last_over_time", kRange, 0, V, kExperimental},
    {Id::TsOfMaxOverTime, "ts_of_max_over_time", kRange, 0, V, kExperimental},
    {Id::TsOfMinOverTime, "ts_of_min_over_time", kRange, 0, V, kExperimental},
    {Id::Vector, "vector", kScalar, 0, V},
    {Id::Year, "year", kVector, 1, V},
});

static_assert(std::ranges::is_sorted(kFunctions, {}, &FunctionSignature::name));

}  // namespace

const FunctionSignature* find_function(std::string_view name) {
  const auto* found = std::ranges::lower_bound(kFunctions, name, {}, &FunctionSignature::name);
  if (found == kFunctions.end() || found->name != name) return nullptr;
  return found;
}

std::span<const FunctionSignature> all_functions() {
  return kFunctions;
}

}  // namespace gantry::promql
