#include "gateway/passthrough_answer.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace gantry::gateway {
namespace {

using nlohmann::json;

TEST(PassthroughAnswer, ReadsAMessageOfAnthropic) {
  const auto answer = read_passthrough_answer(Api::Messages, R"({"id":"msg_1","type":"message",
      "content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"Hel"},
                 {"type":"text","text":"lo"},
                 {"type":"tool_use","id":"t1","name":"f","input":{"a": 1}}],
      "stop_reason":"tool_use",
      "usage":{"input_tokens":5,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,
               "output_tokens":7}})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->upstream_id, "msg_1");
  ASSERT_TRUE(answer->usage);
  EXPECT_EQ(answer->usage->input, 10) << "both caches are part of the input";
  EXPECT_EQ(answer->usage->output, 7);
  EXPECT_EQ(answer->finish_reason, "tool_calls");
  EXPECT_EQ(answer->native_finish_reason, "tool_use");
  EXPECT_EQ(answer->tool_calls_count, 1);
  const json completion = json::parse(answer->completion.json);
  EXPECT_EQ(completion["completion"], "Hello");
  EXPECT_EQ(completion["reasoning"], "hm");
  EXPECT_EQ(completion["toolCalls"][0]["function"]["arguments"], R"({"a": 1})");
}

TEST(PassthroughAnswer, ReadsAResponse) {
  const auto answer = read_passthrough_answer(Api::Responses, R"({"id":"resp_1",
      "status":"completed","output":[
        {"type":"reasoning","summary":[{"type":"summary_text","text":"because"}]},
        {"type":"message","content":[{"type":"output_text","text":"Hello"}]}],
      "usage":{"input_tokens":4,"output_tokens":6,"total_tokens":10,
               "input_tokens_details":{"cached_tokens":1},
               "output_tokens_details":{"reasoning_tokens":2}}})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->upstream_id, "resp_1");
  ASSERT_TRUE(answer->usage);
  EXPECT_EQ(answer->usage->total, 10);
  EXPECT_EQ(answer->usage->cached, 1);
  EXPECT_EQ(answer->usage->reasoning, 2);
  EXPECT_EQ(answer->finish_reason, "stop");
  EXPECT_EQ(answer->native_finish_reason, "completed");
  const json completion = json::parse(answer->completion.json);
  EXPECT_EQ(completion["completion"], "Hello");
  EXPECT_EQ(completion["reasoning"], "because");
}

TEST(PassthroughAnswer, AResponseThatWasCutSaysWhy) {
  const auto answer = read_passthrough_answer(
      Api::Responses,
      R"({"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]})");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->finish_reason, "length");
  EXPECT_EQ(answer->native_finish_reason, "max_output_tokens");
  EXPECT_FALSE(answer->usage);
}

TEST(PassthroughAnswer, RefusesWhatIsNoObject) {
  EXPECT_FALSE(read_passthrough_answer(Api::Messages, "[]"));
  EXPECT_FALSE(read_passthrough_answer(Api::Responses, R"({"id":)"));
}

}  // namespace
}  // namespace gantry::gateway
