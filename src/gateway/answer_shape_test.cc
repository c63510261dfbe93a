#include "gateway/answer_shape.h"

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

const AnswerShape kShape{.generation_id = "gen-1", .model = "a/b", .provider_name = "P"};

TEST(SpliceAnswer, LeavesWhatItNeedNotChange) {
  EXPECT_EQ(splice_answer(
                "{\"id\":\"c\",\n \"model\":\"up\",\"provider\":\"x\", \"choices\":[{\"index\":0,"
                "\"message\":{\"content\":\"\\u00e9\"},\"finish_reason\":\"stop\"}],"
                "\"usage\":{\"prompt_tokens\":1.0}}\n",
                kShape),
            "{\"id\":\"gen-1\",\n \"model\":\"a/b\",\"provider\":\"P\", \"choices\":[{\"index\":0,"
            "\"message\":{\"content\":\"\\u00e9\"},\"finish_reason\":\"stop\"}],"
            "\"usage\":{\"prompt_tokens\":1.0}}\n");
}

TEST(SpliceAnswer, NormalisesFinishReasons) {
  EXPECT_EQ(splice_answer(
                R"({"id":"","model":"","provider":"","choices":[{"finish_reason":"max_tokens"}]})",
                kShape),
            R"({"id":"gen-1","model":"a/b","provider":"P","choices":[{"finish_reason":"length",)"
            R"("native_finish_reason":"max_tokens"}]})");
}

TEST(SpliceAnswer, GivesEmbeddingsNoId) {
  EXPECT_EQ(splice_answer(R"({"object":"list","data":[],"model":"up","usage":{}})",
                          {.api = Api::Embeddings, .generation_id = "gen-1", .model = "a/b"}),
            R"({"object":"list","data":[],"model":"a/b","usage":{}})");
}

TEST(SpliceAnswer, SaysWhatTheCallCost) {
  AnswerShape priced = kShape;
  priced.pricing.prices = Prices{.input = PicoUsd{1'000'000},
                                 .output = PicoUsd{2'000'000},
                                 .cache_read = {},
                                 .cache_write = {},
                                 .request = {}};
  EXPECT_EQ(splice_answer(R"({"id":"","model":"","provider":"","usage":{"prompt_tokens":3,)"
                          R"("total_tokens":3},"choices":[]})",
                          priced),
            R"({"id":"gen-1","model":"a/b","provider":"P","usage":{"prompt_tokens":3,)"
            R"("total_tokens":3,"cost":0.000003,"cost_details":{"upstream_inference_cost":null,)"
            R"("upstream_inference_prompt_cost":0.000003,)"
            R"("upstream_inference_completions_cost":0},"is_byok":false},"choices":[]})");
  EXPECT_EQ(splice_answer(R"({"id":"","model":"","provider":"","usage":null})", priced),
            R"({"id":"gen-1","model":"a/b","provider":"P","usage":null})");
}

TEST(SpliceAnswer, IsNothingForWhatIsNoAnswer) {
  for (const char* body : {"", "[]", "<html>", R"({"id":1)", R"({"error":{"message":"m"}})",
                           R"({"object":"error","message":"m"})"}) {
    EXPECT_FALSE(splice_answer(body, kShape)) << body;
  }
  EXPECT_TRUE(splice_answer(R"({"error":null,"choices":[]})", kShape));
}

}  // namespace
}  // namespace gantry::gateway
