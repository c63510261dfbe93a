// What clients are told of calls that fail, and what of calls that they look into, through the
// whole gateway.

#include <atomic>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/generation_trace.h"
#include "gateway/testing/broadcast_cases.h"
#include "gateway/testing/gateway_fixture.h"
#include "gateway/testing/provider.h"
#include "gateway/testing/relay.h"

namespace gantry::gateway {
namespace {

using net::testing::RawClient;
using net::testing::RawResponse;
using net::testing::wait_until;
using nlohmann::json;
using testing::answering;
using testing::content_event;
using testing::kChatBody;
using testing::kChatPath;
using testing::kChatStreamBody;
using testing::last_events;
using testing::payloads;
using testing::whole_answer;
using testing::whole_stream;
using Peer = net::testing::RawServer::Connection;

constexpr std::string_view kResponsesPath = "/v1/responses";
constexpr std::string_view kResponsesBody = R"({"model":"openai/gpt-4o","input":"Hi"})";
constexpr std::string_view kResponsesStreamBody =
    R"({"model":"openai/gpt-4o","input":"Hi","stream":true})";
constexpr std::string_view kBegunResponse =
    "event: response.created\n"
    R"(data: {"type":"response.created","response":{"id":"resp_1","object":"response",)"
    R"("created_at":5,"model":"gpt-4o-2024","status":"in_progress"},"sequence_number":0})"
    "\n\nevent: response.output_text.delta\n"
    R"(data: {"type":"response.output_text.delta","delta":"Hel","sequence_number":1})"
    "\n\n";

/// The body of a request as the provider got it.
json sent_body(const std::string& request) {
  return json::parse(request.substr(request.find("\r\n\r\n")));
}

class CallErrorsTest : public testing::GatewayFixture {
 protected:
  void start_failing(int status, std::string body, CatalogueConfig config = one_model()) {
    GatewayOptions options;
    options.calls.attempts.max_retries = 0;
    start(answering([status, body = std::move(body)](const std::string&) {
            return whole_answer(status, body);
          }),
          std::move(config), options);
  }

  /// `text` is nowhere in what is kept of the only call: its spans with all that destinations may
  /// get, and its record.
  void expect_not_kept(const std::string& text) {
    const auto finished = generation();
    const TraceOptions options;
    telemetry::SpanBatch batch;
    build_trace(*finished, options, {.cost = true, .identity = true, .request_context = true},
                batch);
    const std::string spans = testing::expectation_form(batch).dump();
    EXPECT_TRUE(spans.contains(finished->error_type)) << spans;
    EXPECT_FALSE(spans.contains(text)) << spans;
    const RawResponse record = fetch("/api/v1/generation?id=" + next_id_);
    EXPECT_EQ(record.status, 200);
    EXPECT_FALSE(record.body.contains(text)) << record.body;
  }
};

TEST_F(CallErrorsTest, ResponsesFailAsOpenAisClientsExpect) {
  start_failing(429, R"({"error":{"message":"slow down","code":"tokens"}})");
  const RawResponse answer = post(kResponsesPath, kResponsesBody);
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.field("x-generation-id"), next_id_);
  const json body = json::parse(answer.body);
  EXPECT_EQ(body["error_type"], "rate_limit_exceeded");
  EXPECT_EQ(body["error"]["code"], 429);
  EXPECT_EQ(body["error"]["type"], "rate_limit_error");
  EXPECT_TRUE(body["error"].at("param").is_null());
  EXPECT_EQ(body["error"]["metadata"],
            json({{"error_type", "rate_limit_exceeded"}, {"provider_code", "tokens"}}));
  EXPECT_EQ(body["error"]["availability"]["code"], "capacity_exhausted");
  EXPECT_EQ(json::parse(post(kResponsesPath, kResponsesStreamBody).body), body);
}

TEST_F(CallErrorsTest, ResponsesAreRefusedInTheirShapeByTheGatewayAndItsServer) {
  GatewayOptions options;
  options.body_bytes_max = 1000;
  start(answering([](const std::string&) { return std::string(); }), one_model(), options);
  const auto error_type = [&](const RawResponse& answer) {
    const json body = json::parse(answer.body);
    EXPECT_EQ(body["error"]["code"], answer.status);
    EXPECT_EQ(body["error"]["type"], "invalid_request_error");
    EXPECT_EQ(body["error"]["metadata"]["error_type"], body["error_type"]);
    EXPECT_EQ(answer.field("x-generation-id"), next_id_);
    return body["error_type"].get<std::string>();
  };
  EXPECT_EQ(error_type(post(kResponsesPath, "{")), "invalid_request");
  EXPECT_EQ(error_type(post(kResponsesPath, std::string(1001, ' '))), "payload_too_large");
  secret_ = "gk_" + std::string(48, '0');
  EXPECT_EQ(error_type(post(kResponsesPath, kResponsesBody)), "authentication");
}

TEST_F(CallErrorsTest, AResponseThatBreaksOffFails) {
  start(
      [](Peer& connection, int) {
        connection.read_request();
        connection.send(std::string(testing::kEventsHead) +
                        testing::transfer_chunk(kBegunResponse));
      },
      one_model());
  const RawResponse answer = post(kResponsesPath, kResponsesStreamBody);
  EXPECT_EQ(answer.status, 200);
  const auto events = payloads(answer.body);
  ASSERT_EQ(events.size(), 3U) << answer.body;
  EXPECT_TRUE(answer.body.contains("event: response.failed\n")) << answer.body;
  EXPECT_EQ(events[2]["type"], "response.failed");
  EXPECT_EQ(events[2]["sequence_number"], 2);
  const json& response = events[2]["response"];
  EXPECT_EQ(response["id"], "resp_1");
  EXPECT_EQ(response["status"], "failed");
  EXPECT_EQ(response["error"],
            json({{"code", "server_error"}, {"message", "Provider disconnected"}}));
  EXPECT_EQ(response["error_type"], "provider_unavailable");
  EXPECT_EQ(generation()->error_type, "provider_unavailable");
}

TEST_F(CallErrorsTest, AResponseThatNoMoreTokensFitIntoIsCut) {
  start(answering([](const std::string&) {
          return whole_stream(
              std::string(kBegunResponse) +
              R"(data: {"type":"response.failed","response":{"id":"resp_1","status":"failed",)"
              R"("error":{"code":"context_length_exceeded","message":"m"}},"sequence_number":2})"
              "\n\n");
        }),
        one_model());
  const RawResponse answer = post(kResponsesPath, kResponsesStreamBody);
  const auto events = payloads(answer.body);
  ASSERT_EQ(events.size(), 3U) << answer.body;
  EXPECT_EQ(events[2]["type"], "response.incomplete");
  EXPECT_EQ(events[2]["response"]["status"], "incomplete");
  EXPECT_TRUE(generation()->is_ok);
  EXPECT_EQ(generation()->finish_reason, "length");
  EXPECT_EQ(generation()->native_finish_reason, "context_length_exceeded");
}

TEST_F(CallErrorsTest, AResponseThatFailsFirstGoesToTheNextProvider) {
  std::atomic<int> asked = 0;
  start(answering([&](const std::string&) {
          if (asked++ > 0) {
            return whole_stream(std::string(kBegunResponse) +
                                R"(data: {"type":"response.completed","response":{}})"
                                "\n\n");
          }
          return whole_stream(
              R"(data: {"type":"response.failed","response":{"error":{"code":"server_error"}}})"
              "\n\n");
        }),
        two_providers());
  const auto events = payloads(post(kResponsesPath, kResponsesStreamBody).body);
  EXPECT_EQ(asked, 2);
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[2]["type"], "response.completed");
}

TEST_F(CallErrorsTest, AResponseThatFailsLateFailsInItsStream) {
  std::atomic<bool> may_answer = false;
  GatewayOptions options;
  options.calls.keep_alive = {10};
  options.calls.attempts.max_retries = 0;
  start(answering([&](const std::string&) {
          wait_until([&] { return may_answer.load(); });
          return whole_answer(503, "{}");
        }),
        one_model(), options);
  RawClient client(server_->port());
  client.send(request(kResponsesPath, kResponsesStreamBody));
  std::string received;
  while (!received.contains(": GANTRY PROCESSING")) {
    const std::string piece = client.receive_some();
    ASSERT_FALSE(piece.empty());
    received += piece;
  }
  may_answer = true;
  while (!received.contains("\r\n0\r\n")) {
    const std::string piece = client.receive_some();
    ASSERT_FALSE(piece.empty()) << received;
    received += piece;
  }
  EXPECT_TRUE(received.contains("event: response.failed\n")) << received;
  EXPECT_TRUE(received.contains(R"("id":")" + next_id_)) << received;
  EXPECT_TRUE(received.contains(R"("error_type":"provider_overloaded")")) << received;
}

TEST_F(CallErrorsTest, AnUnknownModelSaysSoInItsAvailability) {
  start(answering([](const std::string&) { return std::string(); }), one_model());
  const RawResponse answer = post(
      kChatPath,
      R"({"model":"openai/gpt-4o","models":["acme/x"],"messages":[{"role":"user","content":"Hi"}]})");
  EXPECT_EQ(answer.status, 400);
  const json error = json::parse(answer.body)["error"];
  EXPECT_EQ(error["message"], "acme/x is not a valid model ID");
  EXPECT_EQ(error["metadata"]["error_type"], "invalid_request");
  EXPECT_EQ(error["availability"]["code"], "model_not_found");
  EXPECT_EQ(error["availability"]["retryable"], false);
  EXPECT_EQ(error["availability"]["requested_models"], json::array({"openai/gpt-4o", "acme/x"}));
}

TEST_F(CallErrorsTest, BusyProvidersAreTemporarilyUnavailable) {
  start_failing(503, "{}", two_providers());
  const RawResponse answer = post(kChatPath, kChatBody);
  EXPECT_EQ(answer.status, 503);
  const json error = json::parse(answer.body)["error"];
  EXPECT_EQ(error["availability"]["code"], "temporarily_unavailable");
  EXPECT_EQ(error["availability"]["retryable"], true);
  EXPECT_EQ(error["availability"]["affected_providers"].size(), 2U);
  EXPECT_EQ(error["metadata"]["previous_errors"].size(), 1U);
}

TEST_F(CallErrorsTest, AFailureHasTheProvidersRequestId) {
  GatewayOptions options;
  options.calls.attempts.max_retries = 0;
  start(answering([](const std::string&) {
          return whole_answer(400, R"({"error":{"message":"odd"}})",
                              "Content-Type: application/json\r\nX-Request-Id: req_9\r\n"
                              "Set-Cookie: c=1\r\n");
        }),
        one_model(), options);
  for (const std::string_view body : {kChatBody, kChatStreamBody}) {
    const RawResponse answer = post(kChatPath, body);
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.field("x-upstream-request-id"), "req_9");
    EXPECT_EQ(answer.field("x-generation-id"), next_id_);
    EXPECT_EQ(answer.field("set-cookie"), "");
  }
}

TEST_F(CallErrorsTest, TheClientAloneLearnsWhatModerationFlagged) {
  start_failing(
      403,
      R"({"error":{"code":403,"message":"Your input was flagged","metadata":{)"
      R"("reasons":["violence PLANTED"],"flagged_input":"how to PLANTED","provider_name":"Meta",)"
      R"("model_slug":"meta/guard"}}})");
  const RawResponse answer = post(kChatPath, kChatBody);
  EXPECT_EQ(answer.status, 400);
  const json error = json::parse(answer.body)["error"];
  EXPECT_EQ(error["message"], "Your input was flagged");
  EXPECT_EQ(error["metadata"], json::parse(R"({"error_type":"content_policy_violation",
    "reasons":["violence PLANTED"],"flagged_input":"how to PLANTED","provider_name":"Meta",
    "model_slug":"meta/guard"})"));
  expect_not_kept("PLANTED");
}

TEST_F(CallErrorsTest, AFilterOfAzureNamesItsCategories) {
  start_failing(400, R"({"error":{"code":"content_filter","message":"filtered","innererror":{)"
                     R"("code":"ResponsibleAIPolicyViolation","content_filter_result":{)"
                     R"("hate":{"filtered":false,"severity":"safe"},)"
                     R"("violence":{"filtered":true,"severity":"high"}}}}})");
  for (const std::string_view body : {kChatBody, kChatStreamBody}) {
    const RawResponse answer = post(kChatPath, body);
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(json::parse(answer.body)["error"]["metadata"],
              json::parse(R"({"error_type":"content_policy_violation",
                "provider_code":"content_filter","reasons":["violence"],
                "provider_name":"OpenAI","model_slug":"openai/gpt-4o"})"));
  }
}

TEST_F(CallErrorsTest, AStreamBeginsWithTheBodyThatTheProviderGot) {
  std::string asked;
  start(answering([&](const std::string& request) {
          asked = request;
          return whole_stream(content_event("Hello") + last_events());
        }),
        one_model());
  constexpr std::string_view kBody =
      R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"PLANTED"}],"stream":true,)"
      R"("debug":{"echo_upstream_body":true},"session_id":"s"})";
  const RawResponse answer = post(kChatPath, kBody);
  ASSERT_EQ(answer.status, 200);
  const auto events = payloads(answer.body);
  ASSERT_GE(events.size(), 3U) << answer.body;
  const json sent = sent_body(asked);
  EXPECT_FALSE(sent.contains("debug")) << asked;
  EXPECT_EQ(sent["model"], "gpt-4o-2024");
  EXPECT_EQ(events[0]["debug"]["echo_upstream_body"], sent);
  EXPECT_EQ(events[0]["choices"], json::array());
  EXPECT_EQ(events[0]["id"], next_id_);
  EXPECT_EQ(events[0]["model"], "openai/gpt-4o");
  EXPECT_EQ(events[0]["provider"], "OpenAI");
  EXPECT_EQ(events[1]["choices"][0]["delta"]["content"], "Hello");
  for (std::size_t i = 1; i < events.size(); ++i) {
    EXPECT_FALSE(events[i].is_object() && events[i].contains("debug")) << events[i];
  }
  EXPECT_FALSE(answer.body.contains("secret-of-env:A")) << answer.body;
  const auto finished = generation();
  EXPECT_FALSE(finished->completion.json.contains("PLANTED")) << finished->completion.json;
  EXPECT_EQ(finished->usage->total, 14);
}

TEST_F(CallErrorsTest, AStreamBeginsWithTheBodiesOfAllAttempts) {
  std::atomic<int> asked = 0;
  start(answering([&](const std::string&) {
          return asked++ == 0 ? whole_answer(500, "{}")
                              : whole_stream(content_event("Hello") + last_events());
        }),
        two_providers());
  const RawResponse answer =
      post(kChatPath, R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hi"}],)"
                      R"("provider":{"order":["openai","azure"]},"stream":true,)"
                      R"("debug":{"echo_upstream_body":true}})");
  const auto events = payloads(answer.body);
  ASSERT_GE(events.size(), 4U) << answer.body;
  EXPECT_EQ(events[0]["provider"], "OpenAI");
  EXPECT_EQ(events[0]["debug"]["echo_upstream_body"]["model"], "gpt-4o-2024");
  EXPECT_EQ(events[1]["provider"], "Azure");
  EXPECT_EQ(events[1]["debug"]["echo_upstream_body"]["model"], "deployment");
  EXPECT_EQ(events[2]["choices"][0]["delta"]["content"], "Hello");
}

TEST_F(CallErrorsTest, AResponseBeginsWithTheBodyThatTheProviderGot) {
  std::string asked;
  start(answering([&](const std::string& request) {
          asked = request;
          return whole_stream(std::string(kBegunResponse) +
                              R"(data: {"type":"response.completed","response":{"id":"resp_1"}})"
                              "\n\n");
        }),
        one_model());
  const RawResponse answer =
      post(kResponsesPath, R"({"model":"openai/gpt-4o","input":"Hi","stream":true,)"
                           R"("debug":{"echo_upstream_body":true}})");
  const auto events = payloads(answer.body);
  ASSERT_EQ(events.size(), 4U) << answer.body;
  EXPECT_TRUE(answer.body.starts_with("event: response.debug\n")) << answer.body;
  EXPECT_EQ(events[0]["type"], "response.debug");
  EXPECT_EQ(events[0]["debug"]["echo_upstream_body"], sent_body(asked));
  EXPECT_EQ(events[1]["type"], "response.created");
}

TEST_F(CallErrorsTest, AnAnswerInOnePieceHasNoDebug) {
  start(answering([](const std::string&) {
          return whole_answer(
              200, R"({"id":"c","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]})");
        }),
        one_model());
  const RawResponse answer =
      post(kChatPath, R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hi"}],)"
                      R"("debug":{"echo_upstream_body":true}})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(json::parse(answer.body).contains("debug")) << answer.body;
}

}  // namespace
}  // namespace gantry::gateway
