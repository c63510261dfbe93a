#include "gateway/answer_reader.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "gateway/content.h"
#include "gateway/testing/broadcast_cases.h"

namespace gantry::gateway {
namespace {

using testing::padded;

Result<Answer> read(std::string_view body, Api api = Api::Chat) {
  return read_answer(api, padded(body));
}

Answer with_usage(std::string_view usage) {
  return read(fmt::format(R"({{"choices":[{{}}],"usage":{}}})", usage)).value();
}

TEST(AnswerReaderTest, ReadsAChat) {
  const auto answer = read(
      R"({"id":"chatcmpl-1","choices":[{"index":0,"finish_reason":"stop","message":
          {"role":"assistant","content":"Hi \ud83d\ude00","reasoning":"hm","tool_calls":[]}}],
          "usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14,"cost":0.000125}})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->upstream_id, "chatcmpl-1");
  EXPECT_EQ(answer->usage->input, 11);
  EXPECT_EQ(answer->usage->output, 3);
  EXPECT_EQ(answer->usage->total, 14);
  EXPECT_FALSE(answer->usage->is_estimated);
  EXPECT_EQ(answer->reported_cost, PicoUsd{125000000});
  EXPECT_EQ(answer->finish_reason, "stop");
  EXPECT_EQ(answer->native_finish_reason, "stop");
  EXPECT_EQ(answer->completion.json, R"({"completion":"Hi \ud83d\ude00","reasoning":"hm"})");
}

TEST(AnswerReaderTest, ReadsToolCallsOfAllChoicesAndTheTextOfTheFirst) {
  const auto answer = read(
      R"({"choices":[
          {"index":1,"finish_reason":"length","message":{"content":"B","tool_calls":[{"id":"b"}]}},
          {"index":0,"finish_reason":"tool_use","native_finish_reason":"tool_use_native",
           "message":{"content":null,"tool_calls":[{"id":"a"},{"id":"c"}] }}]})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->tool_calls_count, 3);
  EXPECT_EQ(answer->finish_reasons, (std::vector<std::string>{"tool_calls", "length"}));
  EXPECT_EQ(answer->finish_reason, "tool_calls");
  EXPECT_EQ(answer->native_finish_reason, "tool_use_native");
  EXPECT_EQ(nlohmann::json::parse(answer->completion.json),
            nlohmann::json::parse(
                R"({"completion":null,"reasoning":null,"toolCalls":[{"id":"a"},{"id":"c"}]})"));
  EXPECT_EQ(answer->usage, std::nullopt);
}

TEST(AnswerReaderTest, ReadsOtherNamesOfTheSame) {
  EXPECT_EQ(read(R"({"choices":[{"message":{"content":null,"refusal":"no"}}]})")->completion.json,
            R"({"completion":"no","reasoning":null})");
  EXPECT_EQ(
      read(R"({"choices":[{"message":{"content":"x","reasoning_content":"r"}}]})")->completion.json,
      R"({"completion":"x","reasoning":"r"})");
  EXPECT_EQ(read(R"({"choices":[{"text":" world"}]})", Api::Completions)->completion.json,
            R"({"completion":" world","reasoning":null})");
}

TEST(AnswerReaderTest, ReadsEmbeddings) {
  const auto answer =
      read(R"({"data":[{"embedding":[0.1,0.2]}],"usage":{"prompt_tokens":8}})", Api::Embeddings);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->usage->input, 8);
  EXPECT_EQ(answer->usage->total, 8);
  EXPECT_EQ(answer->completion.json, "");
  EXPECT_EQ(answer->finish_reason, "");
}

TEST(AnswerReaderTest, ReadsTheDetailsOfUsage) {
  const Answer answer = with_usage(
      R"({"completion_tokens_details":{"reasoning_tokens":5},"prompt_tokens":100,
          "prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":7},"completion_tokens":9})");
  EXPECT_EQ(answer.usage->total, 109);
  EXPECT_EQ(answer.usage->cached, 0);
  EXPECT_EQ(answer.usage->cache_write, 7);
  EXPECT_EQ(answer.usage->reasoning, 5);
}

TEST(AnswerReaderTest, CountsThatAreNoneAreAbsent) {
  for (const std::string_view usage :
       {"null", "{}", "[]", "7", R"({"prompt_tokens":-1})", R"({"prompt_tokens":"11"})",
        R"({"prompt_tokens":1.5})", R"({"completion_tokens":3,"total_tokens":14})"}) {
    EXPECT_FALSE(with_usage(usage).usage) << usage;
  }
  const Answer answer = with_usage(
      R"({"prompt_tokens":11.0,"completion_tokens":null,"prompt_tokens_details":null,
          "completion_tokens_details":{"reasoning_tokens":-2},"cost":-1})");
  EXPECT_EQ(answer.usage->input, 11);
  EXPECT_EQ(answer.usage->total, 11);
  EXPECT_EQ(answer.usage->reasoning, std::nullopt);
  EXPECT_EQ(answer.reported_cost, std::nullopt);
}

TEST(AnswerReaderTest, ExplainsWhatIsNoAnswer) {
  const auto error_of = [](std::string_view body, Api api = Api::Chat) {
    const auto answer = read(body, api);
    return answer ? "" : answer.error().message;
  };
  EXPECT_EQ(error_of("[]"), "answer: must be a JSON object");
  EXPECT_EQ(error_of("{}"), "answer: has no choices");
  EXPECT_EQ(error_of(R"({"choices":[]})"), "answer: has no choices");
  EXPECT_EQ(error_of(R"({"error":{"message":"x"},"choices":null})"), "answer: has no choices");
  EXPECT_EQ(error_of(R"({"choices":[{}]})", Api::Embeddings), "answer: has no data");
  for (const std::string_view body :
       {"", "<html>", "{", R"({"choices":[{]})", R"({"choices":[{}]} x)", "{\"id\":\"\xff\"}"}) {
    EXPECT_TRUE(error_of(body).starts_with("answer: not valid JSON: ")) << body << error_of(body);
  }
}

TEST(AnswerReaderTest, CutsLongAnswers) {
  const auto answer =
      read(fmt::format(R"({{"choices":[{{"text":"{}"}}]}})", std::string(kContentBytesMax, 'x')),
           Api::Completions);
  EXPECT_TRUE(answer->completion.is_cut);
  EXPECT_EQ(answer->completion.json.size(), kContentBytesMax);
}

RC_GTEST_PROP(AnswerReaderTest, SurvivesBrokenAnswers, ()) {
  std::string body =
      R"({"id":"c","choices":[{"index":0,"message":{"content":"x","tool_calls":[{"id":[]}]},)"
      R"("finish_reason":"stop"}],"usage":{"prompt_tokens":1,"prompt_tokens_details":{"a":1}}})";
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  RC_ASSERT(!read(std::string_view(body).substr(0, random() % body.size())));
  constexpr std::string_view kBytes = "{}[]:,\"\\ntu01-. \xff";
  for (auto left = 1 + random() % 4; left > 0; --left) {
    body[random() % body.size()] = kBytes[random() % kBytes.size()];
  }
  const auto answer = read(body);
  RC_ASSERT((!answer || !answer->usage || answer->usage->input >= 0));
}

TEST(CutTextTest, EndsWithAWholeCharacter) {
  EXPECT_EQ(cut_text("a€b", 5), "a€b");
  EXPECT_EQ(cut_text("a€b", 4), "a€");
  EXPECT_EQ(cut_text("a€b", 3), "a");
  EXPECT_EQ(cut_text("a€b", 0), "");
}

}  // namespace
}  // namespace gantry::gateway
