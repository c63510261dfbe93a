#pragma once

// OTLP traces requests for tests.

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "codec/otlp_json.h"
#include "codec/testing/otlp_builder.h"

namespace gantry::codec::testing {

/// The protobuf form of an OTLP/JSON traces request.
inline std::string traces_protobuf(std::string_view json) {
  std::string out;
  const auto result = otlp_json_to_protobuf(OtlpJsonMessage::TracesRequest, padded(json), out);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return out;
}

/// A request with one resource (service shop), one scope and the spans given as JSON.
inline std::string trace_request(std::string_view spans_json) {
  return R"({"resourceSpans":[{"resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"shop"}}]},
    "scopeSpans":[{"scope":{"name":"lib","version":"1.2"},"spans":[)" +
         std::string(spans_json) + "]}]}]}";
}

/// The members that every span needs; more can be given.
inline std::string span_json(std::string_view more = {}) {
  std::string text =
      R"({"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"n")";
  if (!more.empty()) text += "," + std::string(more);
  return text + "}";
}

/// Every message and every kind of field, members in the order of their numbers.
inline constexpr std::string_view kEveryTraceField = R"({"resourceSpans":[{
 "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
   {"key":"n","value":{"intValue":"-1"}}],"droppedAttributesCount":1},
 "scopeSpans":[{"scope":{"name":"s","version":"1","attributes":[{"key":"b","value":{"bytesValue":"aGkh"}}],
   "droppedAttributesCount":2},
  "spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","traceState":"a=b",
   "parentSpanId":"0000000000000002","name":"GET /","kind":2,"startTimeUnixNano":"1544712660000000000",
   "endTimeUnixNano":"1544712661000000000",
   "attributes":[{"key":"d","value":{"doubleValue":0.5}},{"key":"f","value":{"boolValue":false}},
    {"key":"l","value":{"arrayValue":{"values":[{"stringValue":"x"},{}]}}},
    {"key":"m","value":{"kvlistValue":{"values":[{"key":"i","value":{"intValue":"0"}}]}}},
    {"key":"e","value":{}}],"droppedAttributesCount":3,
   "events":[{"timeUnixNano":"1544712660500000000","name":"exception",
     "attributes":[{"key":"k","value":{"stringValue":"v"}}],"droppedAttributesCount":4}],
   "droppedEventsCount":5,
   "links":[{"traceId":"5b8efff798038103d269b633813fc60d","spanId":"0000000000000001","traceState":"c=d",
     "attributes":[{"key":"o","value":{"stringValue":""}}],"droppedAttributesCount":6,"flags":1}],
   "droppedLinksCount":7,"status":{"message":"boom","code":2},"flags":257}],
  "schemaUrl":"u"}],"schemaUrl":"r"}]})";

}  // namespace gantry::codec::testing
