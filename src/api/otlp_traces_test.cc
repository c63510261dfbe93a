// OTLP traces over HTTP: what is stored, and what senders are told.

#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/testing/tempo_world.h"

namespace gantry::api {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kGood =
    R"({"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"good"})";
constexpr std::string_view kZeroId =
    R"({"traceId":"00000000000000000000000000000000","spanId":"eee19b7ec3c1b174","name":"zero"})";

class OtlpTracesTest : public testing::TempoWorld {
 protected:
  net::Response post(std::string_view spans, std::string_view token = "glc_write",
                     std::string_view path = "/v1/traces",
                     std::string_view type = "application/json") {
    net::Headers headers;
    headers.set("Content-Type", std::string(type));
    return send(net::Method::Post, path, token, headers,
                R"({"resourceSpans":[{"scopeSpans":[{"spans":[)" + std::string(spans) + "]}]}]}");
  }

  static telemetry::SpanAppendResult refused(telemetry::SpanRejectReason reason,
                                             std::uint64_t count, std::uint64_t written) {
    telemetry::SpanAppendResult result{.spans_written = written};
    result.rejected_counts[static_cast<std::size_t>(reason)] = count;
    result.messages = {"why"};
    return result;
  }
};

TEST_F(OtlpTracesTest, AreStoredOnEachPath) {
  for (const std::string_view path : {"/v1/traces", "/otlp/v1/traces", "/api/v1/otlp/v1/traces"}) {
    const auto response = post(kGood, "glc_write", path);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "{}");
    EXPECT_EQ(response.headers.find("Content-Type"), "application/json");
  }
  EXPECT_EQ(store_->appended, (std::vector<std::string>{"good", "good", "good"}));
}

TEST_F(OtlpTracesTest, NeedTheScopeForTraces) {
  EXPECT_EQ(post(kGood, "").status, 401);
  EXPECT_EQ(post(kGood, "glc_read").status, 403);
  EXPECT_EQ(post(kGood, "glc_metrics").status, 403) << "writing metrics is another scope";
  EXPECT_TRUE(store_->appended.empty());
}

TEST_F(OtlpTracesTest, BadSpansAreAPartialSuccess) {
  const auto response = post(std::string(kGood) + "," + std::string(kZeroId));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(Json::parse(response.body), Json::parse(R"({"partialSuccess":{"rejectedSpans":"1",
              "errorMessage":"1 spans were refused: span \"zero\": the trace id is zero"}})"));
  EXPECT_EQ(store_->appended, std::vector<std::string>{"good"});
}

TEST_F(OtlpTracesTest, WhatTheStoreRefusesIsCountedToo) {
  store_->on_append = [](const telemetry::SpanBatch&) {
    return refused(telemetry::SpanRejectReason::TraceTooLarge, 2, 0);
  };
  const auto response = post(std::string(kGood) + "," + std::string(kZeroId));
  EXPECT_EQ(response.status, 200) << "trying again would not help";
  const Json partial = Json::parse(response.body).at("partialSuccess");
  EXPECT_EQ(partial.at("rejectedSpans"), "3");
  EXPECT_TRUE(
      partial.at("errorMessage").get<std::string>().ends_with("; 2 spans were refused: why"));
}

TEST_F(OtlpTracesTest, ALimitThatLiftsAsksForAnotherTry) {
  store_->on_append = [](const telemetry::SpanBatch&) {
    auto result = refused(telemetry::SpanRejectReason::RateLimited, 1, 0);
    result.retry_after = DurationMs{2500};
    return result;
  };
  const auto response = post(kGood);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.find("Retry-After"), "3");
  store_->on_append = [](const telemetry::SpanBatch&) {
    return refused(telemetry::SpanRejectReason::LiveTraces, 1, 1);
  };
  EXPECT_EQ(post(kGood).status, 200) << "a part was stored: sending it again would not help";
}

TEST_F(OtlpTracesTest, StoreErrorsAreRetryableOrFinal) {
  store_->on_append = [](const telemetry::SpanBatch&) -> Result<telemetry::SpanAppendResult> {
    return fail(Code::Unavailable, "disk full");
  };
  EXPECT_EQ(post(kGood).status, 503);
  EXPECT_TRUE(post(kGood).headers.contains("Retry-After"));
  store_->on_append = [](const telemetry::SpanBatch&) -> Result<telemetry::SpanAppendResult> {
    return fail(Code::ResourceExhausted, "too many spans");
  };
  EXPECT_EQ(post(kGood).status, 413);
  store_->on_append = [](const telemetry::SpanBatch&) -> Result<telemetry::SpanAppendResult> {
    return fail(Code::Internal, "bug");
  };
  EXPECT_EQ(post(kGood).status, 503) << "senders give up on 500";
}

TEST_F(OtlpTracesTest, BadRequestsAreRefusedInTheirEncoding) {
  const auto wrong_type = post(kGood, "glc_write", "/v1/traces", "text/plain");
  EXPECT_EQ(wrong_type.status, 415);
  EXPECT_EQ(wrong_type.body,
            "415 unsupported media type, supported: [application/json, application/x-protobuf]");
  const auto bad_json = post("x");
  EXPECT_EQ(bad_json.status, 400);
  EXPECT_EQ(Json::parse(bad_json.body).at("code"), 3);
  EXPECT_EQ(post(kGood, "glc_write", "/v1/traces", "application/x-protobuf").status, 400);
}

TEST_F(OtlpTracesTest, LimitsOfSpansComeFromTheSettings) {
  settings_.otlp_traces.events_per_span_max = 1;
  const auto response = post(R"({"traceId":"5b8efff798038103d269b633813fc60c",
    "spanId":"eee19b7ec3c1b174","name":"good","events":[{"name":"a"},{"name":"b"}]})");
  EXPECT_EQ(Json::parse(response.body).at("partialSuccess"),
            Json::parse(R"json({"errorMessage":"1 events were dropped (limits.events_per_span_max)"
})json"));
}

}  // namespace
}  // namespace gantry::api
