#include "gateway/stream_translate.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "gateway/testing/random_json.h"

namespace gantry::gateway {
namespace {

using nlohmann::json;

AnswerShape options(Api api = Api::Chat) {
  return {.api = api, .generation_id = "gen-1", .model = "a/b", .created_unix_s = 17};
}

/// One chunk through a new translator.
std::string chunk(const std::string& data, AnswerShape with = options()) {
  StreamTranslator translator(std::move(with));
  std::string out;
  translator.translate({.data = data}, out);
  return out;
}

std::string frame(const std::string& data) {
  return "data: " + data + "\n\n";
}

const std::string kDone = frame("[DONE]");

TEST(StreamTranslate, ReplacesIdAndModelAlone) {
  EXPECT_EQ(
      chunk(R"({"id":"c-1","object":"chat.completion.chunk", "created":1.70e9,"model":"up",)"
            R"("x":[1.0],"choices":[{"index":0,"delta":{"content":"\u00e9"},)"
            R"("finish_reason":null}]})"),
      frame(R"({"id":"gen-1","object":"chat.completion.chunk", "created":1.70e9,"model":"a/b",)"
            R"("x":[1.0],"choices":[{"index":0,"delta":{"content":"\u00e9"},)"
            R"("finish_reason":null}]})"));
}

TEST(StreamTranslate, AddsWhatIsMissing) {
  EXPECT_EQ(chunk(R"({"choices":[]})"), frame(R"({"id":"gen-1","model":"a/b","choices":[]})"));
  EXPECT_EQ(chunk("{}"), frame(R"({"id":"gen-1","model":"a/b"})"));
  auto with = options();
  with.provider_name = "P \"q\"";
  EXPECT_EQ(chunk(R"({"id":"","model":"","choices":[]})", with),
            frame(R"({"provider":"P \"q\"","id":"gen-1","model":"a/b","choices":[]})"));
  EXPECT_EQ(chunk(R"({"id":null,"model":1,"provider":"x"})", with),
            frame(R"({"id":"gen-1","model":"a/b","provider":"P \"q\""})"));
}

TEST(StreamTranslate, PutsAChunkOnOneLine) {
  EXPECT_EQ(chunk("{\"id\":1,\n\"model\":2,\n\"x\":\"\\n\"}"),
            frame(R"({"id":"gen-1", "model":"a/b", "x":"\n"})"));
}

TEST(StreamTranslate, KeepsUsageFromThoseWhoDidNotAsk) {
  const std::string usage = R"({"id":"","model":"","choices":[],"usage":{"prompt_tokens":1}})";
  EXPECT_EQ(chunk(usage), "");
  EXPECT_EQ(chunk(R"({"usage":null,"id":"","model":"","choices":[{}]})"),
            frame(R"({"id":"gen-1","model":"a/b","choices":[{}]})"));
  EXPECT_EQ(chunk(R"({"id":"","model":"","choices":[{}],"usage":{"prompt_tokens":1}})"),
            frame(R"({"id":"gen-1","model":"a/b","choices":[{}]})"));
  EXPECT_EQ(chunk(R"({"usage":null})"), frame(R"({"id":"gen-1","model":"a/b"})"));
  auto asked = options();
  asked.forwards_usage = true;
  EXPECT_EQ(chunk(usage, asked),
            frame(R"({"id":"gen-1","model":"a/b","choices":[],"usage":{"prompt_tokens":1}})"));
}

TEST(StreamTranslate, SaysInTheUsageWhatTheCallCost) {
  auto asked = options();
  asked.forwards_usage = true;
  asked.pricing.prices = Prices{.input = PicoUsd{1'000'000},
                                .output = PicoUsd{2'000'000},
                                .cache_read = {},
                                .cache_write = {},
                                .request = {}};
  EXPECT_EQ(chunk(R"({"id":"","model":"","choices":[],"usage":{"prompt_tokens":1,)"
                  R"("completion_tokens":1}})",
                  asked),
            frame(R"({"id":"gen-1","model":"a/b","choices":[],"usage":{"prompt_tokens":1,)"
                  R"("completion_tokens":1,"cost":0.000003,"cost_details":{)"
                  R"("upstream_inference_cost":null,"upstream_inference_prompt_cost":0.000001,)"
                  R"("upstream_inference_completions_cost":0.000002},"is_byok":false}})"));
}

TEST(StreamTranslate, KeepsChunksWithoutChoicesThatSayOtherThings) {
  EXPECT_EQ(chunk(R"({"id":"","model":"","choices":[],"prompt_filter_results":[]})"),
            frame(R"({"id":"gen-1","model":"a/b","choices":[],"prompt_filter_results":[]})"));
}

TEST(StreamTranslate, NormalisesFinishReasons) {
  const auto reason = [](const std::string& members) {
    const std::string start = R"({"id":"","model":"","choices":[{"index":0,)";
    const std::string sent = chunk(start + members + "}]}");
    const std::string head = R"(data: {"id":"gen-1","model":"a/b","choices":[{"index":0,)";
    return sent.substr(head.size(), sent.size() - head.size() - 5);
  };
  EXPECT_EQ(reason(R"("finish_reason":"length")"), R"("finish_reason":"length")");
  EXPECT_EQ(reason(R"("finish_reason":"end_turn")"),
            R"("finish_reason":"stop","native_finish_reason":"end_turn")");
  EXPECT_EQ(reason(R"("finish_reason":"STOP","native_finish_reason":"STOP")"),
            R"("finish_reason":"stop","native_finish_reason":"STOP")");
  EXPECT_EQ(reason(R"("finish_reason":"tool_use","delta":{})"),
            R"("finish_reason":"tool_calls","native_finish_reason":"tool_use","delta":{})");
}

/// Chunks with these `tool_calls` through one translator; what came out of each, "gone" for none.
std::vector<std::string> tool_calls(const std::vector<std::string>& fragments) {
  StreamTranslator translator(options());
  std::vector<std::string> results;
  for (const std::string& fragment : fragments) {
    std::string out;
    translator.translate(
        {.data = R"({"id":"","model":"","choices":[{"delta":{"tool_calls":)" + fragment + "}}]}"},
        out);
    const auto parsed = json::parse(out.substr(6));
    EXPECT_EQ(parsed["id"], "gen-1");
    const auto begin = out.find("\"tool_calls\":") + 13;
    results.push_back(out.substr(begin, out.rfind("}}]}") - begin));
  }
  return results;
}

using Texts = std::vector<std::string>;

TEST(StreamTranslate, LeavesGoodToolCallsAlone) {
  const Texts good = {
      R"([{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}])",
      R"([{"index":0,"function":{"arguments":"{\"x\":"}}])",
      R"([{"index":1,"id":"b","type":"function","function":{"name":"f","arguments":""}}])",
      R"([{"index":0,"function":{"arguments":"1}"}},{"index":1,"function":{"arguments":"{}"}}])",
      R"([{"index":3,"id":"c","function":{"name":"g"}}])"};
  EXPECT_EQ(tool_calls(good), good);
}

TEST(StreamTranslate, NumbersToolCallsWithoutIndex) {
  EXPECT_EQ(
      tool_calls(
          {R"([{"id":"a","function":{"name":"f"}}])", R"([{"function":{"arguments":"1"}}])",
           R"([{"id":"b","function":{"name":"f"}},{"index":-1,"id":"c","function":{"name":"g"}}])",
           R"([{ "index" : null , "function":{"arguments":"2"}}])",
           R"([{"id":"a","function":{"arguments":"3"}}])", R"([{}])"}),
      (Texts{
          R"([{"index":0,"id":"a","function":{"name":"f"}}])",
          R"([{"index":0,"function":{"arguments":"1"}}])",
          R"([{"index":1,"id":"b","function":{"name":"f"}},{"index":2,"id":"c","function":{"name":"g"}}])",
          R"([{ "index" : 2 , "function":{"arguments":"2"}}])",
          R"([{"index":0,"function":{"arguments":"3"}}])", R"([{"index":2}])"}));
}

TEST(StreamTranslate, TellsCallsWithOneIndexApart) {
  EXPECT_EQ(tool_calls({R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}])",
                        R"([{"index":0,"id":"b","function":{"name":"f","arguments":"{"}}])",
                        R"([{"index":0,"function":{"arguments":"}"}}])"}),
            (Texts{R"([{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}])",
                   R"([{"index":1,"id":"b","function":{"name":"f","arguments":"{"}}])",
                   R"([{"index":1,"function":{"arguments":"}"}}])"}));
}

TEST(StreamTranslate, NeverRepeatsAnId) {
  EXPECT_EQ(tool_calls({R"([{"index":0,"id":"a","function":{"name":"f","arguments":""}}])",
                        R"([{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}])",
                        R"([{"index":0,"id":"other","function":{"arguments":"2"}}])",
                        R"([{"index":1,"id":"a","function":{"name":"g"}}])", R"([{"id":"a"}])"}),
            (Texts{R"([{"index":0,"id":"a","function":{"name":"f","arguments":""}}])",
                   R"([{"index":0,"function":{"arguments":"1"}}])",
                   R"([{"index":0,"function":{"arguments":"2"}}])",
                   R"([{"index":1,"id":"a-1","function":{"name":"g"}}])", R"([{"index":1}])"}));
}

TEST(StreamTranslate, CountsToolCallsByChoice) {
  StreamTranslator translator(options());
  std::string out;
  const std::string call = R"("delta":{"tool_calls":[{"id":"ID","function":{"name":"f"}}]}})";
  auto second = call;
  second.replace(second.find("ID"), 2, "b");
  translator.translate(
      {.data = R"({"choices":[{"index":0,)" + call + R"(,{"index":1,)" + second + "]}"}, out);
  const auto parsed = json::parse(out.substr(6));
  EXPECT_EQ(parsed["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
  EXPECT_EQ(parsed["choices"][1]["delta"]["tool_calls"][0]["index"], 0);
}

std::string error_frame(const std::string& error) {
  return frame(
      R"({"id":"gen-1","object":"chat.completion.chunk","created":17,"model":"a/b","error":)" +
      error + R"(,"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]})");
}

const std::string kDisconnected =
    R"({"code":502,"message":"Provider disconnected","metadata":{"error_type":"provider_unavailable"}})";

TEST(StreamTranslate, EndsAStreamThatBringsAnError) {
  for (const char* data :
       {R"({"error":{"code":502,"message":"upstream reset"}})",
        R"({"id":"","error":{"message":"m"},"choices":[]})", "{\"id\":", "[1]", "broken"}) {
    StreamTranslator translator(options());
    std::string out;
    EXPECT_EQ(translator.translate({.data = data}, out), StreamState::Failed);
    EXPECT_EQ(out, error_frame(kDisconnected) + kDone) << data;
    EXPECT_EQ(translator.error().type, ErrorType::ProviderUnavailable);
    // It says nothing after that.
    translator.translate({.data = R"({"choices":[]})"}, out);
    translator.finish(out);
    EXPECT_EQ(out, error_frame(kDisconnected) + kDone);
  }
}

TEST(StreamTranslate, UnderstandsNamedErrors) {
  StreamTranslator translator(options());
  std::string out;
  translator.translate({.name = "error", .data = R"({"type":"rate_limit_error","message":"m"})"},
                       out);
  EXPECT_EQ(
      out,
      error_frame(R"({"code":429,"message":"Provider returned error","metadata":)"
                  R"({"error_type":"rate_limit_exceeded","provider_code":"rate_limit_error"}})") +
          kDone);
}

TEST(StreamTranslate, SaysWhoRefusedTheContent) {
  AnswerShape shape = options();
  shape.provider_name = "P";
  StreamTranslator translator(shape);
  std::string out;
  translator.translate({.data = R"({"error":{"code":"content_filter","message":"m","innererror":)"
                                R"({"content_filter_result":{"hate":{"filtered":true}}}}})"},
                       out);
  const auto sent = json::parse(out.substr(6, out.find("\n\n") - 6));
  EXPECT_EQ(sent["error"]["metadata"], json::parse(R"({"error_type":"content_policy_violation",
    "provider_code":"content_filter","reasons":["hate"],"provider_name":"P","model_slug":"a/b"})"));
}

TEST(StreamTranslate, WritesErrorsOfCompletionsAsText) {
  StreamTranslator translator(options(Api::Completions));
  std::string out;
  translator.fail(provider_timeout(60000), out);
  EXPECT_EQ(out, frame(R"({"id":"gen-1","object":"text_completion","created":17,"model":"a/b",)"
                       R"("error":{"code":504,"message":"Provider did not answer in 60000 ms",)"
                       R"("metadata":{"error_type":"timeout"}},)"
                       R"("choices":[{"index":0,"text":"","finish_reason":"error"}]})") +
                     kDone);
}

TEST(StreamTranslate, EndsOnceWithDone) {
  StreamTranslator translator(options());
  std::string out;
  EXPECT_EQ(translator.translate({.data = " [DONE] "}, out), StreamState::Done);
  translator.translate({.data = "[DONE]"}, out);
  EXPECT_EQ(translator.finish(out), StreamState::Done);
  EXPECT_EQ(out, kDone);
}

TEST(StreamTranslate, SuppliesDoneWhenTheProviderForgotIt) {
  StreamTranslator translator(options());
  std::string out;
  translator.translate({.data = R"({"choices":[{"finish_reason":"stop"}]})"}, out);
  out.clear();
  EXPECT_EQ(translator.finish(out), StreamState::Done);
  EXPECT_EQ(out, kDone);
}

TEST(StreamTranslate, TellsABrokenStreamFromAFinishedOne) {
  StreamTranslator translator(options());
  std::string out;
  translator.translate({.data = R"({"choices":[{"delta":{"content":"Hel"}}]})"}, out);
  out.clear();
  EXPECT_EQ(translator.finish(out), StreamState::Failed);
  EXPECT_EQ(out, error_frame(kDisconnected) + kDone);
}

TEST(StreamTranslate, PassesOnMessages) {
  StreamTranslator translator(options(Api::Messages));
  std::string out;
  translator.translate(
      {.name = "message_start", .data = R"({"type":"message_start","message":{"id":"m"}})"}, out);
  EXPECT_EQ(out,
            "event: message_start\n" + frame(R"({"type":"message_start","message":{"id":"m"}})"));
  EXPECT_EQ(
      translator.translate({.name = "message_stop", .data = R"({"type":"message_stop"})"}, out),
      StreamState::Done);
  EXPECT_FALSE(out.contains("[DONE]"));
}

TEST(StreamTranslate, PassesOnResponses) {
  StreamTranslator translator(options(Api::Responses));
  std::string out;
  EXPECT_EQ(translator.translate({.data = R"({"type":"response.created"})"}, out),
            StreamState::Open);
  EXPECT_EQ(out, frame(R"({"type":"response.created"})"));
  out.clear();
  EXPECT_EQ(translator.translate(
                {.name = "response.failed",
                 .data = R"({"response":{"error":{"code":"server_error","message":"m"}}})"},
                out),
            StreamState::Failed);
  EXPECT_EQ(out, "event: response.failed\n" +
                     frame(R"({"response":{"error":{"code":"server_error","message":"m"},)"
                           R"("error_type":"server"}})"));
  EXPECT_EQ(translator.error().type, ErrorType::Server);
}

/// What a client gets of a provider's last event.
std::string passed_error(Api api, const std::string& name, const std::string& data) {
  StreamTranslator translator(options(api));
  std::string out;
  EXPECT_EQ(translator.translate({.name = name, .data = data}, out), StreamState::Failed) << data;
  const std::string head = "event: " + name + "\ndata: ";
  EXPECT_TRUE(out.starts_with(head) && out.ends_with("\n\n")) << out;
  return out.substr(head.size(), out.size() - head.size() - 2);
}

TEST(StreamTranslate, AddsItsWordToAProvidersError) {
  EXPECT_EQ(passed_error(Api::Messages, "error",
                         R"({"type":"error","error":{"type":"overloaded_error","message":"m"}})"),
            R"({"type":"error","error":{"type":"overloaded_error","message":"m",)"
            R"("error_type":"provider_overloaded"}})");
  EXPECT_EQ(
      passed_error(Api::Responses, "error",
                   R"({"type":"error","code":"rate_limit_exceeded","message":"m","param":null} )"),
      R"({"type":"error","code":"rate_limit_exceeded","message":"m","param":null,)"
      R"("error_type":"rate_limit_exceeded"} )");
  EXPECT_EQ(passed_error(Api::Responses, "response.failed", R"({"response":{}})"),
            R"({"response":{"error_type":"provider_unavailable"}})");
  // A gateway behind this one has said it, and what is no object cannot.
  for (const char* same : {R"({"response":{"error":{"code":"server_error"},"error_type":"x"}})",
                           R"({"response":null})", "[]", "{"}) {
    EXPECT_EQ(passed_error(Api::Responses, "response.failed", same), same);
  }
}

TEST(StreamTranslate, FailsTheResponseThatHadBegun) {
  StreamTranslator translator(options(Api::Responses));
  std::string out;
  translator.translate(
      {.name = "response.created",
       .data = R"({"type":"response.created","response":{"id":"resp_1","created_at":5,)"
               R"("model":"gpt-4o","status":"in_progress"},"sequence_number":0})"},
      out);
  translator.translate({.name = "response.output_text.delta",
                        .data = R"({"type":"response.output_text.delta","delta":"Hel"})"},
                       out);
  out.clear();
  translator.fail({.type = ErrorType::Timeout, .message = "too \"slow\""}, out);
  EXPECT_EQ(out, "event: response.failed\n" +
                     frame(R"({"type":"response.failed","response":{"id":"resp_1",)"
                           R"("object":"response","created_at":5,"status":"failed",)"
                           R"("error":{"code":"server_error","message":"too \"slow\""},)"
                           R"("error_type":"timeout","incomplete_details":null,"model":"gpt-4o",)"
                           R"("output":[],"usage":null},"sequence_number":2})"));
}

/// What a client of Responses gets of the last event of a response that no more tokens fit into.
std::string cut_response(const std::string& name, const std::string& data) {
  StreamTranslator translator(options(Api::Responses));
  std::string out;
  EXPECT_EQ(translator.translate({.name = name, .data = data}, out), StreamState::Done) << data;
  const std::string head = "event: response.incomplete\ndata: ";
  EXPECT_TRUE(out.starts_with(head) && out.ends_with("\n\n")) << out;
  return out.substr(head.size(), out.size() - head.size() - 2);
}

TEST(StreamTranslate, CutsAResponseThatNoMoreTokensFitInto) {
  constexpr const char* kEnd = R"("status":"incomplete","error":null,)"
                               R"("incomplete_details":{"reason":"max_output_tokens"}})";
  EXPECT_EQ(cut_response("response.failed",
                         R"({"type":"response.failed","sequence_number":7,"response":{"id":"r",)"
                         R"("status":"failed","output":[ 1 ],"error":{"code":)"
                         R"("context_length_exceeded","message":"m"},"usage":{"total_tokens":3},)"
                         R"("incomplete_details":null}})"),
            R"({"type":"response.incomplete","sequence_number":7,"response":{"id":"r",)"
            R"("output":[ 1 ],"usage":{"total_tokens":3},)" +
                std::string(kEnd) + "}");
  EXPECT_EQ(cut_response("response.failed",
                         R"({"response":{"error":{"code":"x"},"error_type":"string_too_long"}})"),
            R"({"response":{)" + std::string(kEnd) + "}");
  // Twice the same key: the last one counts, as with most readers.
  EXPECT_EQ(cut_response("response.failed",
                         R"({"response":{"id":1},"response":{"error_type":"string_too_long"},)"
                         R"("error":{}})"),
            R"({"response":{"id":1},"response":{)" + std::string(kEnd) + R"(,"error":{}})");
  // An error alone: the response is what had begun.
  EXPECT_TRUE(cut_response("response.failed", R"({"error":{"code":"max_tokens_exceeded"}})")
                  .starts_with(R"({"type":"response.incomplete","response":{"id":"gen-1",)"));
  EXPECT_EQ(cut_response("error", R"({"type":"error","code":"max_tokens_exceeded","message":"m"})"),
            R"({"type":"response.incomplete","response":{"id":"gen-1","object":"response",)"
            R"("created_at":17,"status":"incomplete","error":null,)"
            R"("incomplete_details":{"reason":"max_output_tokens"},"model":"a/b","output":[],)"
            R"("usage":null},"sequence_number":0})");
  // Messages has no such end.
  EXPECT_TRUE(passed_error(Api::Messages, "error",
                           R"({"type":"error","error":{"type":"invalid_request_error",)"
                           R"("message":"prompt is too long"}})")
                  .contains("context_length_exceeded"));
}

TEST(StreamTranslate, TakesOpenRoutersErrorOfAResponse) {
  EXPECT_EQ(passed_error(Api::Responses, "response.error",
                         R"({"type":"response.error","error":{"code":"rate_limit_exceeded"}})"),
            R"({"type":"response.error","error":{"code":"rate_limit_exceeded"},)"
            R"("error_type":"rate_limit_exceeded"})");
}

TEST(StreamTranslate, TellsMessagesAndResponsesOfABreak) {
  std::string out;
  EXPECT_EQ(StreamTranslator(options(Api::Messages)).finish(out), StreamState::Failed);
  EXPECT_EQ(out,
            "event: error\n" +
                frame(R"({"type":"error","error":{"type":"api_error",)"
                      R"("message":"Provider disconnected","error_type":"provider_unavailable"},)"
                      R"("request_id":"gen-1"})"));
  out.clear();
  EXPECT_EQ(StreamTranslator(options(Api::Responses)).finish(out), StreamState::Failed);
  EXPECT_EQ(out, "event: response.failed\n" +
                     frame(R"({"type":"response.failed","response":{"id":"gen-1",)"
                           R"("object":"response","created_at":17,"status":"failed",)"
                           R"("error":{"code":"server_error","message":"Provider disconnected"},)"
                           R"("error_type":"provider_unavailable","incomplete_details":null,)"
                           R"("model":"a/b","output":[],"usage":null},"sequence_number":0})"));
}

RC_GTEST_PROP(StreamTranslateProperty, KeepsEveryOtherValue, ()) {
  // Keys that mean nothing here, with any values, around those that do.
  std::vector<std::pair<std::string, std::string>> members;
  auto expected = json::object();
  const auto add = [&](const std::string& key, const std::string& value) {
    members.emplace_back(testing::random_spelling(key), value);
    expected[key] = json::parse(value);
  };
  for (const char* key : {"id", "usage", "x", "model", "created", "y"}) {
    if (*rc::gen::arbitrary<bool>()) add(key, testing::random_json(2));
  }
  add("choices", R"([{"index": 0, "delta":{ "content" : )" + testing::random_json_string() + "}}]");
  if (*rc::gen::arbitrary<bool>()) add("z", testing::random_json(2));
  expected["id"] = "gen-1";
  expected["model"] = "a/b";
  expected.erase("usage");
  const std::string data = testing::random_layout(members);
  const std::string out = chunk(data);
  RC_LOG() << data << "\n" << out;
  RC_ASSERT(out.starts_with("data: ") && out.find('\n') == out.size() - 2);
  RC_ASSERT(json::parse(out.substr(6)) == expected);
}

}  // namespace
}  // namespace gantry::gateway
