#include "codec/otlp_response.h"

#include <gtest/gtest.h>

#include "codec/testing/conformance.h"

namespace gantry::codec {
namespace {

using enum OtlpEncoding;

TEST(OtlpResponse, FullSuccessIsEmpty) {
  EXPECT_EQ(encode_otlp_response(Protobuf, OtlpSignal::Metrics, 0, ""), "");
  EXPECT_EQ(encode_otlp_response(Json, OtlpSignal::Metrics, 0, ""), "{}");
}

TEST(OtlpResponse, PartialSuccess) {
  EXPECT_EQ(encode_otlp_response(Json, OtlpSignal::Metrics, 3, "bad \"x\""),
            R"({"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"bad \"x\""}})");
  EXPECT_EQ(encode_otlp_response(Json, OtlpSignal::Traces, 1, ""),
            R"({"partialSuccess":{"rejectedSpans":"1"}})");
  EXPECT_EQ(encode_otlp_response(Json, OtlpSignal::Logs, 1, ""),
            R"({"partialSuccess":{"rejectedLogRecords":"1"}})");
  EXPECT_EQ(encode_otlp_response(Json, OtlpSignal::Metrics, 0, "warning"),
            R"({"partialSuccess":{"errorMessage":"warning"}})");
  EXPECT_EQ(encode_otlp_response(Protobuf, OtlpSignal::Metrics, 300, "no"),
            testing::from_hex("0a0708ac0212026e6f"));
}

TEST(OtlpResponse, StatusBodies) {
  const Error error{.code = Code::InvalidArgument, .message = "no"};
  EXPECT_EQ(encode_rpc_status(Json, error), R"({"code":3,"message":"no","details":[]})");
  EXPECT_EQ(encode_rpc_status(Protobuf, error), testing::from_hex("080312026e6f"));
}

TEST(OtlpResponse, RetryInfo) {
  const Error error{.code = Code::ResourceExhausted, .message = "no"};
  EXPECT_EQ(
      encode_rpc_status(Json, error, 1500),
      R"({"code":8,"message":"no","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo",)"
      R"("retryDelay":"1.500s"}]})");
  EXPECT_EQ(encode_rpc_status(Json, error, 6000).find("\"6s\"") == std::string::npos, false);
  const std::string type = "type.googleapis.com/google.rpc.RetryInfo";
  // RetryInfo{retry_delay{seconds 1, nanos 500000000}}.
  const std::string info = testing::from_hex("0a0808011080cab5ee01");
  const std::string any = "\x0a" + std::string(1, static_cast<char>(type.size())) + type + "\x12" +
                          std::string(1, static_cast<char>(info.size())) + info;
  EXPECT_EQ(encode_status_details(error, 1500), testing::from_hex("080812026e6f") + "\x1a" +
                                                    std::string(1, static_cast<char>(any.size())) +
                                                    any);
}

TEST(OtlpResponse, ContentTypes) {
  EXPECT_EQ(parse_otlp_content_type("application/x-protobuf").value(), Protobuf);
  EXPECT_EQ(parse_otlp_content_type("Application/JSON; charset=utf-8").value(), Json);
  const auto refused = parse_otlp_content_type("text/plain");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Unsupported);
  EXPECT_EQ(refused.error().message,
            "415 unsupported media type, supported: [application/json, application/x-protobuf]");
}

TEST(OtlpResponse, CodesAreGrpcs) {
  EXPECT_EQ(grpc_code(Code::Cancelled), 1);
  EXPECT_EQ(grpc_code(Code::Unavailable), 14);
  EXPECT_EQ(grpc_code(Code::Unauthenticated), 16);
  EXPECT_EQ(grpc_code(Code::TooLarge), 8);
}

}  // namespace
}  // namespace gantry::codec
