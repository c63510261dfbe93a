#pragma once

// Operations on single native histograms, as Prometheus's model/histogram/float_histogram.go
// defines them: the order of the floating point operations is part of the contract.
//
//   FloatHistogram total = a;
//   if (!add(total, b).is_possible) …   // exponential and custom buckets do not mix
//
// Pure functions on values: any number of threads.

#include <cstdint>

#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

/// What an addition or subtraction had to do, for the annotations of whoever asked.
struct Combination {
  bool is_possible = true;  ///< False: one has custom buckets, the other not; nothing was changed.
  bool has_hint_conflict = false;      ///< One was `reset`, the other `not_reset`.
  bool has_reconciled_bounds = false;  ///< Custom bounds differed; the common ones are left.
};

/// `into` += `other`: at the coarser of the schemas, the wider zero bucket (or the common custom
/// bounds). The hint: equal stays, else gauge wins, else unknown. Not compacted.
[[nodiscard]] Combination add(telemetry::FloatHistogram& into,
                              const telemetry::FloatHistogram& other);

/// `from` -= `other`, as add; the result's hint is as of add (the operator `-` makes a gauge of
/// it).
[[nodiscard]] Combination subtract(telemetry::FloatHistogram& from,
                                   const telemetry::FloatHistogram& other);

/// Every count and the sum times `factor`; a negative factor makes a gauge.
void multiply(telemetry::FloatHistogram& histogram, double factor);

/// Every count and the sum by `divisor`; a negative divisor makes a gauge. By zero, the buckets go
/// and count, sum and zero count become infinite or NaN.
void divide(telemetry::FloatHistogram& histogram, double divisor);

/// PromQL's ==: schema, bounds, zero bucket, layout and, bit by bit, counts and sum. Empty spans
/// and the hint do not count.
[[nodiscard]] bool equals(const telemetry::FloatHistogram& a, const telemetry::FloatHistogram& b);

/// Drops empty buckets and empty spans, joins adjacent spans.
void compact(telemetry::FloatHistogram& histogram);

/// Brings exponential buckets to a coarser schema. `schema` is not above the histogram's own.
void reduce_resolution(telemetry::FloatHistogram& histogram, std::int32_t schema);

/// Whether a counter started anew between `previous` and `current`: by the hint of `current`, else
/// by its count, layout and buckets (the sum is never looked at).
[[nodiscard]] bool is_counter_reset(const telemetry::FloatHistogram& current,
                                    const telemetry::FloatHistogram& previous);

enum class TrimSide : std::uint8_t {
  KeepBelow,  ///< h </ bound
  KeepAbove,  ///< h >/ bound
};

/// The observations on one side of `bound`; the bucket around it is split by interpolation. Where
/// nothing had to be cut the histogram is unchanged, its sum included.
void trim(telemetry::FloatHistogram& histogram, double bound, TrimSide side);

}  // namespace gantry::promql::histogram
