#pragma once

// Native histograms: sparse exponential buckets (schema -4..8) or custom bounds (schema -53). The
// model of Prometheus model/histogram; two flavours, because integer counts above 2^53 would not
// survive as doubles.

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/error.h"

namespace gantry::telemetry {

inline constexpr std::int32_t kCustomBucketsSchema = -53;
inline constexpr std::int32_t kExponentialSchemaMin = -4;
inline constexpr std::int32_t kExponentialSchemaMax = 8;

enum class CounterResetHint : std::uint8_t { Unknown = 0, Reset = 1, NotReset = 2, Gauge = 3 };

/// `length` buckets that follow each other. The first span's offset is the index of its first
/// bucket, later offsets are gaps.
struct BucketSpan {
  std::int32_t offset = 0;
  std::uint32_t length = 0;

  friend bool operator==(const BucketSpan&, const BucketSpan&) = default;
};

/// Count is std::uint64_t (integer flavour) or double (float flavour). Bucket counts are absolute,
/// not deltas and not cumulative. A histogram whose sum has the stale NaN's bits is a stale marker.
template <class Count>
struct BasicHistogram {
  CounterResetHint hint = CounterResetHint::Unknown;
  std::int32_t schema = 0;
  double zero_threshold = 0;
  Count zero_count{};
  Count count{};
  double sum = 0;
  std::vector<BucketSpan> positive_spans;
  std::vector<BucketSpan> negative_spans;
  std::vector<Count> positive_counts;
  std::vector<Count> negative_counts;
  std::vector<double> custom_values;  ///< Upper bounds, ascending, without +Inf; schema -53 only.

  [[nodiscard]] bool uses_custom_buckets() const { return schema == kCustomBucketsSchema; }
};

using IntegerHistogram = BasicHistogram<std::uint64_t>;
using FloatHistogram = BasicHistogram<double>;
using NativeHistogram = std::variant<IntegerHistogram, FloatHistogram>;

[[nodiscard]] FloatHistogram to_float(const IntegerHistogram& histogram);
[[nodiscard]] FloatHistogram to_float(const NativeHistogram& histogram);

/// Equal bit by bit: NaN payloads too. For round-trip tests and duplicate detection.
[[nodiscard]] bool is_identical(const NativeHistogram& a, const NativeHistogram& b);

[[nodiscard]] bool is_stale(const NativeHistogram& histogram);

/// Spans and counts agree, bounds ascend, offsets after the first are not negative, the schema is
/// known, and the count is not less than what the buckets hold. Errors: InvalidArgument saying
/// which rule is broken.
[[nodiscard]] Result<void> validate(const NativeHistogram& histogram);

/// One bucket as the Prometheus API shows it.
struct Bucket {
  int boundary_rule = 0;  ///< 0 (lower, upper], 1 [lower, upper), 2 open, 3 closed.
  double lower = 0;
  double upper = 0;
  double count = 0;
};

/// The non-empty buckets, ascending: negative side, zero bucket, positive side (spec: rules 0, 1, 3
/// as in Prometheus). The inner edge of a bucket is not nearer to zero than the zero threshold,
/// even where the whole bucket is; a zero bucket is there if its count is above 0.
[[nodiscard]] std::vector<Bucket> list_buckets(const FloatHistogram& histogram);

/// {count:3, sum:2.5, [-2,-1):1, [-0.001,0.001]:1, (1,2]:1}
/// with the buckets' own edges, whatever the zero bucket covers of them.
[[nodiscard]] std::string format_histogram(const FloatHistogram& histogram);

}  // namespace gantry::telemetry
