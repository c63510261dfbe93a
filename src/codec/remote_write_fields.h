#pragma once

// Field numbers of the remote write messages: prompb/types.proto (1.0) and
// prompb/io/prometheus/write/v2/types.proto (2.0-rc.4) of Prometheus. Shared by decoder and
// encoder.

#include <cstdint>

namespace gantry::codec::wire {

namespace v1 {
enum class WriteRequest : std::uint32_t { Timeseries = 1, Metadata = 3 };
enum class TimeSeries : std::uint32_t { Labels = 1, Samples = 2, Exemplars = 3, Histograms = 4 };
enum class Label : std::uint32_t { Name = 1, Value = 2 };
enum class Sample : std::uint32_t { Value = 1, Timestamp = 2 };
enum class Exemplar : std::uint32_t { Labels = 1, Value = 2, Timestamp = 3 };
enum class MetricMetadata : std::uint32_t { Type = 1, FamilyName = 2, Help = 4, Unit = 5 };
}  // namespace v1

namespace v2 {
enum class Request : std::uint32_t { Symbols = 4, Timeseries = 5 };
enum class TimeSeries : std::uint32_t {
  LabelsRefs = 1,
  Samples = 2,
  Histograms = 3,
  Exemplars = 4,
  Metadata = 5,
};
enum class Sample : std::uint32_t { Value = 1, Timestamp = 2, StartTimestamp = 3 };
enum class Exemplar : std::uint32_t { LabelsRefs = 1, Value = 2, Timestamp = 3 };
enum class Metadata : std::uint32_t { Type = 1, HelpRef = 3, UnitRef = 4 };
}  // namespace v2

/// The same in both; StartTimestamp came with 2.0.
enum class Histogram : std::uint32_t {
  CountInt = 1,
  CountFloat = 2,
  Sum = 3,
  Schema = 4,
  ZeroThreshold = 5,
  ZeroCountInt = 6,
  ZeroCountFloat = 7,
  NegativeSpans = 8,
  NegativeDeltas = 9,
  NegativeCounts = 10,
  PositiveSpans = 11,
  PositiveDeltas = 12,
  PositiveCounts = 13,
  ResetHint = 14,
  Timestamp = 15,
  CustomValues = 16,
  StartTimestamp = 17,
};

enum class BucketSpan : std::uint32_t { Offset = 1, Length = 2 };

}  // namespace gantry::codec::wire
