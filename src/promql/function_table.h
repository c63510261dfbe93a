#pragma once

// Every PromQL function: its name, argument types and return type. The parser checks calls against
// it, the engine looks up the implementation by `FunctionId`.

#include <cstdint>
#include <span>
#include <string_view>

#include "promql/ast.h"

namespace gantry::promql {

enum class FunctionId : std::uint16_t {
  Abs,
  Absent,
  AbsentOverTime,
  Acos,
  Acosh,
  Asin,
  Asinh,
  Atan,
  Atanh,
  AvgOverTime,
  Ceil,
  Changes,
  Clamp,
  ClampMax,
  ClampMin,
  Cos,
  Cosh,
  CountOverTime,
  DayOfMonth,
  DayOfWeek,
  DayOfYear,
  DaysInMonth,
  Deg,
  Delta,
  Deriv,
  DoubleExponentialSmoothing,
  End,
  Exp,
  FirstOverTime,
  Floor,
  HistogramAvg,
  HistogramCount,
  HistogramFraction,
  HistogramQuantile,
  HistogramQuantiles,
  HistogramStddev,
  HistogramStdvar,
  HistogramSum,
  Hour,
  Idelta,
  Increase,
  Info,
  Irate,
  LabelJoin,
  LabelReplace,
  LastOverTime,
  Ln,
  Log10,
  Log2,
  MadOverTime,
  MaxOf,
  MaxOverTime,
  MinOf,
  MinOverTime,
  Minute,
  Month,
  Pi,
  PredictLinear,
  PresentOverTime,
  QuantileOverTime,
  Rad,
  Range,
  Rate,
  Resets,
  Round,
  Scalar,
  Sgn,
  Sin,
  Sinh,
  Sort,
  SortByLabel,
  SortByLabelDesc,
  SortDesc,
  Sqrt,
  Start,
  StartTimestamp,
  StddevOverTime,
  StdvarOverTime,
  Step,
  SumOverTime,
  Tan,
  Tanh,
  Time,
  Timestamp,
  TsOfFirstOverTime,
  TsOfLastOverTime,
  TsOfMaxOverTime,
  TsOfMinOverTime,
  Vector,
  Year,
};

struct FunctionSignature {
  FunctionId id;
  std::string_view name;
  std::span<const ValueType> argument_types;
  /// 0: exactly the listed arguments. Otherwise the last listed argument may be left out, and
  /// n > 0: at most n arguments stand in its place, all of its type; -1: any number of them.
  int variadic = 0;
  ValueType return_type = ValueType::Vector;
  bool is_experimental = false;
};

/// Null when there is no such function. Names are case-sensitive.
[[nodiscard]] const FunctionSignature* find_function(std::string_view name);

/// All, sorted by name.
[[nodiscard]] std::span<const FunctionSignature> all_functions();

}  // namespace gantry::promql
