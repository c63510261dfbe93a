#pragma once

// OTLP requests for tests, written as JSON and encoded as protobuf by our own schema tables; what
// protoc makes of the same text is compared where it is installed.

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "codec/compression.h"
#include "codec/otlp_json.h"

namespace gantry::codec::testing {

/// With the padding that JSON bodies need.
inline std::string padded(std::string_view text) {
  std::string body(text);
  body.reserve(body.size() + kBodyPaddingBytes);
  return body;
}

/// The protobuf form of an OTLP/JSON metrics request.
inline std::string metrics_protobuf(std::string_view json) {
  std::string out;
  const auto result = otlp_json_to_protobuf(OtlpJsonMessage::MetricsRequest, padded(json), out);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return out;
}

/// A request with one resource (service shop/checkout, instance i-1, pod p-1), one scope and the
/// metrics given as JSON.
inline std::string request_with(std::string_view metrics_json) {
  return R"({"resourceMetrics":[{"resource":{"attributes":[
    {"key":"service.name","value":{"stringValue":"checkout"}},
    {"key":"service.namespace","value":{"stringValue":"shop"}},
    {"key":"service.instance.id","value":{"stringValue":"i-1"}},
    {"key":"k8s.pod.name","value":{"stringValue":"p-1"}}]},
    "scopeMetrics":[{"scope":{"name":"lib","version":"1.2"},"metrics":[)" +
         std::string(metrics_json) + "]}]}]}";
}

}  // namespace gantry::codec::testing
