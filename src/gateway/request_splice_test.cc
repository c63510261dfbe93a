#include "gateway/request_splice.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "gateway/testing/random_json.h"

namespace gantry::gateway {
namespace {

std::string splice(const std::string& body, const UpstreamShape& shape = {.model = "up"},
                   Api api = Api::Chat) {
  const auto request = RequestBody::parse(body, api);
  return request ? request->splice(shape) : "error: " + request.error().message;
}

constexpr UpstreamShape kAsking{.model = "up", .usage = StreamUsage::Ask};

TEST(RequestSplice, ReplacesTheModelAlone) {
  EXPECT_EQ(splice(R"({"model":"openai/gpt-4o","messages":[],"temperature":1.0,"x":1e+2})"),
            R"({"model":"up","messages":[],"temperature":1.0,"x":1e+2})");
  EXPECT_EQ(splice(" {\n\t\"messages\" : [ ] ,\r\n \"model\" :\"a\\u0062\" , \"seed\":007e\n}"),
            "error: the request body is not valid JSON: line 3, column 30: number with a leading "
            "zero");
  EXPECT_EQ(splice(" {\n\t\"messages\" : [ ] ,\r\n \"mo\\u0064el\" :\"a\" , \"seed\":7\n} \n"),
            " {\n\t\"messages\" : [ ] ,\r\n \"mo\\u0064el\" :\"up\" , \"seed\":7\n} \n");
  EXPECT_EQ(splice(R"({"model":"a","messages":[]})", {.model = "say \"hi\""}),
            R"({"model":"say \"hi\"","messages":[]})");
}

TEST(RequestSplice, RemovesWhatOnlyTheGatewayUnderstands) {
  EXPECT_EQ(splice(R"({"trace":{"a":1},"session_id":"s","model":"a","provider":{},"messages":[],)"
                   R"("route":"fallback","plugins":[],"debug":{}})"),
            R"({"model":"up","messages":[]})");
  EXPECT_EQ(splice(R"({ "trace" : {} , "messages" : [] , "debug" : null })", {}, Api::Chat),
            "error: model: required, or models");
  EXPECT_EQ(splice(R"({ "models" : ["a","b"] , "messages" : [] , "debug" : null })"),
            R"({"model":"up",  "messages" : []  })");
  EXPECT_EQ(splice(R"({"models":["a"]})", {.model = "up"}, Api::Responses), R"({"model":"up"})");
}

TEST(RequestSplice, KeepsThemForAnotherGateway) {
  EXPECT_EQ(splice(R"({"models":["a"],"trace":{},"messages":[]})",
                   {.model = "up", .fields = GatewayFields::Keep}),
            R"({"model":"up","models":["a"],"trace":{},"messages":[]})");
}

TEST(RequestSplice, AsksForUsageOfStreams) {
  const auto with = [](const std::string& rest) {
    return R"({"model":"a","messages":[],"stream":true)" + rest + "}";
  };
  const auto expected = [](const std::string& rest) {
    return R"({"model":"up","messages":[],"stream":true)" + rest + "}";
  };
  const std::string asked = R"(,"stream_options":{"include_usage":true})";
  EXPECT_EQ(splice(with(""), kAsking), expected(asked));
  EXPECT_EQ(splice(with(R"(,"stream_options":null)"), kAsking), expected(asked));
  EXPECT_EQ(splice(with(R"(,"stream_options":{})"), kAsking), expected(asked));
  EXPECT_EQ(splice(with(R"(,"stream_options":{"include_usage":false})"), kAsking), expected(asked));
  EXPECT_EQ(splice(with(R"(,"stream_options":{"include_usage":null})"), kAsking), expected(asked));
  EXPECT_EQ(splice(with(asked), kAsking), expected(asked));
  EXPECT_EQ(splice(with(R"(,"stream_options":{ "x":1 })"), kAsking),
            expected(R"(,"stream_options":{ "x":1 ,"include_usage":true})"));
  EXPECT_EQ(splice(with(""), {.model = "up"}), expected(""));
  EXPECT_EQ(splice(with(R"(,"trace":{})"), kAsking), expected(asked));
}

TEST(RequestSplice, DoesNotAskWhereUsageComesUnasked) {
  EXPECT_EQ(splice(R"({"model":"a","messages":[]})", kAsking), R"({"model":"up","messages":[]})");
  EXPECT_EQ(splice(R"({"model":"a","messages":[],"stream":true})", kAsking, Api::Messages),
            R"({"model":"up","messages":[],"stream":true})");
  EXPECT_EQ(splice(R"({"model":"a","input":"","stream":true})", kAsking, Api::Responses),
            R"({"model":"up","input":"","stream":true})");
}

TEST(RequestFields, AreReadForRouting) {
  const std::string body =
      R"({"model":"m","models":["x","y"],"stream":true,"stream_options":{"include_usage":true},)"
      R"("debug":{"echo_upstream_body":true},"max_tokens":5,"max_completion_tokens":1e1,)"
      R"("prompt_cache_key":"k","provider": {"order":["a"]} ,"messages":[],"top_p":1})";
  const auto request = RequestBody::parse(body, Api::Chat);
  ASSERT_TRUE(request) << request.error().message;
  const RequestFields& fields = request->fields();
  EXPECT_EQ(fields.model, "m");
  EXPECT_EQ(fields.models, (std::vector<std::string>{"x", "y"}));
  EXPECT_TRUE(fields.is_stream);
  EXPECT_TRUE(fields.wants_usage);
  EXPECT_TRUE(fields.echoes_upstream_body);
  EXPECT_EQ(fields.output_tokens_max, 10);
  EXPECT_EQ(fields.prompt_cache_key, "k");
  EXPECT_EQ(fields.provider, R"({"order":["a"]})");
  EXPECT_EQ(
      fields.passed_keys,
      (std::vector<std::string>{"model", "stream", "stream_options", "max_tokens",
                                "max_completion_tokens", "prompt_cache_key", "messages", "top_p"}));
}

TEST(RequestFields, TakeAnthropicFallbacks) {
  const std::string body =
      R"({"model":"m","messages":[],"fallbacks":[{"model":"a"},{"model":"b"}]})";
  const auto request = RequestBody::parse(body, Api::Messages);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->fields().models, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request->splice({.model = "up"}), R"({"model":"up","messages":[]})");
  // Elsewhere it is a field like any other.
  EXPECT_EQ(splice(body),
            R"({"model":"up","messages":[],"fallbacks":[{"model":"a"},{"model":"b"}]})");
}

struct Case {
  std::string name;
  std::string body;
  std::string message;
  Api api = Api::Chat;
};

class RequestErrorTest : public ::testing::TestWithParam<Case> {};

TEST_P(RequestErrorTest, SaysWhatIsWrong) {
  const auto request = RequestBody::parse(GetParam().body, GetParam().api);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, Code::InvalidArgument);
  EXPECT_EQ(request.error().message, GetParam().message);
}

std::string chat(const std::string& members) {
  return R"({"model":"m","messages":[],)" + members + "}";
}

std::string many_members() {
  std::string members;
  for (int i = 0; i < 1023; ++i) members += "\"k" + std::to_string(i) + "\":0,";
  return chat(members + "\"last\":0");
}

INSTANTIATE_TEST_SUITE_P(
    Bodies, RequestErrorTest,
    ::testing::Values(
        Case{"empty", "", "the request body is empty"},
        Case{"blank", " \n", "the request body is empty"},
        Case{"text", "hello",
             "the request body is not valid JSON: line 1, column 1: expected a value"},
        Case{"cut", R"({"model":"m","messages":[)",
             "the request body is not valid JSON: line 1, column 26: unexpected end"},
        Case{"array", "[]", "the request body must be a JSON object"},
        Case{"utf8", "{\"model\":\"\xff\"}",
             "the request body is not valid JSON: line 1, column 11: invalid UTF-8"},
        Case{"deep", chat("\"x\":" + std::string(200, '[') + std::string(200, ']')),
             "the request body is not valid JSON: line 1, column 159: nested too deeply"},
        Case{"twice", chat(R"("model":"n")"), R"(the request body: key "model" is there twice)"},
        Case{"twice_escaped", chat(R"("mod\u0065l":"n")"),
             R"(the request body: key "model" is there twice)"},
        Case{"twice_unknown", chat(R"("x":1,"y":2,"x":3)"),
             R"(the request body: key "x" is there twice)"},
        Case{"members", many_members(), "the request body: at most 1024 members"},
        Case{"no_messages", R"({"model":"m"})", "messages: required"},
        Case{"no_prompt", R"({"model":"m"})", "prompt: required", Api::Completions},
        Case{"no_input", R"({"model":"m"})", "input: required", Api::Embeddings},
        Case{"no_model", R"({"messages":[]})", "model: required, or models"},
        Case{"null_model", R"({"model":null,"messages":[]})", "model: required, or models"},
        Case{"no_models", R"({"models":[],"messages":[]})", "model: required, or models"},
        Case{"model_number", R"({"model":1,"messages":[]})", "model: must be a string"},
        Case{"model_empty", R"({"model":"","messages":[]})", "model: must not be empty"},
        Case{"models_text", chat(R"("models":"a")"), "models: must be a list of strings"},
        Case{"models_mixed", chat(R"("models":["a",1])"), "models: must be a list of strings"},
        Case{"models_many",
             chat("\"models\":[" +
                  [] {
                    std::string list = "\"a\"";
                    for (int i = 0; i < 32; ++i) list += ",\"a\"";
                    return list;
                  }() +
                  "]"),
             "models: at most 32"},
        Case{"stream_text", chat(R"("stream":"yes")"), "stream: must be true or false"},
        Case{"options_list", chat(R"("stream_options":[])"), "stream_options: must be an object"},
        Case{"usage_text", chat(R"("stream_options":{"include_usage":1})"),
             "stream_options.include_usage: must be true or false"},
        Case{"usage_twice",
             chat(R"("stream_options":{"include_usage":true,"include_usage":false})"),
             "stream_options: include_usage is there twice"},
        Case{"provider_text", chat(R"("provider":"openai")"), "provider: must be an object"},
        Case{"plugins", chat(R"("plugins":[{"id":"web"}])"), "plugins: not supported"},
        Case{"plugins_object", chat(R"("plugins":{})"), "plugins: must be a list"},
        Case{"debug_text", chat(R"("debug":1)"), "debug: must be an object"},
        Case{"echo_text", chat(R"("debug":{"echo_upstream_body":1})"),
             "debug.echo_upstream_body: must be true or false"},
        Case{"fallbacks_more",
             chat(R"("fallbacks":[{"model":"a"},{"model":"b"},{"model":"c"},{"model":"d"}])"),
             "fallbacks: at most 3", Api::Messages},
        Case{"fallbacks_fields", chat(R"("fallbacks":[{"model":"a","x":1}])"),
             "fallbacks: must be a list of objects with only a model", Api::Messages},
        Case{"fallbacks_and_models", chat(R"("fallbacks":[{"model":"a"}],"models":["b"])"),
             "fallbacks: not together with models", Api::Messages},
        Case{"fallbacks_alone", R"({"fallbacks":[{"model":"a"}],"messages":[]})",
             "model: required, or models", Api::Messages}),
    [](const auto& c) { return c.param.name; });

/// The members of a text's outer object: key to the value's own bytes, in order.
std::vector<std::pair<std::string, std::string>> members_of(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> members;
  JsonReader json(text);
  json.object([&](const JsonMember& member) {
    std::string key(member.key);
    members.emplace_back(std::move(key), std::string(json.skip().of(text)));
  });
  return members;
}

RC_GTEST_PROP(RequestSpliceProperty, LeavesEveryOtherValueAsItIs, ()) {
  static const std::set<std::string> kGateway = {"models", "provider", "session_id", "trace",
                                                 "route",  "plugins",  "debug"};
  std::map<std::string, std::string> values = {{"models", R"([ "a" ])"},
                                               {"provider", "{ }"},
                                               {"plugins", "[]"},
                                               {"debug", "null"},
                                               {"stream", "true"}};
  std::vector<std::string> keys = {"models", "provider",       "session_id", "trace",
                                   "route",  "plugins",        "debug",      "stream",
                                   "seed",   "stream_options", "x\xc3\xa9",  "messages2"};
  for (const char* key : {"session_id", "trace", "route", "seed", "x\xc3\xa9", "messages2"}) {
    values[key] = testing::random_json(3);
  }
  values["stream_options"] =
      *rc::gen::elementOf(std::vector<std::string>{"null", "{ }", R"({"include_usage" : false})",
                                                   R"({"a":[{}], "include_usage":true , "b":1})"});
  auto chosen = *rc::gen::unique<std::vector<std::string>>(rc::gen::elementOf(keys));
  chosen.emplace_back("messages");
  values["messages"] = testing::random_json(4);
  if (*rc::gen::arbitrary<bool>() || std::ranges::find(chosen, "models") == chosen.end()) {
    chosen.emplace_back("model");
    values["model"] = "\"asked\"";
  }
  for (std::size_t i = chosen.size() - 1; i > 0; --i) {
    std::swap(chosen[i], chosen[*rc::gen::inRange<std::size_t>(0, i + 1)]);
  }
  std::vector<std::pair<std::string, std::string>> members;
  for (const std::string& key : chosen) {
    members.emplace_back(testing::random_spelling(key), values[key]);
  }
  const std::string body = testing::random_space() + testing::random_layout(members);

  const auto request = RequestBody::parse(body, Api::Chat);
  RC_ASSERT(request.has_value());
  const std::string spliced = request->splice(kAsking);
  RC_LOG() << body << "\n" << spliced << "\n";
  RC_ASSERT(nlohmann::json::accept(spliced));

  auto expected = members_of(body);
  std::erase_if(expected, [&](const auto& member) { return kGateway.contains(member.first); });
  auto actual = members_of(spliced);
  const bool is_stream = std::ranges::find(chosen, "stream") != chosen.end();
  const auto parsed = nlohmann::json::parse(spliced);
  RC_ASSERT(parsed["model"] == "up");
  if (is_stream) RC_ASSERT(parsed["stream_options"]["include_usage"] == true);
  const auto drop = [&](const auto& member) {
    return member.first == "model" || (is_stream && member.first == "stream_options");
  };
  std::erase_if(expected, drop);
  std::erase_if(actual, drop);
  RC_ASSERT(actual == expected);
}

}  // namespace
}  // namespace gantry::gateway
