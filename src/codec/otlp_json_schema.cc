#include "codec/otlp_json_schema.h"

#include <iterator>

namespace gantry::codec {

namespace {

using enum JsonKind;

extern const JsonMessage kAnyValue;
extern const JsonMessage kKeyValue;

constexpr JsonField kValueListFields[] = {{"values", 1, MessageList, &kAnyValue}};
constexpr JsonMessage kValueList{kValueListFields};
constexpr JsonField kKeyValueListFields[] = {{"values", 1, MessageList, &kKeyValue}};
constexpr JsonMessage kKeyValueList{kKeyValueListFields};

constexpr JsonField kAnyValueFields[] = {
    {"stringValue", 1, String},
    {"boolValue", 2, Bool},
    {"intValue", 3, Int64},
    {"doubleValue", 4, Double},
    {"arrayValue", 5, Message, &kValueList},
    {"kvlistValue", 6, Message, &kKeyValueList},
    {"bytesValue", 7, Bytes},
};
constexpr JsonMessage kAnyValue{kAnyValueFields};

constexpr JsonField kKeyValueFields[] = {{"key", 1, String}, {"value", 2, Message, &kAnyValue}};
constexpr JsonMessage kKeyValue{kKeyValueFields};

constexpr JsonField kScopeFields[] = {
    {"name", 1, String},
    {"version", 2, String},
    {"attributes", 3, MessageList, &kKeyValue},
    {"droppedAttributesCount", 4, Uint32},
};
constexpr JsonMessage kScope{kScopeFields};

constexpr JsonField kResourceFields[] = {
    {"attributes", 1, MessageList, &kKeyValue},
    {"droppedAttributesCount", 2, Uint32},
};
constexpr JsonMessage kResource{kResourceFields};

constexpr JsonField kExemplarFields[] = {
    {"timeUnixNano", 2, Fixed64},     {"asDouble", 3, Double},
    {"spanId", 4, HexId, nullptr, 8}, {"traceId", 5, HexId, nullptr, 16},
    {"asInt", 6, Sfixed64},           {"filteredAttributes", 7, MessageList, &kKeyValue},
};
constexpr JsonMessage kExemplar{kExemplarFields};

constexpr JsonField kNumberDataPointFields[] = {
    {"startTimeUnixNano", 2, Fixed64},
    {"timeUnixNano", 3, Fixed64},
    {"asDouble", 4, Double},
    {"exemplars", 5, MessageList, &kExemplar},
    {"asInt", 6, Sfixed64},
    {"attributes", 7, MessageList, &kKeyValue},
    {"flags", 8, Uint32},
};
constexpr JsonMessage kNumberDataPoint{kNumberDataPointFields};

constexpr JsonField kHistogramDataPointFields[] = {
    {"startTimeUnixNano", 2, Fixed64},
    {"timeUnixNano", 3, Fixed64},
    {"count", 4, Fixed64},
    {"sum", 5, Double},
    {"bucketCounts", 6, Fixed64List},
    {"explicitBounds", 7, DoubleList},
    {"exemplars", 8, MessageList, &kExemplar},
    {"attributes", 9, MessageList, &kKeyValue},
    {"flags", 10, Uint32},
    {"min", 11, Double},
    {"max", 12, Double},
};
constexpr JsonMessage kHistogramDataPoint{kHistogramDataPointFields};

constexpr JsonField kBucketsFields[] = {{"offset", 1, Sint32}, {"bucketCounts", 2, Uint64List}};
constexpr JsonMessage kBuckets{kBucketsFields};

constexpr JsonField kExponentialDataPointFields[] = {
    {"attributes", 1, MessageList, &kKeyValue},
    {"startTimeUnixNano", 2, Fixed64},
    {"timeUnixNano", 3, Fixed64},
    {"count", 4, Fixed64},
    {"sum", 5, Double},
    {"scale", 6, Sint32},
    {"zeroCount", 7, Fixed64},
    {"positive", 8, Message, &kBuckets},
    {"negative", 9, Message, &kBuckets},
    {"flags", 10, Uint32},
    {"exemplars", 11, MessageList, &kExemplar},
    {"min", 12, Double},
    {"max", 13, Double},
    {"zeroThreshold", 14, Double},
};
constexpr JsonMessage kExponentialDataPoint{kExponentialDataPointFields};

constexpr JsonField kQuantileFields[] = {{"quantile", 1, Double}, {"value", 2, Double}};
constexpr JsonMessage kQuantile{kQuantileFields};

constexpr JsonField kSummaryDataPointFields[] = {
    {"startTimeUnixNano", 2, Fixed64},
    {"timeUnixNano", 3, Fixed64},
    {"count", 4, Fixed64},
    {"sum", 5, Double},
    {"quantileValues", 6, MessageList, &kQuantile},
    {"attributes", 7, MessageList, &kKeyValue},
    {"flags", 8, Uint32},
};
constexpr JsonMessage kSummaryDataPoint{kSummaryDataPointFields};

constexpr JsonField kGaugeFields[] = {{"dataPoints", 1, MessageList, &kNumberDataPoint}};
constexpr JsonMessage kGauge{kGaugeFields};
constexpr JsonField kSumFields[] = {
    {"dataPoints", 1, MessageList, &kNumberDataPoint},
    {"aggregationTemporality", 2, Enum},
    {"isMonotonic", 3, Bool},
};
constexpr JsonMessage kSum{kSumFields};
constexpr JsonField kHistogramFields[] = {
    {"dataPoints", 1, MessageList, &kHistogramDataPoint},
    {"aggregationTemporality", 2, Enum},
};
constexpr JsonMessage kHistogram{kHistogramFields};
constexpr JsonField kExponentialFields[] = {
    {"dataPoints", 1, MessageList, &kExponentialDataPoint},
    {"aggregationTemporality", 2, Enum},
};
constexpr JsonMessage kExponential{kExponentialFields};
constexpr JsonField kSummaryFields[] = {{"dataPoints", 1, MessageList, &kSummaryDataPoint}};
constexpr JsonMessage kSummary{kSummaryFields};

constexpr JsonField kMetricFields[] = {
    {"name", 1, String},
    {"description", 2, String},
    {"unit", 3, String},
    {"gauge", 5, Message, &kGauge},
    {"sum", 7, Message, &kSum},
    {"histogram", 9, Message, &kHistogram},
    {"exponentialHistogram", 10, Message, &kExponential},
    {"summary", 11, Message, &kSummary},
    {"metadata", 12, MessageList, &kKeyValue},
};
constexpr JsonMessage kMetric{kMetricFields};

constexpr JsonField kScopeMetricsFields[] = {
    {"scope", 1, Message, &kScope},
    {"metrics", 2, MessageList, &kMetric},
    {"schemaUrl", 3, String},
};
constexpr JsonMessage kScopeMetrics{kScopeMetricsFields};

constexpr JsonField kResourceMetricsFields[] = {
    {"resource", 1, Message, &kResource},
    {"scopeMetrics", 2, MessageList, &kScopeMetrics},
    {"schemaUrl", 3, String},
};
constexpr JsonMessage kResourceMetrics{kResourceMetricsFields};

constexpr JsonField kMetricsRequestFields[] = {
    {"resourceMetrics", 1, MessageList, &kResourceMetrics}};
constexpr JsonMessage kMetricsRequest{kMetricsRequestFields};

constexpr JsonField kEventFields[] = {
    {"timeUnixNano", 1, Fixed64},
    {"name", 2, String},
    {"attributes", 3, MessageList, &kKeyValue},
    {"droppedAttributesCount", 4, Uint32},
};
constexpr JsonMessage kEvent{kEventFields};

constexpr JsonField kLinkFields[] = {
    {"traceId", 1, HexId, nullptr, 16},
    {"spanId", 2, HexId, nullptr, 8},
    {"traceState", 3, String},
    {"attributes", 4, MessageList, &kKeyValue},
    {"droppedAttributesCount", 5, Uint32},
    {"flags", 6, Fixed32},
};
constexpr JsonMessage kLink{kLinkFields};

constexpr JsonField kStatusFields[] = {{"message", 2, String}, {"code", 3, Enum}};
constexpr JsonMessage kStatus{kStatusFields};

constexpr JsonField kSpanFields[] = {
    {"traceId", 1, HexId, nullptr, 16},
    {"spanId", 2, HexId, nullptr, 8},
    {"traceState", 3, String},
    {"parentSpanId", 4, HexId, nullptr, 8},
    {"name", 5, String},
    {"kind", 6, Enum},
    {"startTimeUnixNano", 7, Fixed64},
    {"endTimeUnixNano", 8, Fixed64},
    {"attributes", 9, MessageList, &kKeyValue},
    {"droppedAttributesCount", 10, Uint32},
    {"events", 11, MessageList, &kEvent},
    {"droppedEventsCount", 12, Uint32},
    {"links", 13, MessageList, &kLink},
    {"droppedLinksCount", 14, Uint32},
    {"status", 15, Message, &kStatus},
    {"flags", 16, Fixed32},
};
static_assert(std::size(kSpanFields) <= kJsonFieldsMax);
constexpr JsonMessage kSpan{kSpanFields};

constexpr JsonField kScopeSpansFields[] = {
    {"scope", 1, Message, &kScope},
    {"spans", 2, MessageList, &kSpan},
    {"schemaUrl", 3, String},
};
constexpr JsonMessage kScopeSpans{kScopeSpansFields};

constexpr JsonField kResourceSpansFields[] = {
    {"resource", 1, Message, &kResource},
    {"scopeSpans", 2, MessageList, &kScopeSpans},
    {"schemaUrl", 3, String},
};
constexpr JsonMessage kResourceSpans{kResourceSpansFields};

constexpr JsonField kTracesRequestFields[] = {{"resourceSpans", 1, MessageList, &kResourceSpans}};
constexpr JsonMessage kTracesRequest{kTracesRequestFields};

}  // namespace

const JsonMessage& metrics_request_schema() {
  return kMetricsRequest;
}

const JsonMessage& traces_request_schema() {
  return kTracesRequest;
}

}  // namespace gantry::codec
