#include "gateway/upstream_echo.h"

#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/testing/provider.h"
#include "gateway/testing/relay.h"

namespace gantry::gateway {
namespace {

using nlohmann::json;
using testing::make_request;
using testing::payloads;

constexpr std::string_view kBody =
    R"({"model":"openai/gpt-4o","messages":[],"stream":true,"debug":{"echo_upstream_body":true}})";

Upstream upstream(std::string model) {
  return {.name = "OpenAI",
          .slug = "openai",
          .base_url = "https://api.openai.com/v1",
          .api_version = {},
          .key = "sk-1",
          .headers = {},
          .forward_headers = {},
          .model = std::move(model),
          .timeouts = {}};
}

AnswerShape shape(Api api = Api::Chat) {
  return {.api = api,
          .generation_id = "gen-1",
          .model = "openai/gpt-4o",
          .provider_name = "OpenAI",
          .created_unix_s = 17};
}

std::string events_of(std::string_view body, Api api = Api::Chat) {
  UpstreamEcho echo;
  echo.add(*make_request(body, api), upstream("gpt-4o-2024"), shape(api));
  return echo.take_events();
}

TEST(UpstreamEcho, IsAChunkWithoutChoices) {
  EXPECT_EQ(events_of(kBody),
            R"(data: {"id":"gen-1","provider":"OpenAI","model":"openai/gpt-4o",)"
            R"("object":"chat.completion.chunk","created":17,"choices":[],"debug":{)"
            R"("echo_upstream_body":{"model":"gpt-4o-2024","messages":[],"stream":true,)"
            R"("stream_options":{"include_usage":true}}}})"
            "\n\n");
}

TEST(UpstreamEcho, IsAnEventOfResponses) {
  EXPECT_EQ(events_of(R"({"model":"m","input":"Hi","stream":true,)"
                      R"("debug":{"echo_upstream_body":true}})",
                      Api::Responses),
            "event: response.debug\n"
            R"(data: {"type":"response.debug","debug":{"echo_upstream_body":)"
            R"({"model":"gpt-4o-2024","input":"Hi","stream":true}},"sequence_number":0})"
            "\n\n");
}

TEST(UpstreamEcho, IsForStreamsThatAskForIt) {
  EXPECT_EQ(events_of(testing::kChatStreamBody), "");
  EXPECT_EQ(events_of(R"({"model":"m","messages":[],"stream":true,"debug":{}})"), "");
  EXPECT_EQ(events_of(R"({"model":"m","messages":[],"debug":{"echo_upstream_body":true}})"), "");
  EXPECT_EQ(events_of(kBody, Api::Messages), "");
  EXPECT_EQ(events_of(R"({"model":"m","prompt":"","stream":true,)"
                      R"("debug":{"echo_upstream_body":true}})",
                      Api::Completions),
            "");
}

TEST(UpstreamEcho, StaysOnOneLine) {
  const std::string out = events_of(
      "{\"model\":\"m\",\r\n\"messages\":\r[],\n\"stream\":true,\"seed\":1.0,"
      "\"debug\":{\"echo_upstream_body\":true}}\r\n");
  EXPECT_EQ(out.find_first_of("\r\n"), out.size() - 2) << out;
  const auto all = payloads(out);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0]["debug"]["echo_upstream_body"]["seed"], 1.0);
}

TEST(UpstreamEcho, HasAnEventForEachAttemptThatSentSomething) {
  const auto request = make_request(kBody);
  UpstreamEcho echo;
  echo.forget_last();  // nothing was added
  for (const char* model : {"one", "two", "three"}) echo.add(*request, upstream(model), shape());
  echo.forget_last();
  echo.add(*request, upstream("four"), shape());
  const auto all = payloads(echo.take_events());
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0]["debug"]["echo_upstream_body"]["model"], "one");
  EXPECT_EQ(all[1]["debug"]["echo_upstream_body"]["model"], "two");
  EXPECT_EQ(all[2]["debug"]["echo_upstream_body"]["model"], "four");
  EXPECT_EQ(echo.take_events(), "");
}

std::string body_with(std::size_t content_bytes) {
  return R"({"model":"m","stream":true,"debug":{"echo_upstream_body":true},"messages":[{"content":")" +
         std::string(content_bytes, 'x') + R"("}]})";
}

TEST(UpstreamEcho, KeepsTheLastBodiesThatFit) {
  const auto request = make_request(body_with(UpstreamEcho::kBytesMax * 2 / 5));
  UpstreamEcho echo;
  for (const char* model : {"one", "two", "three"}) echo.add(*request, upstream(model), shape());
  const std::string events = echo.take_events();
  EXPECT_LE(events.size(), UpstreamEcho::kBytesMax);
  const auto all = payloads(events);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["debug"]["echo_upstream_body"]["model"], "two");
  EXPECT_EQ(all[1]["debug"]["echo_upstream_body"]["model"], "three");
}

TEST(UpstreamEcho, LeavesOutWhatIsTooLong) {
  // Once by the client's body, once by the event around it.
  EXPECT_EQ(events_of(body_with(UpstreamEcho::kBytesMax)), "");
  EXPECT_EQ(events_of(body_with(UpstreamEcho::kBytesMax - 110)), "");
  UpstreamEcho echo;
  echo.add(*make_request(kBody), upstream("one"), shape());
  echo.add(*make_request(body_with(UpstreamEcho::kBytesMax)), upstream("two"), shape());
  EXPECT_EQ(payloads(echo.take_events()).size(), 1U);
}

}  // namespace
}  // namespace gantry::gateway
