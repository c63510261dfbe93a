#include "gateway/generation_records.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "access/testing/control_fixture.h"

namespace gantry::gateway {
namespace {

using access::kTestStart;

constexpr DurationMs kRetention{std::int64_t{30} * 24 * 3600 * 1000};

Generation finished(std::string id = "gen-1700000000-abcdefghijklmnopqrst") {
  Generation made;
  made.id = std::move(id);
  made.start_unix_ns = kTestStart.since_epoch * 1'000'000;
  made.end_ms = 830.5;
  made.requested_model = "openai/gpt-4o";
  made.served_model = "openai/gpt-4o-2024-08-06";
  made.context.session_id = "session";
  made.context.user_id = "someone";
  made.http_referer = "https://app.example.com";
  made.workspace_id = "1000000";
  made.is_stream = true;
  made.attempts = {{.provider_name = "Azure", .sent_ms = 1, .failed_ms = 11, .status = 503},
                   {.provider_name = "OpenAI",
                    .sent_ms = 20,
                    .headers_ms = 100,
                    .body_end_ms = 820,
                    .status = 200,
                    .is_ok = true}};
  made.usage = Usage{.input = 10, .output = 20, .total = 30, .cached = 4};
  made.cost = Cost{.total = PicoUsd{142'500'000}, .upstream = PicoUsd{140'000'000}};
  made.finish_reason = "stop";
  made.native_finish_reason = "end_turn";
  made.upstream_id = "chatcmpl-1";
  made.prompt.json = R"({"messages":"what was asked"})";
  made.completion.json = R"({"completion":"what was answered"})";
  made.error_message = "what the provider wrote";
  made.is_ok = true;
  return made;
}

TEST(GenerationJsonTest, SaysWhatIsKnown) {
  EXPECT_EQ(nlohmann::json::parse(generation_json(finished())), nlohmann::json::parse(R"({
    "id": "gen-1700000000-abcdefghijklmnopqrst", "upstream_id": "chatcmpl-1",
    "session_id": "session", "created_at": "2023-11-14T22:13:20Z",
    "model": "openai/gpt-4o-2024-08-06", "provider_name": "OpenAI",
    "provider_responses": [{"provider_name": "Azure", "status": 503, "latency": 10},
                           {"provider_name": "OpenAI", "status": 200, "latency": 800}],
    "api_type": "completions", "streamed": true, "cancelled": false, "latency": 830.5,
    "generation_time": 800, "tokens_prompt": 10, "tokens_completion": 20,
    "native_tokens_prompt": 10, "native_tokens_completion": 20, "native_tokens_reasoning": null,
    "native_tokens_cached": 4, "native_finish_reason": "end_turn", "finish_reason": "stop",
    "total_cost": 0.0001425, "usage": 0.0001425, "upstream_inference_cost": 0.00014,
    "cache_discount": null, "external_user": "someone", "origin": null,
    "http_referer": "https://app.example.com", "user_agent": null, "workspace_id": "1000000",
    "is_byok": false, "app_name": null, "request_id": null, "router": null,
    "moderation_latency": null, "app_id": null, "service_tier": null, "data_region": null,
    "num_media_prompt": null, "num_media_completion": null, "num_search_results": null})"));
}

TEST(GenerationJsonTest, HasNothingOfWhatWasSaid) {
  EXPECT_FALSE(generation_json(finished()).contains("what"));
}

TEST(GenerationJsonTest, WhatIsNotKnownIsNull) {
  Generation failed;
  failed.id = "gen-1";
  failed.requested_model = "a/b";
  const auto json = nlohmann::json::parse(generation_json(failed));
  EXPECT_EQ(json["model"], "a/b");
  for (const char* key : {"provider_name", "generation_time", "tokens_prompt", "tokens_completion",
                          "total_cost", "usage", "finish_reason"})
    EXPECT_TRUE(json.at(key).is_null()) << key;
  EXPECT_TRUE(json["provider_responses"].empty());
}

TEST(GenerationJsonTest, HasAllFieldsOfTheOriginal) {
  Generation named = finished();
  named.app_name = "shop";
  const auto json = nlohmann::json::parse(generation_json(named));
  EXPECT_EQ(json["app_name"], "shop");
  EXPECT_EQ(json["is_byok"], false);
  for (const char* key : {"request_id", "router", "moderation_latency", "app_id", "service_tier",
                          "data_region", "num_media_prompt"}) {
    EXPECT_TRUE(json.at(key).is_null()) << key;
  }
}

TEST(GenerationJsonTest, EstimatesAreNotNative) {
  Generation estimated = finished();
  estimated.usage->is_estimated = true;
  const auto json = nlohmann::json::parse(generation_json(estimated));
  EXPECT_EQ(json["tokens_prompt"], 10);
  EXPECT_TRUE(json["native_tokens_prompt"].is_null());
  EXPECT_TRUE(json["native_tokens_cached"].is_null());
}

TEST(GenerationJsonTest, EmbeddingsHaveNoOutput) {
  Generation embedding = finished();
  embedding.api = Api::Embeddings;
  const auto json = nlohmann::json::parse(generation_json(embedding));
  EXPECT_EQ(json["api_type"], "embeddings");
  EXPECT_TRUE(json["tokens_completion"].is_null());
}

TEST(GenerationJsonTest, ClientsTextsAreCutAndMadeValid) {
  Generation strange = finished();
  strange.user_agent = std::string(2'000, 'a');
  strange.origin = std::string("\xff\0", 2);
  const auto json = nlohmann::json::parse(generation_json(strange));
  EXPECT_EQ(json["user_agent"].get<std::string>().size(), 1'024U);
  EXPECT_EQ(json["origin"].get<std::string>(), std::string("\xef\xbf\xbd\0", 4));
}

class GenerationRecordsTest : public access::ControlFixture {
 protected:
  std::string found(access::OrgId org, StackId stack, std::string_view id) {
    const auto answer = records_.find(org, stack, id);
    if (!answer) return "error: " + answer.error().message;
    return *answer ? nlohmann::json::parse(**answer)["data"]["id"].get<std::string>() : "-";
  }

  std::string found(std::string_view id) { return found(org_, stack_, id); }

  GenerationRecords records_{*db_, clock_, registry_, {.queue_max = 2}};
};

TEST_F(GenerationRecordsTest, AreFoundBeforeAndAfterTheyAreWritten) {
  records_.add(org_, stack_, finished("gen-1"));
  EXPECT_EQ(found("gen-1"), "gen-1");
  ASSERT_TRUE(records_.flush());
  EXPECT_EQ(found("gen-1"), "gen-1");
  EXPECT_EQ(found("gen-2"), "-");
  GenerationRecords restarted(*db_, clock_, registry_, {});
  EXPECT_TRUE(*restarted.find(org_, stack_, "gen-1"));
}

TEST_F(GenerationRecordsTest, AreForTheirStackOnly) {
  const StackId second = add_stack(org_, "second");
  records_.add(org_, stack_, finished("gen-1"));
  for (int written = 0; written < 2; ++written) {
    EXPECT_EQ(found(org_, second, "gen-1"), "-");
    EXPECT_EQ(found(other_org_, stack_, "gen-1"), "-");
    EXPECT_EQ(found(other_org_, foreign_stack_, "gen-1"), "-");
    ASSERT_TRUE(records_.flush());
  }
}

TEST_F(GenerationRecordsTest, AFullQueueLosesAndCounts) {
  for (const char* id : {"gen-1", "gen-2", "gen-3"}) records_.add(org_, stack_, finished(id));
  EXPECT_EQ(found("gen-3"), "-");
  EXPECT_EQ(registry_.counter("gantry_gateway_records_lost_total", "").value(), 1U);
  ASSERT_TRUE(records_.flush());
  records_.add(org_, stack_, finished("gen-4"));
  EXPECT_EQ(found("gen-4"), "gen-4");
}

TEST_F(GenerationRecordsTest, AFailedFlushIsTriedAgain) {
  records_.add(org_, stack_, finished("gen-1"));
  write([](state::Transaction& tx) {
    return tx.execute("ALTER TABLE gateway_generations RENAME TO hidden");
  });
  EXPECT_FALSE(records_.flush());
  EXPECT_EQ(found("gen-1"), "gen-1");
  write([](state::Transaction& tx) {
    return tx.execute("ALTER TABLE hidden RENAME TO gateway_generations");
  });
  ASSERT_TRUE(records_.flush());
  EXPECT_EQ(found("gen-1"), "gen-1");
}

TEST_F(GenerationRecordsTest, EndAfterThirtyDays) {
  records_.add(org_, stack_, finished("gen-1"));
  ASSERT_TRUE(records_.flush());
  clock_.advance({kRetention.count - 1});
  ASSERT_TRUE(records_.expire());
  EXPECT_EQ(found("gen-1"), "gen-1");
  clock_.advance({1});
  EXPECT_EQ(found("gen-1"), "-") << "also before it is removed";
  ASSERT_TRUE(records_.expire());
  clock_.set(kTestStart);
  EXPECT_EQ(found("gen-1"), "-");
}

}  // namespace
}  // namespace gantry::gateway
