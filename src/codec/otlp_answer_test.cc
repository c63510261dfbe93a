#include "codec/otlp_answer.h"

#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "codec/testing/conformance.h"

namespace gantry::codec {
namespace {

constexpr OtlpEncoding kBoth[] = {OtlpEncoding::Protobuf, OtlpEncoding::Json};

/// "rejected/message", or "error".
std::string read(OtlpEncoding encoding, std::string_view body) {
  const auto decoded = decode_otlp_response(encoding, OtlpSignal::Traces, body);
  return decoded ? std::to_string(decoded->rejected) + "/" + decoded->message : "error";
}

RC_GTEST_PROP(OtlpAnswer, WhatAServerEncodesComesBack, ()) {
  const auto rejected = static_cast<std::uint64_t>(
      *rc::gen::inRange<std::int64_t>(0, std::numeric_limits<std::int64_t>::max()));
  const auto message = *rc::gen::element<std::string>("", "x", "limit \"a\"\n", "ä€😀");
  for (const OtlpEncoding encoding : kBoth) {
    for (const OtlpSignal signal : {OtlpSignal::Metrics, OtlpSignal::Traces, OtlpSignal::Logs}) {
      const auto decoded = decode_otlp_response(
          encoding, signal, encode_otlp_response(encoding, signal, rejected, message));
      RC_ASSERT(decoded.has_value());
      RC_ASSERT(decoded->rejected == rejected);
      RC_ASSERT(decoded->message == message);
    }
    RC_ASSERT(decode_status_message(
                  encoding, encode_rpc_status(
                                encoding, {.code = Code::Unavailable, .message = message}, 1500)) ==
              message);
  }
}

TEST(OtlpAnswer, ReadsWhatServersWrite) {
  const auto json = [](std::string_view body) { return read(OtlpEncoding::Json, body); };
  EXPECT_EQ(json(""), "0/");
  EXPECT_EQ(json("{}"), "0/");
  EXPECT_EQ(json(R"({"partialSuccess":null})"), "0/");
  EXPECT_EQ(json(R"({"partialSuccess":{}})"), "0/");
  EXPECT_EQ(json(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"},"new":[]})"), "3/x");
  EXPECT_EQ(json(R"({"partialSuccess":{"rejectedSpans":3,"errorMessage":null}})"), "3/");
  EXPECT_EQ(json(R"({"partialSuccess":{"rejectedSpans":-3}})"), "0/");
  EXPECT_EQ(json(R"({"partialSuccess":{"rejectedLogRecords":3}})"), "0/");
  EXPECT_EQ(json(R"({"partialSuccess":{"rejectedSpans":"3x"}})"), "error");
  EXPECT_EQ(json(R"({"partialSuccess":{"errorMessage":3}})"), "error");
  EXPECT_EQ(json(R"({"partialSuccess":3})"), "error");
  EXPECT_EQ(json("[]"), "error");
  EXPECT_EQ(json("OK"), "error");
  const auto protobuf = [](std::string_view hex) {
    return read(OtlpEncoding::Protobuf, testing::from_hex(hex));
  };
  EXPECT_EQ(protobuf(""), "0/");
  EXPECT_EQ(protobuf("0a00"), "0/");
  EXPECT_EQ(protobuf("0a05080312017801"), "error");
  EXPECT_EQ(protobuf("0a050803120178"), "3/x");
  EXPECT_EQ(protobuf("1801"
                     "0a050803120178"),
            "3/x");
  EXPECT_EQ(protobuf("0aff"), "error");
}

TEST(OtlpAnswer, FindsTheTextOfAnError) {
  const auto json = [](std::string_view body) {
    return decode_status_message(OtlpEncoding::Json, body);
  };
  EXPECT_EQ(json(R"({"code":3,"message":"bad span"})"), "bad span");
  EXPECT_EQ(json(R"({"status":"error","error":"no org id"})"), "no org id");
  EXPECT_EQ(json(R"({"error":{"code":401,"message":"who"}})"), "who");
  EXPECT_EQ(json(R"({"message":3})"), "");
  EXPECT_EQ(json("<html>"), "");
  EXPECT_EQ(decode_status_message(OtlpEncoding::Protobuf, "plain text"), "");
}

RC_GTEST_PROP(OtlpAnswer, ADelayToRetryAfterComesBack, ()) {
  const auto delay_ms = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 40);
  const Error error{.code = Code::ResourceExhausted, .message = *rc::gen::element("", "slow down")};
  const auto decoded =
      decode_retry_delay(encode_rpc_status(OtlpEncoding::Protobuf, error, delay_ms));
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(decoded->count == delay_ms);
  RC_ASSERT(!decode_retry_delay(encode_rpc_status(OtlpEncoding::Protobuf, error)));
}

TEST(OtlpAnswer, ReadsDelaysThatOthersWrite) {
  const auto delay = [](std::string_view retry_info_hex,
                        std::string_view type = "google.rpc.RetryInfo") {
    const auto field = [](char tag, const std::string& bytes) {
      return std::string{tag, static_cast<char>(bytes.size())} + bytes;
    };
    const std::string any = field('\x0a', std::string("type.googleapis.com/").append(type)) +
                            field('\x12', testing::from_hex(retry_info_hex));
    const auto read =
        decode_retry_delay(testing::from_hex("0808") + field('\x1a', "") + field('\x1a', any));
    return read ? read->count : -1;
  };
  EXPECT_EQ(delay("0a020805"), 5000);
  EXPECT_EQ(delay("0a0408051001"), 5001) << "a nanosecond more is later";
  EXPECT_EQ(delay(""), 0) << "a default value is not written";
  EXPECT_EQ(delay("0a0b08ffffffffffffffffff01"), -1) << "negative";
  EXPECT_EQ(delay("0a0a08ffffffffffffffff7f"), 315'576'000'000'000)
      << "at most what a Duration holds";
  EXPECT_EQ(delay("0a020805", "google.rpc.BadRequest"), -1);
  EXPECT_EQ(delay("0a0508"), -1) << "cut";
  EXPECT_EQ(decode_retry_delay("\x1a"), std::nullopt);
  EXPECT_EQ(decode_retry_delay(""), std::nullopt);
}

}  // namespace
}  // namespace gantry::codec
