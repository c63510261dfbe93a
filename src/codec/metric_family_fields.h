#pragma once

// Field numbers of io/prometheus/client/metrics.proto (prometheus/client_model), those that
// federation needs.

#include <cstdint>

namespace gantry::codec::wire::client {

enum class MetricFamily : std::uint32_t { Name = 1, Type = 3, Metric = 4 };
enum class MetricType : std::int32_t { Untyped = 3, Histogram = 4, GaugeHistogram = 5 };
enum class Metric : std::uint32_t { Label = 1, Untyped = 5, TimestampMs = 6, Histogram = 7 };
enum class LabelPair : std::uint32_t { Name = 1, Value = 2 };
enum class Untyped : std::uint32_t { Value = 1 };

enum class Histogram : std::uint32_t {
  SampleCount = 1,
  SampleSum = 2,
  Bucket = 3,
  SampleCountFloat = 4,
  Schema = 5,
  ZeroThreshold = 6,
  ZeroCountFloat = 8,
  NegativeSpan = 9,
  NegativeCount = 11,
  PositiveSpan = 12,
  PositiveCount = 14,
};

enum class Bucket : std::uint32_t { CumulativeCount = 1, UpperBound = 2, CumulativeCountFloat = 4 };
enum class BucketSpan : std::uint32_t { Offset = 1, Length = 2 };

}  // namespace gantry::codec::wire::client
