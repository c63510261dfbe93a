#pragma once

// Field numbers of opentelemetry/proto/{common,resource,metrics}/v1 and collector/metrics/v1.

#include <cstdint>

namespace gantry::codec::otlp {

enum class AnyValue : std::uint32_t {
  StringValue = 1,
  BoolValue = 2,
  IntValue = 3,
  DoubleValue = 4,
  ArrayValue = 5,
  KvlistValue = 6,
  BytesValue = 7,
};
/// ArrayValue and KeyValueList.
enum class ValueList : std::uint32_t { Values = 1 };
enum class KeyValue : std::uint32_t { Key = 1, Value = 2 };
enum class InstrumentationScope : std::uint32_t {
  Name = 1,
  Version = 2,
  Attributes = 3,
  DroppedAttributesCount = 4,
};
enum class Resource : std::uint32_t { Attributes = 1, DroppedAttributesCount = 2 };

enum class ExportMetricsServiceRequest : std::uint32_t { ResourceMetrics = 1 };
enum class ResourceMetrics : std::uint32_t { Resource = 1, ScopeMetrics = 2, SchemaUrl = 3 };
enum class ScopeMetrics : std::uint32_t { Scope = 1, Metrics = 2, SchemaUrl = 3 };
enum class Metric : std::uint32_t {
  Name = 1,
  Description = 2,
  Unit = 3,
  Gauge = 5,
  Sum = 7,
  Histogram = 9,
  ExponentialHistogram = 10,
  Summary = 11,
  Metadata = 12,
};
/// Gauge, Sum, Histogram, ExponentialHistogram and Summary: those they have, they number alike.
enum class MetricData : std::uint32_t {
  DataPoints = 1,
  AggregationTemporality = 2,
  IsMonotonic = 3,
};
enum class NumberDataPoint : std::uint32_t {
  StartTimeUnixNano = 2,
  TimeUnixNano = 3,
  AsDouble = 4,
  Exemplars = 5,
  AsInt = 6,
  Attributes = 7,
  Flags = 8,
};
enum class HistogramDataPoint : std::uint32_t {
  StartTimeUnixNano = 2,
  TimeUnixNano = 3,
  Count = 4,
  Sum = 5,
  BucketCounts = 6,
  ExplicitBounds = 7,
  Exemplars = 8,
  Attributes = 9,
  Flags = 10,
};
enum class ExponentialHistogramDataPoint : std::uint32_t {
  Attributes = 1,
  StartTimeUnixNano = 2,
  TimeUnixNano = 3,
  Count = 4,
  Sum = 5,
  Scale = 6,
  ZeroCount = 7,
  Positive = 8,
  Negative = 9,
  Flags = 10,
  Exemplars = 11,
  ZeroThreshold = 14,
};
enum class Buckets : std::uint32_t { Offset = 1, BucketCounts = 2 };
enum class SummaryDataPoint : std::uint32_t {
  StartTimeUnixNano = 2,
  TimeUnixNano = 3,
  Count = 4,
  Sum = 5,
  QuantileValues = 6,
  Attributes = 7,
  Flags = 8,
};
enum class ValueAtQuantile : std::uint32_t { Quantile = 1, Value = 2 };
enum class Exemplar : std::uint32_t {
  TimeUnixNano = 2,
  AsDouble = 3,
  SpanId = 4,
  TraceId = 5,
  AsInt = 6,
  FilteredAttributes = 7,
};

}  // namespace gantry::codec::otlp
