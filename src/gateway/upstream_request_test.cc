#include "gateway/upstream_request.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/version.h"

namespace gantry::gateway {
namespace {

constexpr std::string_view kChat =
    R"({"model":"openai/gpt-4o","messages":[{"role":"user","content":"Hello!"}],"x":1.50})";

std::shared_ptr<const InferenceRequest> request(Api api, std::string_view body = kChat,
                                                net::Headers headers = {}) {
  return InferenceRequest::parse(api, std::string(body), std::move(headers)).value();
}

std::string body_of(Api api) {
  switch (api) {
    case Api::Completions:
      return R"({"model":"m","prompt":"p"})";
    case Api::Embeddings:
      return R"({"model":"m","input":"i"})";
    case Api::Responses:
      return R"({"model":"m","input":"i"})";
    case Api::Chat:
    case Api::Messages:
      return std::string(kChat);
  }
  return "";
}

std::string joined(const net::CallBody& body) {
  std::string out;
  for (const std::string_view piece : body.pieces) out += piece;
  return out;
}

std::map<std::string, std::string> fields(const net::Headers& headers) {
  return {headers.fields().begin(), headers.fields().end()};
}

const std::string kAgent = "gantry/" + std::string(core::version());

struct UrlCase {
  std::string_view name;
  Api api;
  UpstreamType type;
  std::string base_url;
  std::string api_version;
  std::string expected;
};

class UpstreamUrl : public ::testing::TestWithParam<UrlCase> {};

TEST_P(UpstreamUrl, IsThatOfTypeAndApi) {
  const UrlCase& given = GetParam();
  const Upstream upstream{.slug = "p",
                          .type = given.type,
                          .base_url = given.base_url,
                          .api_version = given.api_version,
                          .model = "gpt 4/o"};
  const auto call = make_upstream_request(request(given.api, body_of(given.api)), upstream);
  EXPECT_EQ(call ? call->url : "error: " + call.error().message, given.expected);
}

using enum UpstreamType;

INSTANTIATE_TEST_SUITE_P(
    Types, UpstreamUrl,
    ::testing::Values(
        UrlCase{"chat", Api::Chat, OpenAi, "https://a/v1", "", "https://a/v1/chat/completions"},
        UrlCase{"slashes", Api::Chat, OpenAi, "https://a/v1//", "",
                "https://a/v1/chat/completions"},
        UrlCase{"completions", Api::Completions, OpenAi, "https://a/v1", "",
                "https://a/v1/completions"},
        UrlCase{"embeddings", Api::Embeddings, OpenAi, "https://a/v1", "",
                "https://a/v1/embeddings"},
        UrlCase{"responses", Api::Responses, OpenAi, "https://a/v1", "", "https://a/v1/responses"},
        UrlCase{"messages", Api::Messages, Anthropic, "https://b/v1", "", "https://b/v1/messages"},
        UrlCase{"azure", Api::Chat, AzureOpenAi, "https://c/openai", "2024-10-21",
                "https://c/openai/deployments/gpt%204%2Fo/chat/completions?api-version=2024-10-21"},
        UrlCase{"azure_responses", Api::Responses, AzureOpenAi, "https://c/openai", "preview",
                "https://c/openai/responses?api-version=preview"},
        UrlCase{"azure_without_version", Api::Embeddings, AzureOpenAi, "https://c/openai/v1", "",
                "https://c/openai/v1/embeddings"},
        UrlCase{"chat_to_anthropic", Api::Chat, Anthropic, "https://b/v1", "",
                "error: provider p, of type anthropic, does not speak /chat/completions"},
        UrlCase{"messages_to_openai", Api::Messages, OpenAi, "https://a/v1", "",
                "error: provider p, of type openai, does not speak /messages"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(UpstreamRequest, SendsTheseFieldsAndNoOthers) {
  net::Headers client;
  for (const char* name :
       {"Authorization", "Cookie", "X-Api-Key", "traceparent", "tracestate", "baggage", "Host",
        "Connection", "Keep-Alive", "TE", "Transfer-Encoding", "Content-Length", "User-Agent",
        "X-Session-Id", "HTTP-Referer", "X-Title", "X-Forwarded-For", "anthropic-beta"}) {
    client.add(name, "client's");
  }
  const auto call = make_upstream_request(request(Api::Chat, kChat, client),
                                          {.base_url = "https://a/v1", .key = "k", .model = "m"});
  EXPECT_EQ(fields(call->headers),
            (std::map<std::string, std::string>{{"Content-Type", "application/json"},
                                                {"Accept", "application/json"},
                                                {"User-Agent", kAgent},
                                                {"Authorization", "Bearer k"}}));
  EXPECT_EQ(call->method, "POST");
  EXPECT_FALSE(call->may_repeat);
}

TEST(UpstreamRequest, AuthenticatesAsTheTypeDoes) {
  const auto anthropic = make_upstream_request(
      request(Api::Messages),
      {.type = Anthropic, .base_url = "https://b/v1", .key = "k", .model = "m"});
  EXPECT_EQ(fields(anthropic->headers),
            (std::map<std::string, std::string>{{"Content-Type", "application/json"},
                                                {"Accept", "application/json"},
                                                {"User-Agent", kAgent},
                                                {"anthropic-version", "2023-06-01"},
                                                {"x-api-key", "k"}}));
  const auto azure = make_upstream_request(
      request(Api::Chat), {.type = AzureOpenAi, .base_url = "https://c", .key = "k", .model = "m"});
  EXPECT_EQ(azure->headers.find("api-key"), "k");
  EXPECT_FALSE(azure->headers.contains("Authorization"));
  const auto open = make_upstream_request(request(Api::Chat), {.base_url = "https://a"});
  EXPECT_FALSE(open->headers.contains("Authorization")) << "no key, no field";
}

TEST(UpstreamRequest, AsksForEventsOfAStream) {
  const auto call =
      make_upstream_request(request(Api::Chat, R"({"model":"m","messages":[],"stream":true})"),
                            {.base_url = "https://a"});
  EXPECT_EQ(call->headers.find("Accept"), "text/event-stream");
}

TEST(UpstreamRequest, ForwardsWhatIsListedButNeverWhatIsTheClients) {
  net::Headers client;
  client.add("Anthropic-Beta", "one");
  client.add("anthropic-beta", "two");
  client.add("anthropic-version", "2030-01-01");
  client.add("X-Hop", "of the connection");
  client.add("Connection", "keep-alive, X-HOP");
  client.add("X-Api-Key", "client's");
  client.add("traceparent", "00-1-1-00");
  Upstream upstream{.type = Anthropic, .base_url = "https://b", .key = "k", .model = "m"};
  upstream.forward_headers = default_forward_headers(Anthropic);
  for (const char* name : {"x-hop", "x-api-key", "Connection", "traceparent"}) {
    upstream.forward_headers.emplace_back(name);
  }
  const auto call = make_upstream_request(request(Api::Messages, kChat, client), upstream);
  EXPECT_EQ(call->headers.count("anthropic-beta"), 2);
  EXPECT_EQ(call->headers.find("anthropic-version"), "2030-01-01");
  EXPECT_EQ(call->headers.count("anthropic-version"), 1);
  EXPECT_EQ(call->headers.find("x-api-key"), "k");
  EXPECT_EQ(call->headers.count("x-api-key"), 1);
  for (const char* name : {"X-Hop", "Connection", "traceparent"}) {
    EXPECT_FALSE(call->headers.contains(name)) << name;
  }
  EXPECT_TRUE(default_forward_headers(OpenAi).empty());
  EXPECT_TRUE(default_forward_headers(AzureOpenAi).empty());
}

TEST(UpstreamRequest, TellsOfTheClientsTraceOnlyWhenToldTo) {
  net::Headers client;
  client.add("traceparent", "00-1-1-00");
  client.add("tracestate", "a=1");
  client.add("baggage", "user=1");
  Upstream upstream{.base_url = "https://a", .model = "m"};
  upstream.forwards_trace_context = true;
  const auto call = make_upstream_request(request(Api::Chat, kChat, client), upstream);
  EXPECT_EQ(call->headers.find("traceparent"), "00-1-1-00");
  EXPECT_EQ(call->headers.find("tracestate"), "a=1");
  EXPECT_FALSE(call->headers.contains("baggage"));
}

TEST(UpstreamRequest, StaticFieldsWin) {
  Upstream upstream{.base_url = "https://a", .key = "k", .model = "m"};
  upstream.headers.add("authorization", "Special");
  upstream.headers.add("OpenAI-Organization", "org");
  const auto call = make_upstream_request(request(Api::Chat), upstream);
  EXPECT_EQ(call->headers.count("Authorization"), 1);
  EXPECT_EQ(call->headers.find("Authorization"), "Special");
  EXPECT_EQ(call->headers.find("OpenAI-Organization"), "org");
}

TEST(UpstreamRequest, SharesTheClientsBytes) {
  const std::string text = R"({"messages":[{"role":"user","content":")" +
                           std::string(100'000, 'x') +
                           R"("}],"session_id":"s","model":"openai/gpt-4o","stream":true})";
  auto shared = request(Api::Chat, text);
  const Upstream upstream{.base_url = "https://a", .model = "gpt-4o"};
  auto call = make_upstream_request(shared, upstream);
  EXPECT_EQ(joined(call->body),
            shared->parsed().splice({.model = "gpt-4o", .usage = StreamUsage::Ask}));
  const std::string_view own = shared->body();
  std::size_t copied = 0;
  for (const std::string_view piece : call->body.pieces) {
    const bool is_shared = piece.data() >= own.data() && piece.data() < own.data() + own.size();
    if (!is_shared) copied += piece.size();
  }
  EXPECT_EQ(copied, std::string_view(R"("gpt-4o","stream_options":{"include_usage":true})").size());
  const std::string expected = joined(call->body);
  shared = nullptr;
  EXPECT_EQ(joined(call->body), expected) << "the call keeps the request";
}

TEST(UpstreamRequest, TakesItsTimeoutsFromTheProvider) {
  const auto call = make_upstream_request(
      request(Api::Chat),
      {.base_url = "https://a",
       .timeouts = {.connect = {1}, .headers = {2}, .idle = {3}, .total = {4}}});
  EXPECT_EQ(call->connect_timeout, DurationMs{1});
  EXPECT_EQ(call->header_timeout, DurationMs{2});
  EXPECT_EQ(call->idle_timeout, DurationMs{3});
  EXPECT_EQ(call->total_timeout, DurationMs{4});
}

TEST(UpstreamRequest, RefusesWhatIsNoRequest) {
  EXPECT_EQ(InferenceRequest::parse(Api::Chat, "[]", {}).error().message,
            "the request body must be a JSON object");
}

TEST(UpstreamRequest, PassesTwoFieldsOfTheAnswerOn) {
  net::Headers upstream;
  upstream.add("X-Request-Id", "req_1");
  upstream.add("openai-processing-ms", "12");
  upstream.add("openai-organization", "org");
  upstream.add("Set-Cookie", "c");
  EXPECT_EQ(fields(passed_answer_headers(upstream)),
            (std::map<std::string, std::string>{{"X-Upstream-Request-Id", "req_1"},
                                                {"openai-processing-ms", "12"}}));
  EXPECT_TRUE(passed_answer_headers({}).fields().empty());
}

}  // namespace
}  // namespace gantry::gateway
