#include "gateway/token_estimate.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

TEST(TokenEstimate, RoundsUpAFourthOfTheBytes) {
  EXPECT_EQ(estimate_text_tokens(0), 0);
  EXPECT_EQ(estimate_text_tokens(1), 1);
  EXPECT_EQ(estimate_text_tokens(4), 1);
  EXPECT_EQ(estimate_text_tokens(5), 2);
}

TEST(TokenEstimate, MarksUsage) {
  const Usage usage = estimate_usage(8, 6);
  EXPECT_EQ(usage.input, 8);
  EXPECT_EQ(usage.output, 2);
  EXPECT_EQ(usage.total, 10);
  EXPECT_TRUE(usage.is_estimated);
}

struct Case {
  std::string name;
  Api api;
  std::string body;
  std::int64_t expected;
};

class InputEstimateTest : public ::testing::TestWithParam<Case> {};

TEST_P(InputEstimateTest, Counts) {
  EXPECT_EQ(estimate_input_tokens(GetParam().api, GetParam().body), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Requests, InputEstimateTest,
    ::testing::Values(
        Case{"message", Api::Chat, R"({"messages":[{"role":"user","content":"Hello!"}]})",
             4 + 3 + 2},
        Case{"two", Api::Chat, R"({"messages":[{"content":"ab"},{"content":"cd","name":"abcd"}]})",
             8 + 3 + 2},
        Case{"escapes_are_one_byte", Api::Chat, R"({"messages":[{"content":"\n\n\u0041\""}]})",
             4 + 3 + 1},
        Case{
            "parts", Api::Chat,
            R"({"messages":[{"content":[{"type":"text","text":"abcd"},{"type":"text","text":"efgh"}]}]})",
            4 + 3 + 2},
        Case{
            "image", Api::Chat,
            R"({"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAAAAAAAAAAAAAAAAAA"}}]}]})",
            4 + 3 + 765},
        Case{
            "low_detail", Api::Chat,
            R"({"messages":[{"content":[{"image_url":{"detail":"low","url":"https://x"},"type":"image_url"}]}]})",
            4 + 3 + 85},
        Case{"audio", Api::Chat,
             R"({"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"AAAA"}}]}]})",
             4 + 3 + 1600},
        Case{
            "tool_calls", Api::Chat,
            R"({"messages":[{"content":null,"tool_calls":[{"id":"c","function":{"name":"abcd","arguments":"{\"\"}"}}]}]})",
            4 + 3 + 2},
        Case{"tools", Api::Chat, R"({"tools":[{"a":1}],"messages":[]})", 3 + 3},
        Case{"anthropic", Api::Messages,
             R"({"system":[{"type":"text","text":"abcd"}],"messages":[{"content":[)"
             R"({"type":"tool_use","name":"abcd","input":{"a":1}},{"type":"image","source":{}},)"
             R"({"type":"tool_result","content":[{"type":"text","text":"abcde"}]}]}]})",
             4 + 3 + 1600 + 5},
        Case{"responses_text", Api::Responses, R"({"instructions":"abcd","input":"abcde"})",
             4 + 3 + 3},
        Case{
            "responses_items", Api::Responses,
            R"({"input":[{"role":"user","content":[{"type":"input_text","text":"abcd"},)"
            R"({"type":"input_image","detail":"low"}]},{"type":"function_call_output","output":"abcd"}]})",
            8 + 3 + 85 + 2},
        Case{"prompt", Api::Completions, R"({"prompt":["abcd","e"]})", 2},
        Case{"tokens", Api::Embeddings, R"({"input":[[1,2,3],[4]]})", 4},
        Case{"one_token_list", Api::Embeddings, R"({"input":[5,6]})", 2},
        Case{"nothing_is_one", Api::Embeddings, R"({"input":""})", 1},
        Case{"other_apis_fields", Api::Completions,
             R"({"messages":[{"content":"abcd"}],"prompt":"a"})", 1}),
    [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace gantry::gateway
