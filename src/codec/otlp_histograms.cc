#include "codec/otlp_histograms.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "codec/histogram_buckets.h"
#include "telemetry/sample.h"

namespace gantry::codec {

namespace {

/// What Prometheus writes when a point names no threshold.
constexpr double kDefaultZeroThreshold = 1e-128;

/// OTLP bucket i of offset o covers (base^(o+i), base^(o+i+1)]: its index in a native histogram,
/// which counts by upper bound, is one more.
bool append_buckets(const OtlpBuckets& buckets, int levels,
                    std::vector<telemetry::BucketSpan>& spans, std::vector<std::uint64_t>& counts) {
  BucketAppender<std::uint64_t> appender(spans, counts);
  std::int64_t index = buckets.offset;
  for (const std::uint64_t count : buckets.counts) {
    if (count != 0 && !appender.add((index >> levels) + 1, count)) return false;
    ++index;
  }
  return true;
}

telemetry::IntegerHistogram stale_histogram(std::int32_t schema) {
  telemetry::IntegerHistogram histogram;
  histogram.schema = schema;
  histogram.sum = telemetry::stale_nan();
  return histogram;
}

}  // namespace

Result<void> normalise_explicit_buckets(OtlpHistogramPoint& point) {
  std::vector<double>& bounds = point.bounds;
  std::vector<std::uint64_t>& counts = point.bucket_counts;
  const bool has_none = bounds.empty() && counts.empty();
  // Points without a recorded value need not carry counts.
  if (!has_none && counts.size() != bounds.size() + 1 && !(point.is_stale() && counts.empty())) {
    return fail(Code::InvalidArgument, fmt::format("histogram has {} bucket counts for {} bounds",
                                                   counts.size(), bounds.size()));
  }
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    if (std::isnan(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1])) {
      return fail(Code::InvalidArgument, "histogram bounds do not ascend");
    }
  }
  if (!bounds.empty() && std::isinf(bounds.back()) && bounds.back() > 0) {
    bounds.pop_back();
    if (!counts.empty()) {
      const std::uint64_t beyond = counts.back();
      counts.pop_back();
      counts.back() += beyond;
    }
  }
  return {};
}

Result<telemetry::IntegerHistogram> explicit_to_native(const OtlpHistogramPoint& point) {
  if (point.is_stale()) return stale_histogram(telemetry::kCustomBucketsSchema);
  telemetry::IntegerHistogram histogram;
  histogram.schema = telemetry::kCustomBucketsSchema;
  histogram.custom_values = point.bounds;
  histogram.count = point.count;
  histogram.sum = point.sum.value_or(0);
  BucketAppender<std::uint64_t> appender(histogram.positive_spans, histogram.positive_counts);
  for (std::size_t i = 0; i < point.bucket_counts.size(); ++i) {
    if (point.bucket_counts[i] != 0) {
      appender.add(static_cast<std::int64_t>(i), point.bucket_counts[i]);
    }
  }
  GANTRY_CHECK(telemetry::validate(histogram));
  return histogram;
}

Result<telemetry::IntegerHistogram> exponential_to_native(const OtlpExponentialPoint& point) {
  if (point.scale < telemetry::kExponentialSchemaMin) {
    return fail(Code::InvalidArgument,
                fmt::format("cannot convert exponential to native histogram: scale must be >= {}, "
                            "was {}",
                            telemetry::kExponentialSchemaMin, point.scale));
  }
  const std::int32_t schema = std::min(point.scale, telemetry::kExponentialSchemaMax);
  if (point.is_stale()) return stale_histogram(schema);
  telemetry::IntegerHistogram histogram;
  histogram.schema = schema;
  histogram.count = point.count;
  histogram.sum = point.sum.value_or(0);
  histogram.zero_count = point.zero_count;
  histogram.zero_threshold =
      point.zero_threshold != 0 ? point.zero_threshold : kDefaultZeroThreshold;
  // Indices have 32 bits: more levels than that change nothing.
  const int levels =
      static_cast<int>(std::min<std::int64_t>(std::int64_t{point.scale} - schema, 40));
  if (!append_buckets(point.positive, levels, histogram.positive_spans,
                      histogram.positive_counts) ||
      !append_buckets(point.negative, levels, histogram.negative_spans,
                      histogram.negative_counts)) {
    return fail(Code::InvalidArgument, "histogram has a bucket index beyond 32 bits");
  }
  GANTRY_CHECK(telemetry::validate(histogram));
  return histogram;
}

}  // namespace gantry::codec
