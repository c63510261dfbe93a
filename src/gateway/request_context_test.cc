#include "gateway/request_context.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "gateway/content.h"
#include "gateway/testing/broadcast_cases.h"
#include "gateway/trace_ids.h"

namespace gantry::gateway {
namespace {

using nlohmann::json;
using testing::padded;

Result<RequestContext> read(std::string_view body, Api api = Api::Chat,
                            const ContextHeaders& headers = {}) {
  return read_request_context(api, padded(body), headers, "gantry");
}

std::string error_of(std::string_view body, const ContextHeaders& headers = {}) {
  const auto context = read(body, Api::Chat, headers);
  return context ? "" : context.error().message;
}

std::string text_of(const Metadata& entry) {
  switch (entry.kind) {
    case Metadata::Kind::String:
      return fmt::format("{}=\"{}\"", entry.key, entry.text);
    case Metadata::Kind::Bool:
      return fmt::format("{}={}", entry.key, entry.boolean);
    case Metadata::Kind::Int:
      return fmt::format("{}=int {}", entry.key, entry.integer);
    case Metadata::Kind::Double:
      return fmt::format("{}=double {}", entry.key, entry.number);
  }
  return "";
}

/// "key=value" of all metadata, then "!key" of what was ignored.
std::string metadata_of(std::string_view trace) {
  const auto context = read(fmt::format(R"({{"trace":{}}})", trace));
  if (!context) return "error: " + context.error().message;
  std::vector<std::string> entries;
  for (const Metadata& entry : context->trace.metadata) entries.push_back(text_of(entry));
  for (const std::string& key : context->trace.ignored_keys) entries.push_back("!" + key);
  return fmt::format("{}", fmt::join(entries, " "));
}

struct MetadataCase {
  std::string_view name, trace, expected;
};

class MetadataTest : public ::testing::TestWithParam<MetadataCase> {};

TEST_P(MetadataTest, FlattensOrIgnores) {
  EXPECT_EQ(metadata_of(GetParam().trace), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Objects, MetadataTest,
    ::testing::Values(
        MetadataCase{"none", "{}", ""}, MetadataCase{"null_is_absent", "null", ""},
        MetadataCase{"types", R"({"s":"x","b":true,"i":-3,"f":0.5,"z":1.0,"n":null})",
                     R"(s="x" b=true i=int -3 f=double 0.5 z=double 1)"},
        MetadataCase{"nested", R"({"a":{"b":{"c":1},"d":"e"},"empty":{},"f":{"g":null}})",
                     R"(a.b.c=int 1 a.d="e")"},
        MetadataCase{"lists_are_text", R"({"l":[ 1, {"a" : "b c"} ],"none":[]})",
                     R"(l="[1,{"a":"b c"}]" none="[]")"},
        MetadataCase{"depth_five", R"({"a":{"b":{"c":{"d":{"e":1}}}}})", "a.b.c.d.e=int 1"},
        MetadataCase{"depth_six_is_text", R"({"a":{"b":{"c":{"d":{"e":{ "f": 1 }, "g": {}}}}}})",
                     R"(a.b.c.d.e="{"f":1}")"},
        MetadataCase{"last_of_two", R"({"a":1,"b":2,"a":"x","c":{"d":1},"c.d":2})",
                     R"(a="x" b=int 2 c.d=int 2)"},
        MetadataCase{"largest_integer", R"({"a":9223372036854775807,"b":-9223372036854775808})",
                     "a=int 9223372036854775807 b=int -9223372036854775808"},
        MetadataCase{"too_large_for_numbers", R"({"a":9223372036854775808,"b":1e999})",
                     R"(a="9223372036854775808" b="1e999")"},
        MetadataCase{"escapes", R"({"k\u00e9y":"a\n\u20ac"})", "kéy=\"a\n€\""},
        MetadataCase{"half_a_character", R"({"a":"\ud800","\ud800":1,"b":{"\udc00":2},"c":3})",
                     R"(c=int 3 !\ud800 !a !b.\udc00)"},
        MetadataCase{"ours_are_ours",
                     R"({"gantry":1,"gantry.source":"me","gantry":{"x":{"y":1}},"gantryx":2})",
                     "gantryx=int 2 !gantry !gantry.source !gantry.x.y"},
        MetadataCase{"known_keys_are_no_metadata",
                     R"({"trace_id":"a","trace_name":"b","span_name":"c","generation_name":"d",
                         "parent_span_id":"e","nested":{"trace_id":"f"}})",
                     R"(nested.trace_id="f")"},
        MetadataCase{"known_keys_of_a_wrong_kind",
                     R"({"trace_name":["x"],"generation_name":{"a":1},"trace_id":"\ud800"})",
                     "!generation_name !trace_id !trace_name"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(RequestContextTest, ScalarsOfKnownKeysBecomeText) {
  const auto context = read(
      R"({"trace":{"trace_id":12345,"span_name":true,"parent_span_id":7.50,"trace_name":null},
          "session_id":42,"user":false})");
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace.trace_id, "12345");
  EXPECT_EQ(context->trace.span_name, "true");
  EXPECT_EQ(context->trace.parent_span_id, "7.50");
  EXPECT_EQ(context->trace.trace_name, "");
  EXPECT_EQ(context->trace.session_id, "42");
  EXPECT_EQ(context->trace.user_id, "false");
}

TEST(RequestContextTest, IdentitiesOfAWrongKindAreIgnored) {
  const auto context = read(R"({"session_id":{"a":1},"user":["u"],"trace":{"trace_name":[]}})");
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace.session_id, "");
  EXPECT_EQ(context->trace.ignored_keys,
            (std::vector<std::string>{"session_id", "trace_name", "user"}));
}

TEST(RequestContextTest, RefusesOnlyWhatTheSchemaNames) {
  const std::string most(256, 'x');
  EXPECT_EQ(error_of(fmt::format(R"({{"session_id":"{}","user":"{}"}})", most, most)), "");
  EXPECT_EQ(error_of(fmt::format(R"({{"session_id":"{}x"}})", most)),
            "session_id: at most 256 characters");
  EXPECT_EQ(error_of(fmt::format(R"({{"user":"{}x"}})", most)), "user: at most 256 characters");
  EXPECT_EQ(error_of(fmt::format(R"({{"user":"{}"}})", std::string(257, '1'))),
            "user: at most 256 characters");
  EXPECT_EQ(error_of("{}", {.session_id = most + "x"}), "x-session-id: at most 256 characters");
  EXPECT_EQ(error_of(R"({"session_id":"s"})", {.session_id = most + "x"}), "");
  for (const std::string_view trace : {"[]", "\"t\"", "1", "false"}) {
    EXPECT_EQ(error_of(fmt::format(R"({{"trace":{}}})", trace)), "trace: must be an object");
  }
  EXPECT_EQ(error_of(R"({"trace":[],"trace":{}})"), "");
  // Characters, not bytes.
  std::string euros;
  for (int i = 0; i < 256; ++i) euros += "€";
  EXPECT_EQ(error_of(fmt::format(R"({{"user":"{}"}})", euros)), "");
}

TEST(RequestContextTest, TheVectorsRefusalIsOurs) {
  GANTRY_BROADCAST_JSON(refused, "038-session-id-too-long.json");
  EXPECT_EQ(error_of(refused.at("client_request").at("body").dump()),
            refused.at("client_response").at("error").at("message").get<std::string>());
}

TEST(RequestContextTest, ExplainsWhatIsNoRequest) {
  EXPECT_EQ(error_of("[]"), "body: must be a JSON object");
  EXPECT_EQ(error_of("1"), "body: must be a JSON object");
  for (const std::string_view body :
       {"", " ", "{", R"({"model":"a")", R"({"model" "a"})", R"({"user":"a} )", "{} {}",
        R"({"a":1}x)", "{\"user\":\"\xff\"}", R"({"trace":{"a":tru}})", R"({"trace":{"a" 1}})",
        R"({"messages":[{"role":"user" "content":"x"}]})"}) {
    EXPECT_TRUE(error_of(body).starts_with("body: not valid JSON: ")) << body << error_of(body);
  }
}

TEST(RequestContextTest, BodyWinsOverHeaders) {
  const ContextHeaders headers{
      .session_id = "from-header",
      .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
  const auto plain = read("{}", Api::Chat, headers);
  EXPECT_EQ(plain->trace.session_id, "from-header");
  EXPECT_EQ(plain->trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(plain->trace.parent_span_id, "00f067aa0ba902b7");

  const auto empty = read(R"({"session_id":"","trace":{"trace_id":""}})", Api::Chat, headers);
  EXPECT_EQ(empty->trace.session_id, "from-header");
  EXPECT_EQ(empty->trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");

  const auto parent =
      read(R"({"session_id":"b","trace":{"parent_span_id":"p"}})", Api::Chat, headers);
  EXPECT_EQ(parent->trace.session_id, "b");
  EXPECT_EQ(parent->trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(parent->trace.parent_span_id, "p");

  // In a trace of the body's own the header's span is nobody.
  const auto other = read(R"({"trace":{"trace_id":"mine"}})", Api::Chat, headers);
  EXPECT_EQ(other->trace.trace_id, "mine");
  EXPECT_EQ(other->trace.parent_span_id, "");
  const auto same =
      read(R"({"trace":{"trace_id":"4BF92F35-77B3-4DA6-A3CE-929D0E0E4736"}})", Api::Chat, headers);
  EXPECT_EQ(same->trace.parent_span_id, "00f067aa0ba902b7");

  EXPECT_EQ(read("{}", Api::Chat, {.traceparent = "00-1-2-3"})->trace.trace_id, "");
  EXPECT_EQ(read("{}", Api::Chat, {.session_id = "a\xff"})->trace.session_id, "a\uFFFD");
}

TEST(RequestContextTest, ReadsHowTheModelWasAsked) {
  const auto context = read(
      R"({"models":["a/first",2],"stream":true,"temperature":1,"top_p":0.9,"max_tokens":10,
          "max_completion_tokens":20,"frequency_penalty":0.5,"presence_penalty":-0.5,"seed":7,
          "top_k":40,"n":2.0,"stop":["\n","",3,"END"],"tools":[{},{}]})");
  ASSERT_TRUE(context);
  EXPECT_EQ(context->model, "a/first");
  EXPECT_TRUE(context->is_stream);
  EXPECT_EQ(context->tools_count, 2);
  const SamplingParameters& parameters = context->parameters;
  EXPECT_EQ(parameters.temperature, 1.0);
  EXPECT_EQ(parameters.top_p, 0.9);
  EXPECT_EQ(parameters.top_k, 40);
  EXPECT_EQ(parameters.max_tokens, 20);
  EXPECT_EQ(parameters.frequency_penalty, 0.5);
  EXPECT_EQ(parameters.presence_penalty, -0.5);
  EXPECT_EQ(parameters.seed, 7);
  EXPECT_EQ(parameters.choice_count, 2);
  EXPECT_EQ(parameters.stop, (std::vector<std::string>{"\n", "END"}));
}

TEST(RequestContextTest, KnowsWhatKindOfOutputWasAskedFor) {
  const auto type = [](std::string_view body, Api api = Api::Chat) {
    return read(body, api)->output_type;
  };
  EXPECT_EQ(type("{}"), "");
  EXPECT_EQ(type(R"({"response_format":{"type":"text"}})"), "text");
  EXPECT_EQ(type(R"({"response_format":{"type":"json_object"}})"), "json");
  EXPECT_EQ(type(R"({"response_format":{"json_schema":{"type":"x"},"type":"json_schema"}})"),
            "json");
  EXPECT_EQ(type(R"({"response_format":{"type":"grammar"}})"), "text");
  EXPECT_EQ(type(R"({"response_format":null})"), "");
  EXPECT_EQ(type(R"({"response_format":{"type":7}})"), "");
  EXPECT_EQ(type(R"({"modalities":["text"]})"), "text");
  EXPECT_EQ(type(R"({"modalities":["text","image"]})"), "image");
  EXPECT_EQ(type(R"({"modalities":["text","audio"],"response_format":{"type":"text"}})"), "speech");
  EXPECT_EQ(type(R"({"response_format":{"type":"json_object"},"modalities":["text"]})"), "json");
  EXPECT_EQ(type(R"({"modalities":"audio"})"), "");
  EXPECT_EQ(type(R"({"text":{"format":{"type":"json_schema"}}})", Api::Responses), "json");
  EXPECT_EQ(type(R"({"text":{"verbosity":"low"}})", Api::Responses), "");
  EXPECT_EQ(type(R"({"output_config":{"format":{"type":"json_schema"}}})", Api::Messages), "json");
  EXPECT_EQ(type(R"({"output_format":{"type":"json_schema"}})", Api::Messages), "json");
}

TEST(RequestContextTest, WhatIsNoParameterIsAbsent) {
  const auto context = read(
      R"({"model":"m/m","models":["a/b"],"stream":"yes","temperature":"hot","max_tokens":1.5,
          "seed":1e30,"n":null,"stop":"one","tools":{}})");
  ASSERT_TRUE(context);
  EXPECT_EQ(context->model, "m/m");
  EXPECT_FALSE(context->is_stream);
  EXPECT_EQ(context->tools_count, 0);
  EXPECT_EQ(context->parameters.temperature, std::nullopt);
  EXPECT_EQ(context->parameters.max_tokens, std::nullopt);
  EXPECT_EQ(context->parameters.seed, std::nullopt);
  EXPECT_EQ(context->parameters.choice_count, std::nullopt);
  EXPECT_EQ(context->parameters.stop, std::vector<std::string>{"one"});
  EXPECT_EQ(read(R"({"max_tokens":5,"models":7,"stop":null})")->parameters.max_tokens, 5);
}

json metadata_members(int count, const std::string& prefix) {
  json members = json::object();
  for (int i = 0; i < count; ++i) members[fmt::format("{}{:03}", prefix, i)] = i;
  return members;
}

TEST(MetadataLimitsTest, SixtyFourAttributes) {
  const json body = {{"trace", metadata_members(70, "k")}};
  const auto context = read(body.dump());
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace.metadata.size(), 64U);
  EXPECT_EQ(context->trace.ignored_keys,
            (std::vector<std::string>{"k064", "k065", "k066", "k067", "k068", "k069"}));
  EXPECT_EQ(context->trace.ignored_count, 6U);

  const auto many = read(json{{"trace", metadata_members(1000, "k")}}.dump());
  EXPECT_EQ(many->trace.ignored_keys.size(), 64U);
  EXPECT_EQ(many->trace.ignored_count, 936U);
}

TEST(MetadataLimitsTest, KeysOf128Bytes) {
  const std::string longest(128, 'k');
  const auto context =
      read(json{{"trace", {{longest, 1}, {longest + "x", 2}, {"a", {{longest, 3}}}}}}.dump());
  ASSERT_TRUE(context);
  ASSERT_EQ(context->trace.metadata.size(), 1U);
  EXPECT_EQ(context->trace.metadata[0].key, longest);
  // Names of what was ignored are as short.
  EXPECT_EQ(context->trace.ignored_keys,
            (std::vector<std::string>{"a." + longest.substr(2), longest}));
}

TEST(MetadataLimitsTest, ValuesOf8KibibytesAtACharacter) {
  const std::string longest(8192, 'v');
  std::string odd = "x";
  while (odd.size() < 8192) odd += "€";
  const auto context = read(json{{"trace",
                                  {{"fits", longest},
                                   {"cut", odd},
                                   {"list", {longest}},
                                   {"cut.truncated", "mine"},
                                   {"trace_name", longest + "x"}}}}
                                .dump());
  ASSERT_TRUE(context);
  std::vector<std::string> entries;
  for (const Metadata& entry : context->trace.metadata) {
    entries.push_back(entry.kind == Metadata::Kind::Bool
                          ? text_of(entry)
                          : fmt::format("{}: {}", entry.key, entry.text.size()));
  }
  std::ranges::sort(entries);
  EXPECT_EQ(entries, (std::vector<std::string>{"cut.truncated=true", "cut: 8191", "fits: 8192",
                                               "list.truncated=true", "list: 8192"}));
  EXPECT_EQ(context->trace.trace_name, longest);
}

TEST(MetadataLimitsTest, AValueThatIsGivenAgainIsNotCut) {
  EXPECT_EQ(metadata_of(fmt::format(R"({{"a":"{}","a":"short"}})", std::string(9000, 'v'))),
            R"(a="short")");
}

TEST(MetadataLimitsTest, LongIdsAreKeptAsWhatTheyDeriveTo) {
  const std::string id(5000, 'i');
  const auto context = read(json{{"trace", {{"trace_id", id}, {"parent_span_id", id}}}}.dump());
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace.trace_id.size(), 32U);
  EXPECT_EQ(derive_trace_id(context->trace.trace_id, "g"), derive_trace_id(id, "g"));
  EXPECT_EQ(derive_parent_id(context->trace.parent_span_id), derive_parent_id(id));
}

json prompt_of(const json& body, Api api = Api::Chat) {
  const auto context = read(body.dump(), api);
  return json::parse(context->prompt.json, nullptr, false);
}

TEST(PromptTest, IsWhatTheApiCallsIt) {
  EXPECT_EQ(prompt_of({{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"input", 1}}),
            json({{"messages", {{{"role", "user"}, {"content", "hi"}}}}}));
  EXPECT_EQ(prompt_of({{"prompt", "hi"}, {"messages", 1}}, Api::Completions),
            json({{"prompt", "hi"}}));
  EXPECT_EQ(prompt_of({{"input", {1, 2}}}, Api::Embeddings), json({{"input", {1, 2}}}));
  EXPECT_EQ(prompt_of({{"input", "hi"}, {"instructions", "be"}}, Api::Responses),
            json({{"instructions", "be"}, {"input", "hi"}}));
  EXPECT_EQ(prompt_of({{"messages", {{{"content", "x"}}}}, {"system", "be"}}, Api::Messages),
            json({{"system", "be"}, {"messages", {{{"content", "x"}}}}}));
  EXPECT_EQ(read(R"({"model":"m"})")->prompt.json, "");
}

TEST(PromptTest, KeepsTextAsItIsWritten) {
  constexpr std::string_view kMessages =
      R"([{"role":"user","content":"a\u00e9\ud800 \"q\"","n":1.50e0,"k\u0065y":[{"deep": null}]}])";
  EXPECT_EQ(read(fmt::format(R"({{"messages": {} }})", kMessages))->prompt.json,
            fmt::format(R"({{"messages":{}}})", kMessages));
}

TEST(PromptTest, HasNoMedia) {
  const json marker = {{"type", "image_url"}, {"stripped", true}};
  const json image = {{"image_url", {{"url", "data:x"}}}, {"type", "image_url"}};
  const json text = {{"type", "text"}, {"text", "look"}};
  const auto message = [](json content) {
    return json{{"messages", {{{"role", "user"}, {"content", std::move(content)}}}}};
  };
  EXPECT_EQ(prompt_of(message({text, image, text})), message({text, marker, text}));
  for (const std::string type :
       {"input_audio", "file", "video_url", "image", "document", "input_image", "input_file"}) {
    EXPECT_EQ(prompt_of(message({{{"type", type}, {"data", "x"}}})),
              message({{{"type", type}, {"stripped", true}}}));
  }
  // Inside what a tool gave back.
  const auto result = [&](const json& part) {
    return message({{{"type", "tool_result"}, {"content", {part, text}}}});
  };
  EXPECT_EQ(prompt_of(result(image), Api::Messages), result(marker));
  EXPECT_EQ(prompt_of({{"input", {{{"type", "function_call_output"}, {"output", {image}}}}}},
                      Api::Responses),
            json({{"input", {{{"type", "function_call_output"}, {"output", {marker}}}}}}));
  // What an assistant has drawn or said.
  EXPECT_EQ(prompt_of({{"messages",
                        {{{"role", "assistant"},
                          {"images", {image}},
                          {"audio", {{"id", "a"}, {"data", "x"}}}}}}}),
            json({{"messages",
                   {{{"role", "assistant"},
                     {"images", {marker}},
                     {"audio", {{"type", "audio"}, {"stripped", true}}}}}}}));
  // A tool's argument is no part of a message.
  const json call =
      message({{{"type", "tool_use"}, {"input", {{"type", "image"}, {"data", "x"}}}}});
  EXPECT_EQ(prompt_of(call, Api::Messages), call);
}

TEST(PromptTest, HasAtMostOneMebibyte) {
  // {"prompt":"…"}
  constexpr std::size_t kFrame = 13;
  const std::string longest(kContentBytesMax - kFrame, 'p');
  const auto fits = read(json{{"prompt", longest}}.dump(), Api::Completions);
  EXPECT_EQ(fits->prompt.json.size(), kContentBytesMax);
  EXPECT_FALSE(fits->prompt.is_cut);
  const auto cut = read(json{{"prompt", longest + "€"}}.dump(), Api::Completions);
  EXPECT_EQ(cut->prompt.json.size(), kContentBytesMax - 2);
  EXPECT_TRUE(cut->prompt.is_cut);

  json messages = json::array();
  for (int i = 0; i < 3000; ++i) messages.push_back({{"content", std::string(1000, 'm')}});
  const auto many = read(json{{"messages", messages}, {"user", "after"}}.dump());
  EXPECT_EQ(many->prompt.json.size(), kContentBytesMax);
  EXPECT_TRUE(many->prompt.is_cut);
  EXPECT_EQ(many->trace.user_id, "after");
}

/// Any JSON, not too deep, with the members that the reader looks into.
json random_json(std::mt19937& random, int depth) {
  const auto below = [&random](unsigned limit) { return random() % limit; };
  const unsigned kind = below(depth == 0 ? 4 : 6);
  if (kind == 0) return json();
  if (kind == 1) return json(below(2) == 0);
  if (kind == 2) return json(static_cast<int>(below(100)) - 50);
  if (kind == 3) return json(std::string(below(4), static_cast<char>('a' + below(26))));
  json list = json::array();
  json members = json::object();
  constexpr std::string_view kKeys[] = {"content", "type", "output", "images", "a", "\"q\\"};
  for (unsigned i = below(4); i > 0; --i) {
    json child = random_json(random, depth - 1);
    members[std::string(kKeys[below(6)])] = child;
    list.push_back(std::move(child));
  }
  return kind == 4 ? list : members;
}

RC_GTEST_PROP(PromptTest, IsTheRequestsOwnWhereThereIsNoMedia, ()) {
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  const json messages = random_json(random, 10);
  RC_ASSERT(prompt_of({{"messages", messages}}) == json({{"messages", messages}}));
}

/// Some bytes of `body` made others, most of them ones that JSON is built from.
std::string broken(std::string body, std::mt19937& random) {
  constexpr std::string_view kBytes = "{}[]:,\"\\ntu01-. \xff";
  for (auto left = 1 + random() % 4; left > 0; --left) {
    body[random() % body.size()] = kBytes[random() % kBytes.size()];
  }
  return body;
}

RC_GTEST_PROP(RequestContextTest, SurvivesBrokenRequests, ()) {
  const std::string body =
      R"({"model":"a/b","messages":[{"role":"user","content":[{"type":"image_url","x":[1,{}]}]}],)"
      R"("trace":{"trace_id":1,"a":{"b":[1,"\u00e9"]},"c":1e3},"stop":["x"],"tools":[{}]})";
  std::mt19937 random(*rc::gen::arbitrary<std::uint32_t>());
  RC_ASSERT(!read(std::string_view(body).substr(0, random() % body.size())));
  const auto context = read(broken(body, random));
  RC_ASSERT((!context || context->trace.metadata.size() <= 64));
}

TEST(RequestContextTest, PassesNumbersOfAnySize) {
  const auto context = read(
      R"({"x":1e999999,"y":[123456789012345678901234567890],"seed":123456789012345678901234567890,
          "messages":[{"n":-1e-999999}]})");
  ASSERT_TRUE(context) << context.error().message;
  EXPECT_EQ(context->parameters.seed, std::nullopt);
  EXPECT_EQ(context->prompt.json, R"({"messages":[{"n":-1e-999999}]})");
}

}  // namespace
}  // namespace gantry::gateway
