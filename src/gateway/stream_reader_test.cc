#include "gateway/stream_reader.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

/// The events' data in order; the index of the event with the first token goes to `first`.
StreamedAnswer read(Api api, const std::vector<std::string>& events, std::size_t* first = nullptr,
                    std::size_t limit = kContentBytesMax) {
  StreamReader reader(api, limit);
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (reader.read({.data = events[i]}) && first != nullptr) *first = i;
  }
  return reader.answer();
}

std::string delta(const std::string& members, int choice = 0) {
  return R"({"id":"c","model":"up","choices":[{"index":)" + std::to_string(choice) +
         R"(,"delta":{)" + members + "}}]}";
}

TEST(ChatStream, IsCollected) {
  std::size_t first = 99;
  const auto answer = read(
      Api::Chat,
      {delta(R"("role":"assistant","content":"")"), delta(R"("reasoning":"hm")"),
       delta(R"("content":"Hel")"), delta(R"("content":"lo!")"),
       R"({"choices":[{"index":0,"delta":{},"finish_reason":"eos"}]})",
       R"({"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}})",
       "[DONE]"},
      &first);
  EXPECT_EQ(first, 1U);
  EXPECT_EQ(answer.upstream_id, "c");
  EXPECT_EQ(answer.upstream_model, "up");
  EXPECT_EQ(answer.text, "Hello!");
  EXPECT_EQ(answer.reasoning, "hm");
  EXPECT_EQ(answer.finish_reasons, (std::vector<std::string>{"stop"}));
  EXPECT_EQ(answer.native_finish_reason, "eos");
  ASSERT_TRUE(answer.usage);
  EXPECT_EQ(answer.usage->total, 14);
  EXPECT_EQ(answer.output_bytes, 8U);
}

TEST(ChatStream, KeepsItsToolCallsApart) {
  std::size_t first = 99;
  const auto answer = read(
      Api::Chat,
      {delta(R"("role":"assistant","content":null)"),
       delta(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}])"),
       delta(R"("tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}])"),
       delta(R"("tool_calls":[{"id":"b","function":{"name":"g","arguments":"{}"}}])"),
       delta(R"("tool_calls":[{"index":0,"function":{"arguments":"1}"}}])"),
       delta(R"("tool_calls":[{"index":0,"id":"z","function":{"name":"h","arguments":"!"}}])", 1)},
      &first);
  EXPECT_EQ(first, 1U);
  EXPECT_EQ(answer.text, std::nullopt);
  EXPECT_EQ(answer.tool_calls_count, 3);
  ASSERT_EQ(answer.tool_calls.size(), 2U);
  EXPECT_EQ(answer.tool_calls[0].id, "a");
  EXPECT_EQ(answer.tool_calls[0].name, "f");
  EXPECT_EQ(answer.tool_calls[0].arguments, R"({"x":1})");
  EXPECT_EQ(answer.tool_calls[1].id, "b");
  EXPECT_EQ(answer.tool_calls[1].arguments, "{}");
}

TEST(ChatStream, RecordsTheFirstChoiceAndCountsAll) {
  const auto answer = read(Api::Chat, {delta(R"("content":"A")"), delta(R"("content":"BB")", 1),
                                       R"({"choices":[{"index":1,"finish_reason":"length"}]})"});
  EXPECT_EQ(answer.text, "A");
  EXPECT_EQ(answer.output_bytes, 3U);
  EXPECT_EQ(answer.finish_reasons, (std::vector<std::string>{"length"}));
  EXPECT_EQ(answer.finish_reason, "");
  EXPECT_EQ(answer.native_finish_reason, "");
}

TEST(ChatStream, HasOtherSpellings) {
  EXPECT_EQ(read(Api::Chat, {delta(R"("reasoning_content":"r","reasoning":"r")")}).reasoning, "r");
  EXPECT_EQ(read(Api::Chat, {delta(R"("content":[{"type":"text","text":"a"},{"text":"b"}])")}).text,
            "ab");
  EXPECT_EQ(
      read(Api::Completions, {R"({"choices":[{"text":"a"}]})", R"({"choices":[{"text":"b"}]})"})
          .text,
      "ab");
  const auto refused = read(Api::Chat, {delta(R"("refusal":"no")")});
  EXPECT_EQ(refused.text, std::nullopt);
  EXPECT_EQ(refused.refusal, "no");
  EXPECT_EQ(refused.output_bytes, 2U);
}

TEST(ChatStream, PassesOverWhatItDoesNotKnow) {
  const auto answer =
      read(Api::Chat, {"", "{", "[]", "null", R"({"choices":null})",
                       R"({"choices":[null,1,{"index":-5,"delta":[]}]})",
                       R"({"choices":[{"index":4000000000,"finish_reason":"stop"}]})",
                       delta(R"("tool_calls":{},"content":5)")});
  EXPECT_EQ(answer.text, std::nullopt);
  EXPECT_EQ(answer.tool_calls_count, 0);
  EXPECT_TRUE(answer.finish_reasons.empty());
}

TEST(StreamLimit, CutsAtACharacter) {
  const auto answer = read(Api::Chat,
                           {delta("\"content\":\"abc\xc3\xa9\""), delta(R"("content":"x")"),
                            delta(R"("tool_calls":[{"id":"a","function":{"arguments":"1"}}])")},
                           nullptr, 4);
  EXPECT_EQ(answer.text, "abc");
  EXPECT_TRUE(answer.is_cut);
  EXPECT_EQ(answer.tool_calls.at(0).arguments, "");
  EXPECT_EQ(answer.output_bytes, 7U);
  const auto whole = read(Api::Chat, {delta(R"("content":"abcd")")}, nullptr, 4);
  EXPECT_EQ(whole.text, "abcd");
  EXPECT_FALSE(whole.is_cut);
}

TEST(RecordStreamed, HasTheFormOfWholeAnswers) {
  StreamedAnswer answer;
  EXPECT_EQ(record_streamed(answer).json, "");
  answer.finish_reasons = {"stop"};
  EXPECT_EQ(record_streamed(answer).json, R"({"completion":null,"reasoning":null})");
  answer.refusal = "no";
  EXPECT_EQ(record_streamed(answer).json, R"({"completion":"no","reasoning":null})");
  answer.text = "say \"hi\"";
  answer.reasoning = "hm";
  answer.tool_calls = {{.id = "a", .name = "f", .arguments = "{\"x\":1}"}, {.id = "b"}};
  answer.is_cut = true;
  const RecordedContent content = record_streamed(answer);
  EXPECT_EQ(content.json,
            R"({"completion":"say \"hi\"","reasoning":"hm","toolCalls":[)"
            R"({"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},)"
            R"({"id":"b","type":"function","function":{"name":"","arguments":""}}]})");
  EXPECT_TRUE(content.is_cut);
}

TEST(ResponsesStream, IsCollected) {
  std::size_t first = 99;
  const auto answer =
      read(Api::Responses,
           {R"({"type":"response.created","response":{"id":"resp_1","model":"up","usage":null}})",
            R"({"type":"response.in_progress","response":{"id":"resp_1"}})",
            R"({"type":"response.output_item.added","output_index":0,"item":{"type":"message"}})",
            R"({"type":"response.reasoning_summary_text.delta","delta":"hm"})",
            R"({"type":"response.output_text.delta","output_index":0,"delta":"Hel"})",
            R"({"type":"response.output_text.delta","output_index":0,"delta":"lo"})",
            R"({"type":"response.output_text.done","text":"Hello"})",
            R"({"type":"response.completed","response":{"usage":{"input_tokens":9,"output_tokens":4,
               "total_tokens":13,"input_tokens_details":{"cached_tokens":8},
               "output_tokens_details":{"reasoning_tokens":2}}}})"},
           &first);
  EXPECT_EQ(first, 3U);
  EXPECT_EQ(answer.upstream_id, "resp_1");
  EXPECT_EQ(answer.upstream_model, "up");
  EXPECT_EQ(answer.text, "Hello");
  EXPECT_EQ(answer.reasoning, "hm");
  EXPECT_EQ(answer.finish_reasons, (std::vector<std::string>{"stop"}));
  EXPECT_EQ(answer.native_finish_reason, "completed");
  EXPECT_EQ(answer.usage->cached, 8);
  EXPECT_EQ(answer.usage->total, 13);
}

TEST(ResponsesStream, CollectsFunctionCalls) {
  const auto answer = read(
      Api::Responses,
      {R"({"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc","call_id":"call_1","name":"f"}})",
       R"({"type":"response.output_item.added","output_index":2,"item":{"type":"function_call","call_id":"call_2","name":"g"}})",
       R"({"type":"response.function_call_arguments.delta","output_index":1,"delta":"{"})",
       R"({"type":"response.function_call_arguments.delta","output_index":2,"delta":"[]"})",
       R"({"type":"response.function_call_arguments.delta","output_index":1,"delta":"}"})",
       R"({"type":"response.function_call_arguments.delta","output_index":7,"delta":"lost"})",
       R"({"type":"response.completed","response":{}})"});
  ASSERT_EQ(answer.tool_calls.size(), 2U);
  EXPECT_EQ(answer.tool_calls[0].id, "call_1");
  EXPECT_EQ(answer.tool_calls[0].arguments, "{}");
  EXPECT_EQ(answer.tool_calls[1].arguments, "[]");
  EXPECT_EQ(answer.finish_reasons, (std::vector<std::string>{"tool_calls"}));
}

TEST(ResponsesStream, EndsInOtherWays) {
  const auto incomplete = read(Api::Responses, {R"({"type":"response.incomplete","response":{
      "incomplete_details":{"reason":"max_output_tokens"},"usage":{"input_tokens":1,"output_tokens":2}}})"});
  EXPECT_EQ(incomplete.finish_reasons, (std::vector<std::string>{"length"}));
  EXPECT_EQ(incomplete.native_finish_reason, "max_output_tokens");
  EXPECT_EQ(incomplete.usage->total, 3);
  EXPECT_EQ(read(Api::Responses, {R"({"type":"response.failed","response":{}})"}).finish_reasons,
            (std::vector<std::string>{"error"}));
  const auto full = read(Api::Responses, {R"({"type":"response.failed","response":{"error":{
      "code":"context_length_exceeded","message":"m"},"usage":{"input_tokens":1,"output_tokens":2}}})"});
  EXPECT_EQ(full.finish_reasons, (std::vector<std::string>{"length"}));
  EXPECT_EQ(full.native_finish_reason, "context_length_exceeded");
  EXPECT_EQ(full.usage->total, 3);
}

TEST(ResponsesStream, TakesTheEventsName) {
  StreamReader reader(Api::Responses);
  EXPECT_TRUE(reader.read({.name = "response.output_text.delta", .data = R"({"delta":"x"})"}));
  EXPECT_EQ(reader.answer().text, "x");
}

const std::string kMessageStart =
    R"({"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":3,
       "cache_creation_input_tokens":20,"cache_read_input_tokens":100,"output_tokens":1}}})";

TEST(MessagesStream, IsCollected) {
  std::size_t first = 99;
  const auto answer = read(
      Api::Messages,
      {kMessageStart, R"({"type":"ping"})",
       R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}})",
       R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}})",
       R"({"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}})",
       R"({"type":"content_block_stop","index":0})",
       R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}})",
       R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}})",
       R"({"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}})",
       R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}})",
       R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":":1}"}})",
       R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":10}})",
       R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":42}})",
       R"({"type":"message_stop"})"},
      &first);
  EXPECT_EQ(first, 3U);
  EXPECT_EQ(answer.upstream_id, "msg_1");
  EXPECT_EQ(answer.upstream_model, "claude");
  EXPECT_EQ(answer.text, "Hi");
  EXPECT_EQ(answer.reasoning, "hm");
  ASSERT_EQ(answer.tool_calls.size(), 1U);
  EXPECT_EQ(answer.tool_calls[0].arguments, R"({"a":1})");
  EXPECT_EQ(answer.finish_reasons, (std::vector<std::string>{"tool_calls"}));
  EXPECT_EQ(answer.native_finish_reason, "tool_use");
  ASSERT_TRUE(answer.usage);
  EXPECT_EQ(answer.usage->input, 123);
  EXPECT_EQ(answer.usage->output, 42);
  EXPECT_EQ(answer.usage->total, 165);
  EXPECT_EQ(answer.usage->cached, 100);
  EXPECT_EQ(answer.usage->cache_write, 20);
}

TEST(MessagesStream, KnowsTheInputOfOneThatBrokeOff) {
  const auto answer =
      read(Api::Messages,
           {kMessageStart,
            R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}})",
            R"({"type":"error","error":{"type":"overloaded_error","message":"m"}})"});
  EXPECT_FALSE(answer.usage);
  ASSERT_TRUE(answer.usage_at_start);
  EXPECT_EQ(answer.usage_at_start->input, 123);
  EXPECT_EQ(answer.finish_reasons, (std::vector<std::string>{"error"}));
}

}  // namespace
}  // namespace gantry::gateway
