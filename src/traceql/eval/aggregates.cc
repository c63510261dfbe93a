#include "traceql/eval/aggregates_internal.h"
#include "traceql/eval/static_operations.h"

namespace gantry::traceql {

void Aggregator::add(const Static& value) {
  ++added_;
  if (op_ == AggregateOp::Count || !is_number(value.type)) return;
  if (value_.type == StaticType::Nil) {
    value_ = value;
    numbers_ = 1;
    return;
  }
  switch (op_) {
    case AggregateOp::Count:
      break;
    case AggregateOp::Min:
      if (to_double(value) < to_double(value_)) value_ = value;
      break;
    case AggregateOp::Max:
      if (to_double(value) > to_double(value_)) value_ = value;
      break;
    case AggregateOp::Avg:
    case AggregateOp::Sum:
      if (value.type != value_.type) break;
      ++numbers_;
      value_.number += value.number;
      // Wraps, as Go's int does.
      value_.integer = static_cast<std::int64_t>(static_cast<std::uint64_t>(value_.integer) +
                                                 static_cast<std::uint64_t>(value.integer));
      break;
  }
}

Static Aggregator::result() const {
  if (op_ == AggregateOp::Count) return Static::of_int(added_);
  if (op_ != AggregateOp::Avg || value_.type == StaticType::Nil) return value_;
  if (value_.type == StaticType::Duration) return Static::of_duration(value_.integer / numbers_);
  return Static::of_float(to_double(value_) / static_cast<double>(numbers_));
}

}  // namespace gantry::traceql
