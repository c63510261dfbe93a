#pragma once

// count(), min(), max(), avg() and sum() over a span set.

#include <cstdint>
#include <span>

#include "traceql/ast.h"
#include "traceql/static_value.h"

namespace gantry::traceql {

/// Takes the values of one span set, one by one.
class Aggregator {
 public:
  explicit Aggregator(AggregateOp op) : op_(op) {}

  void add(const Static& value);

  /// Nil when there was no number. count() counts what was added; min and max keep the value's
  /// type; sum and avg keep the first number's type and take only values of it, but the average of
  /// integers is a float.
  [[nodiscard]] Static result() const;

 private:
  AggregateOp op_;
  std::int64_t added_ = 0;
  std::int64_t numbers_ = 0;  ///< Taken into `value_`.
  Static value_;
};

}  // namespace gantry::traceql
