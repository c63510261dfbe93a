#include "gateway/token_estimate.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "gateway/bpe_tokenizer.h"
#include "gateway/stream_reader.h"
#include "gateway/testing/small_vocabulary.h"

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

class ExactCountTest : public ::testing::Test {
 protected:
  const std::shared_ptr<const BpeTokenizer> tokenizer_ =
      BpeTokenizer::parse(Encoding::O200kBase, testing::small_vocabulary({"Hello", " world"}), "v")
          .value();
  const TextCounting exact_{.tokenizer = tokenizer_.get()};
};

TEST_F(ExactCountTest, CountsEachTextOfARequest) {
  const std::string body =
      R"({"messages":[{"content":"Hello world"},{"content":[{"type":"text","text":"Hello"},)"
      R"({"type":"image_url","image_url":{"url":"data:AAAA"}}]}],"tools":[]})";
  EXPECT_EQ(estimate_input_tokens(Api::Chat, body, exact_), 8 + 3 + 2 + 1 + 765 + 2);
}

TEST_F(ExactCountTest, CountsWhatIsAboveItsLimitByTheBytes) {
  const std::string body = R"({"prompt":["Hello world","Hello"]})";
  const auto count = [&](std::size_t bytes_max) {
    return estimate_input_tokens(Api::Completions, body,
                                 {.tokenizer = tokenizer_.get(), .exact_bytes_max = bytes_max});
  };
  EXPECT_EQ(count(16), 2 + 1);
  EXPECT_EQ(count(15), 2 + 2);
  EXPECT_EQ(count(10), 3 + 1) << "a shorter text still fits";
  EXPECT_EQ(count(0), 4);
}

TEST_F(ExactCountTest, CountsWholeAnswersOfEachApi) {
  EXPECT_EQ(
      estimate_output_tokens(
          Api::Chat,
          R"({"choices":[{"message":{"role":"assistant","content":"Hello world","refusal":null,)"
          R"("tool_calls":[{"id":"c","function":{"name":"Hello","arguments":"{}"}}]}},)"
          R"({"message":{"reasoning":"Hello","reasoning_content":"Hello","content":" world"}}]})",
          exact_),
      2 + 1 + 2 + 1 + 1);
  EXPECT_EQ(estimate_output_tokens(Api::Completions,
                                   R"({"choices":[{"text":"Hello"},{"text":" world"}]})", exact_),
            2);
  EXPECT_EQ(
      estimate_output_tokens(
          Api::Messages,
          R"({"content":[{"type":"text","text":"Hello"},{"type":"thinking","thinking":"Hello"},)"
          R"({"type":"tool_use","id":"x","name":"Hello","input":{}}]})",
          exact_),
      3 + 2);
  EXPECT_EQ(
      estimate_output_tokens(
          Api::Responses,
          R"({"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"Hello"}]},)"
          R"({"type":"message","content":[{"type":"output_text","text":"Hello world"}]},)"
          R"({"type":"function_call","name":"Hello","arguments":"{}"}]})",
          exact_),
      1 + 2 + 1 + 2);
  EXPECT_EQ(estimate_output_tokens(Api::Embeddings, R"({"data":[{"text":"Hello"}]})", exact_), 0);
  EXPECT_EQ(estimate_output_tokens(Api::Chat, "no JSON", exact_), 0);
}

TEST_F(ExactCountTest, CountsOfStreamsWhatWasKeptAndTheRestByItsBytes) {
  StreamedAnswer answer;
  answer.text = "Hello world";
  answer.reasoning = "Hello";
  answer.tool_calls = {{.id = "call", .name = "Hello", .arguments = "{}"}};
  answer.output_bytes = 11 + 5 + 5 + 2;
  EXPECT_EQ(estimate_output_tokens(answer, exact_), 2 + 1 + 1 + 2);
  answer.output_bytes += 9;
  EXPECT_EQ(estimate_output_tokens(answer, exact_), 2 + 1 + 1 + 2 + 3);
  EXPECT_EQ(estimate_output_tokens(answer, {}), 8) << "of 32 bytes";
}

}  // namespace
}  // namespace gantry::gateway
