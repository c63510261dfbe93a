// Calls through the whole gateway, from a client's socket to a provider's.

#include "gateway/call.h"

#include <atomic>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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

constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-2024-08-06",)"
    R"("choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},)"
    R"("finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}})";

class CallTest : public testing::GatewayFixture {
 protected:
  static std::string error_type(const RawResponse& answer) {
    return json::parse(answer.body)["error"]["metadata"]["error_type"];
  }

  /// Asks for OpenAI before Azure.
  static constexpr std::string_view kOrderedBody =
      R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hello!"}],)"
      R"("provider":{"order":["openai","azure"]}})";
};

TEST_F(CallTest, AnswersInOnePiece) {
  std::string asked;
  start(answering([&](const std::string& request) {
          asked = request;
          return whole_answer(200, kAnswer,
                              "Content-Type: application/json\r\nX-Request-Id: req_1\r\n");
        }),
        one_model());
  const RawResponse answer = post(kChatPath, kChatBody, "X-Title: app\r\nCookie: c=1\r\n");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.field("x-generation-id"), next_id_);
  EXPECT_EQ(answer.field("x-gantry-provider"), "openai");
  EXPECT_EQ(answer.field("x-upstream-request-id"), "req_1");
  EXPECT_GE(std::stod(answer.field("x-gantry-overhead-ms")), 0);
  const json body = json::parse(answer.body);
  EXPECT_EQ(body["id"], next_id_);
  EXPECT_EQ(body["model"], "openai/gpt-4o");
  EXPECT_EQ(body["provider"], "OpenAI");
  EXPECT_TRUE(asked.contains("Authorization: Bearer secret-of-env:A")) << asked;
  EXPECT_TRUE(asked.contains(R"("model":"gpt-4o-2024")")) << asked;
  EXPECT_FALSE(asked.contains("Cookie")) << asked;
  EXPECT_FALSE(asked.contains(secret_)) << asked;

  const auto finished = generation();
  EXPECT_TRUE(finished->is_ok);
  EXPECT_EQ(finished->id, next_id_);
  EXPECT_EQ(finished->served_model, "openai/gpt-4o");
  EXPECT_EQ(finished->upstream_id, "chatcmpl-1");
  EXPECT_EQ(finished->api_key_name, "production");
  ASSERT_TRUE(finished->usage);
  EXPECT_EQ(finished->usage->total, 12);
  ASSERT_TRUE(finished->cost);
  EXPECT_EQ(finished->cost->total, PicoUsd{10 * 2'500'000 + 2 * 10'000'000});
  ASSERT_EQ(finished->attempts.size(), 1U);
  EXPECT_TRUE(finished->attempts[0].is_ok);
  EXPECT_GE(finished->end_ms, *finished->attempts[0].body_end_ms);
}

TEST_F(CallTest, TheAnswerSaysWhatIsOnRecord) {
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), one_model());
  const RawResponse answer = post(kChatPath, kChatBody);
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json usage = json::parse(answer.body)["usage"];
  const auto finished = generation();
  ASSERT_TRUE(finished->cost);
  EXPECT_EQ(usage["cost"], finished->cost->total.to_double());
  EXPECT_EQ(usage["cost_details"]["upstream_inference_prompt_cost"],
            finished->cost->input->to_double());
  EXPECT_EQ(usage["total_tokens"], 12);
}

TEST_F(CallTest, NeedsNoWorkerOnceItsKeyIsKnown) {
  secret_ = make_key({.limit = PicoUsd{1'000'000'000'000}});
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), one_model());
  EXPECT_EQ(post(kChatPath, kChatBody).status, 200);
  std::vector<std::unique_ptr<RawClient>> busy;
  for (int i = 0; i < 2; ++i) {  // each worker
    busy.push_back(std::make_unique<RawClient>(server_->port()));
    busy.back()->send("GET /block HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  server_->wait_for_blocked(2);
  EXPECT_EQ(post(kChatPath, kChatBody).status, 200);
  const std::string long_body =
      R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":")" +
      std::string(64 << 10, 'x') + R"("}]})";
  RawClient client(server_->port());
  client.send(request(kChatPath, long_body));
  wait_until([&] { return server_->queue_length() == 1; });
  server_->release();
  EXPECT_EQ(client.receive().status, 200);
}

TEST_F(CallTest, AFinishedCallIsOnRecordAndOnTheKey) {
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), one_model());
  ASSERT_EQ(post(kChatPath, kChatBody).status, 200);
  static_cast<void>(generation());
  const RawResponse record = fetch("/api/v1/generation?id=" + next_id_);
  ASSERT_EQ(record.status, 200) << record.body;
  EXPECT_EQ(json::parse(record.body)["data"]["upstream_id"], "chatcmpl-1");
  const RawResponse key = fetch("/api/v1/key");
  ASSERT_EQ(key.status, 200) << key.body;
  EXPECT_NEAR(json::parse(key.body)["data"]["usage"].get<double>(), 0.000045, 1e-12);
  EXPECT_EQ(fetch("/api/v1/generation?id=gen-other").status, 404);
  EXPECT_EQ(fetch("/api/v1/generation").status, 400);
}

TEST_F(CallTest, StreamsAndKeepsTheUsageChunkBack) {
  std::string asked;
  start(answering([&](const std::string& request) {
          asked = request;
          return whole_stream(content_event("Hel") + content_event("lo") + last_events());
        }),
        one_model());
  const RawResponse answer = post("/v1/chat/completions", kChatStreamBody);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.field("x-generation-id"), next_id_);
  EXPECT_EQ(answer.field("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_NE(answer.field("x-gantry-overhead-ms"), "");
  EXPECT_TRUE(asked.contains(R"("include_usage":true)")) << asked;
  const auto events = payloads(answer.body);
  ASSERT_GE(events.size(), 3U);
  EXPECT_EQ(events.front()["id"], next_id_);
  EXPECT_EQ(events.back(), json("[DONE]"));
  for (const json& event : events) EXPECT_FALSE(event.is_object() && event.contains("usage"));
  const auto finished = generation();
  EXPECT_TRUE(finished->is_ok);
  EXPECT_EQ(finished->usage->total, 14);
  EXPECT_EQ(finished->cost->total, PicoUsd{11 * 2'500'000 + 3 * 10'000'000});
  EXPECT_TRUE(finished->attempts.at(0).first_token_ms);
}

TEST_F(CallTest, GoesOnToTheNextProvider) {
  std::atomic<int> asked = 0;
  start(answering([&](const std::string&) {
          return asked++ == 0 ? whole_answer(500, R"({"error":{"message":"down"}})")
                              : whole_answer(200, kAnswer);
        }),
        two_providers());
  const RawResponse answer = post(kChatPath, kOrderedBody);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.field("x-gantry-provider"), "azure");
  const auto finished = generation();
  ASSERT_EQ(finished->attempts.size(), 2U);
  EXPECT_FALSE(finished->attempts[0].is_ok);
  EXPECT_EQ(finished->attempts[0].provider_name, "OpenAI");
  EXPECT_TRUE(finished->attempts[1].is_ok);
}

TEST_F(CallTest, SaysWhatAllProvidersSaid) {
  start(answering([](const std::string&) {
          return whole_answer(429, R"({"error":{"message":"slow down"}})",
                              "Content-Type: application/json\r\nRetry-After: 7\r\n");
        }),
        two_providers());
  const RawResponse answer = post(kChatPath, kOrderedBody);
  EXPECT_EQ(answer.status, 429) << answer.body;
  EXPECT_EQ(answer.field("retry-after"), "7");
  EXPECT_EQ(answer.field("x-generation-id"), next_id_);
  const auto finished = generation();
  EXPECT_EQ(finished->error_type, "rate_limit_exceeded");
  EXPECT_FALSE(finished->usage);
  EXPECT_FALSE(finished->cost);
}

TEST_F(CallTest, TriesTheLastProviderOnceMore) {
  std::atomic<int> asked = 0;
  start(answering([&](const std::string&) {
          return asked++ == 0 ? whole_answer(503, "{}") : whole_answer(200, kAnswer);
        }),
        one_model());
  EXPECT_EQ(post(kChatPath, kChatBody).status, 200);
  EXPECT_EQ(generation()->attempts.size(), 2U);
}

TEST_F(CallTest, WhatTheClientDidWrongGoesBackAtOnce) {
  std::atomic<int> asked = 0;
  start(answering([&](const std::string&) {
          ++asked;
          return whole_answer(400, R"({"error":{"message":"temperature: too hot"}})");
        }),
        two_providers());
  const RawResponse answer = post(kChatPath, kOrderedBody);
  EXPECT_EQ(answer.status, 400);
  EXPECT_TRUE(answer.body.contains("too hot")) << answer.body;
  static_cast<void>(generation());
  EXPECT_EQ(asked, 1);
}

TEST_F(CallTest, RefusesBeforeAnyProviderIsAsked) {
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), one_model());
  const std::string good = std::exchange(secret_, "");
  const RawResponse anonymous = post(kChatPath, kChatBody);
  EXPECT_EQ(anonymous.status, 401);
  EXPECT_TRUE(anonymous.body.contains("Missing Authentication header")) << anonymous.body;
  EXPECT_EQ(anonymous.field("x-generation-id"), next_id_);
  secret_ = "gk_" + std::string(48, '0');
  EXPECT_EQ(post(kChatPath, kChatBody).status, 401);
  secret_ = good;
  EXPECT_EQ(post(kChatPath, "{").status, 400);
  const RawResponse unknown =
      post(kChatPath, R"({"model":"acme/x","messages":[{"role":"user","content":"Hi"}]})");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_TRUE(unknown.body.contains("acme/x is not a valid model ID")) << unknown.body;
  secret_ = make_key({.allowed_models = {"other/model"}});
  const RawResponse forbidden = post(kChatPath, kChatBody);
  EXPECT_EQ(forbidden.status, 404);
  EXPECT_TRUE(forbidden.body.contains("allowed_models")) << forbidden.body;
  EXPECT_EQ(upstream_->connection_count(), 0);
  EXPECT_EQ(sink_.count(), 0U);
}

TEST_F(CallTest, RefusesWhatABudgetDoesNotCover) {
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), one_model());
  secret_ = make_key({.limit = PicoUsd{1'000'000}});
  const RawResponse poor = post(kChatPath, kChatBody);
  EXPECT_EQ(poor.status, 402);
  EXPECT_TRUE(poor.body.contains("Key limit exceeded (total limit)")) << poor.body;
  // 4,096 tokens of output are more than what is left; ten are not.
  secret_ = make_key({.limit = PicoUsd{1'000'000'000}});
  EXPECT_EQ(post(kChatPath, kChatBody).status, 402);
  EXPECT_EQ(
      post(
          kChatPath,
          R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hi"}],"max_tokens":10})")
          .status,
      200);
}

TEST_F(CallTest, ImagesArePaidForAndReserved) {
  constexpr std::string_view kTwoImages =
      R"({"model":"openai/gpt-4o","max_tokens":10,"messages":[{"role":"user","content":[)"
      R"({"type":"image_url","image_url":{"url":"https://x/a.png"}},)"
      R"({"type":"image_url","image_url":{"url":"https://x/b.png"}}]}]})";
  CatalogueConfig config = one_model();
  config.models.front().input_modalities = {"text", "image"};
  config.models.front().prices->image = PicoUsd{1'000'000'000'000};
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), config);
  secret_ = make_key({.limit = PicoUsd{1'990'000'000'000}});
  EXPECT_EQ(post(kChatPath, kTwoImages).status, 402) << "two images are two USD";
  EXPECT_EQ(upstream_->connection_count(), 0);
  secret_ = make_key({.limit = PicoUsd{2'100'000'000'000}});
  const RawResponse answer = post(kChatPath, kTwoImages);
  ASSERT_EQ(answer.status, 200) << answer.body;
  constexpr std::int64_t kPaid = 2'000'000'000'000 + 10 * 2'500'000 + 2 * 10'000'000;
  EXPECT_EQ(generation()->cost->total, PicoUsd{kPaid});
  EXPECT_EQ(json::parse(answer.body)["usage"]["cost"], PicoUsd{kPaid}.to_double());
}

TEST_F(CallTest, ReservesTheDearestThatTokensMayBe) {
  constexpr std::string_view kTenOut =
      R"({"model":"openai/gpt-4o","max_tokens":10,"messages":[{"role":"user","content":"Hi"}]})";
  CatalogueConfig config = one_model();
  config.models.front().prices->reasoning = PicoUsd{100'000'000'000};
  config.models.front().prices->audio_output = PicoUsd{900'000'000'000};
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), config);
  secret_ = make_key({.limit = PicoUsd{999'000'000'000}});
  EXPECT_EQ(post(kChatPath, kTenOut).status, 402) << "all ten may be reasoning";
  secret_ = make_key({.limit = PicoUsd{1'100'000'000'000}});
  EXPECT_EQ(post(kChatPath, kTenOut).status, 200) << "no audio was asked for";
  EXPECT_EQ(
      post(kChatPath, R"({"model":"openai/gpt-4o","max_tokens":10,"modalities":["text","audio"],)"
                      R"("messages":[{"role":"user","content":"Hi"}]})")
          .status,
      402);
}

TEST_F(CallTest, RefusesWhatIsTooFast) {
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), one_model());
  secret_ = make_key({.rpm = 1});
  EXPECT_EQ(post(kChatPath, kChatBody).status, 200);
  const RawResponse fast = post(kChatPath, kChatBody);
  EXPECT_EQ(fast.status, 429);
  EXPECT_EQ(error_type(fast), "rate_limit_exceeded");
  EXPECT_EQ(fast.field("x-ratelimit-limit"), "1");
  EXPECT_EQ(fast.field("x-ratelimit-remaining"), "0");
  EXPECT_NE(fast.field("x-ratelimit-reset"), "");
  EXPECT_NE(fast.field("retry-after"), "");
}

TEST_F(CallTest, AClientThatLeavesEndsTheProvidersCall) {
  start(answering([](const std::string&) { return std::string(); }), one_model());
  {
    RawClient client(server_->port());
    client.send(request(kChatPath, kChatBody));
    wait_until([&] { return upstream_->connection_count() == 1; });
    client.reset();
  }
  wait_until([&] { return upstream_->open_count() == 0; });
  const auto finished = generation();
  EXPECT_TRUE(finished->is_cancelled);
  EXPECT_EQ(finished->error_type, "client_disconnected");
  EXPECT_EQ(finished->error_message, "The client has disconnected");
  EXPECT_FALSE(finished->cost);
  EXPECT_EQ(gateway_->live_call_count(), 0U);
}

TEST_F(CallTest, AClientThatLeavesAStreamPaysForWhatCame) {
  start(
      [](Peer& connection, int) {
        connection.read_request();
        connection.send(std::string(testing::kEventsHead) +
                        testing::transfer_chunk(content_event("Hello")));
        connection.wait_for_end();
      },
      one_model());
  {
    RawClient client(server_->port());
    client.send(request(kChatPath, kChatStreamBody));
    std::string received;
    while (!received.contains("Hello")) {
      const std::string piece = client.receive_some();
      ASSERT_FALSE(piece.empty());
      received += piece;
    }
    client.reset();
  }
  const auto finished = generation();
  EXPECT_TRUE(finished->is_cancelled);
  ASSERT_TRUE(finished->usage);
  EXPECT_TRUE(finished->usage->is_estimated);
  ASSERT_TRUE(finished->cost);
  EXPECT_GT(finished->cost->total, PicoUsd{0});
  const RawResponse key = fetch("/api/v1/key");
  EXPECT_GT(json::parse(key.body)["data"]["usage"].get<double>(), 0);
}

TEST_F(CallTest, WaitsForAPlaceAndNoLongerThanItMay) {
  std::atomic<bool> may_answer = false;
  GatewayOptions options;
  options.calls.queue_wait_max = {50};
  CatalogueConfig config = one_model();
  config.providers.front().max_concurrent = 1;
  start(answering([&](const std::string&) {
          wait_until([&] { return may_answer.load(); });
          return whole_answer(200, kAnswer);
        }),
        config, options);
  RawClient first(server_->port());
  first.send(request(kChatPath, kChatBody));
  wait_until([&] { return upstream_->connection_count() == 1; });
  const RawResponse second = post(kChatPath, kChatBody);
  EXPECT_EQ(second.status, 503) << second.body;
  EXPECT_EQ(second.field("retry-after"), "1");
  const json availability = json::parse(second.body)["error"]["availability"];
  EXPECT_EQ(availability["code"], "temporarily_unavailable");
  EXPECT_EQ(availability["retryable"], true);
  EXPECT_EQ(availability["requested_models"], json({"openai/gpt-4o"}));
  may_answer = true;
  EXPECT_EQ(first.receive().status, 200);
  EXPECT_EQ(sink_.wait_for(1).size(), 1U) << "what never went to a provider is no generation";
}

TEST_F(CallTest, GoesToTheNextProviderWhenOneIsFull) {
  std::atomic<bool> may_answer = false;
  std::atomic<int> asked = 0;
  CatalogueConfig config = two_providers();
  config.providers.front().max_concurrent = 1;
  start(answering([&](const std::string&) {
          if (asked++ == 0) wait_until([&] { return may_answer.load(); });
          return whole_answer(200, kAnswer);
        }),
        config);
  RawClient first(server_->port());
  first.send(request(kChatPath, kOrderedBody));
  wait_until([&] { return asked == 1; });
  EXPECT_EQ(post(kChatPath, kOrderedBody).field("x-gantry-provider"), "azure");
  may_answer = true;
  EXPECT_EQ(first.receive().field("x-gantry-provider"), "openai");
}

TEST_F(CallTest, StopEndsWhatIsUnderWay) {
  start(answering([](const std::string&) { return std::string(); }), one_model());
  RawClient client(server_->port());
  client.send(request(kChatPath, kChatBody));
  wait_until([&] { return upstream_->connection_count() == 1; });
  gateway_->stop();
  EXPECT_EQ(gateway_->live_call_count(), 0U);
  EXPECT_EQ(generation()->error_type, "client_disconnected");
  EXPECT_EQ(post(kChatPath, kChatBody).status, 503);
}

TEST_F(CallTest, ANewCatalogueHoldsForTheNextCall) {
  start(answering([](const std::string&) { return whole_answer(200, kAnswer); }), one_model());
  EXPECT_EQ(post(kChatPath, kChatBody).status, 200);
  auto empty = Catalogue::build({});
  ASSERT_TRUE(empty);
  ASSERT_TRUE(gateway_->serve(*empty));
  EXPECT_EQ(post(kChatPath, kChatBody).status, 400);
}

TEST_F(CallTest, PassesMessagesOnAndReadsThem) {
  std::string asked;
  CatalogueConfig config = one_model();
  config.providers.front().type = ProviderType::Anthropic;
  constexpr std::string_view kMessage =
      R"({"id":"msg_1","type":"message","content":[{"type":"text","text":"Hi"}],)"
      R"("stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}})";
  start(answering([&](const std::string& request) {
          asked = request;
          return whole_answer(200, kMessage);
        }),
        config);
  const std::string secret = std::exchange(secret_, "");
  const RawResponse answer =
      post("/v1/messages",
           R"({"model":"gpt-4o","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]})",
           "x-api-key: " + secret + "\r\nanthropic-beta: b1\r\n");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body, kMessage);
  EXPECT_TRUE(asked.contains("x-api-key: secret-of-env:A")) << asked;
  EXPECT_TRUE(asked.contains("anthropic-beta: b1")) << asked;
  const auto finished = generation();
  EXPECT_EQ(finished->usage->total, 4);
  EXPECT_EQ(finished->finish_reason, "stop");
  const RawResponse refused = post("/v1/messages", "{");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(json::parse(refused.body)["type"], "error");
}

TEST_F(CallTest, ListsWhatTheKeyMayUse) {
  start(answering([](const std::string&) { return std::string(); }), one_model());
  const RawResponse models = fetch("/v1/models");
  ASSERT_EQ(models.status, 200) << models.body;
  EXPECT_EQ(json::parse(models.body)["data"][0]["id"], "openai/gpt-4o");
  EXPECT_EQ(json::parse(fetch("/v1/models/count").body)["data"]["count"], 1);
  EXPECT_EQ(fetch("/v1/models/openai/gpt-4o/endpoints").status, 200);
  EXPECT_EQ(fetch("/v1/models/openai/other/endpoints").status, 404);
  secret_ = make_key({.allowed_models = {"other/model"}});
  EXPECT_EQ(json::parse(fetch("/v1/models").body)["data"].size(), 0U);
  EXPECT_EQ(fetch("/v1/models/openai/gpt-4o/endpoints").status, 404);
  secret_ = "";
  EXPECT_EQ(fetch("/v1/models").status, 401);
}

}  // namespace
}  // namespace gantry::gateway
