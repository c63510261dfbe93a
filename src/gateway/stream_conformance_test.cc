// The published cases with streams: what the provider is asked, what the client gets of the
// provider's events however they are cut into pieces, and the usage that is read beside. And the
// errors of all cases that end in one.

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/error_answer.h"
#include "gateway/request_splice.h"
#include "gateway/sse_reader.h"
#include "gateway/stream_reader.h"
#include "gateway/stream_translate.h"
#include "gateway/testing/broadcast_cases.h"
#include "gateway/token_estimate.h"

namespace gantry::gateway {
namespace {

using nlohmann::json;

std::vector<json> published_cases() {
  std::vector<json> cases;
  for (const std::string& name : testing::broadcast_case_names()) {
    cases.push_back(testing::read_broadcast_json(name).value());
  }
  return cases;
}

struct Played {
  std::vector<json> sent;  ///< Payloads that the client got.
  StreamState state = StreamState::Open;
  StreamedAnswer answer;
};

/// The provider's events through reader, translator and collector, in pieces of one size.
Played play(const json& events, const AnswerShape& options, std::size_t piece_bytes) {
  std::string bytes;
  for (const json& event : events) {
    bytes += "data: " + (event.is_string() ? event.get<std::string>() : event.dump()) + "\r\n\r\n";
  }
  Played played;
  SseReader upstream;
  StreamTranslator translator(options);
  StreamReader collector(options.api);
  std::string out;
  const auto drain = [&] {
    while (true) {
      const auto event = upstream.next();
      ASSERT_TRUE(event);
      if (!*event) return;
      collector.read(**event);
      translator.translate(**event, out);
    }
  };
  for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
    upstream.push(std::string_view(bytes).substr(at, piece_bytes));
    drain();
  }
  upstream.end();
  drain();
  played.state = translator.finish(out);
  played.answer = collector.answer();
  SseReader client;
  client.push(out);
  while (const auto event = *client.next()) {
    played.sent.push_back(event->data == "[DONE]" ? json("[DONE]") : json::parse(event->data));
  }
  return played;
}

/// Every member of `expected` is in `actual`, at all depths.
void expect_contains(const json& actual, const json& expected) {
  if (expected.is_object()) {
    for (const auto& [key, value] : expected.items()) {
      ASSERT_TRUE(actual.contains(key)) << key << " in " << actual;
      expect_contains(actual[key], value);
    }
  } else {
    EXPECT_EQ(actual, expected);
  }
}

bool has_usage(const json& payload) {
  return payload.is_object() && payload.contains("usage");
}

/// The attributes of the generation span, which say what the trace must learn.
json generation_attributes(const json& published) {
  for (const json& span : published["expect"]["spans"]) {
    const json& attributes = span["attributes"];
    if (attributes.contains("span.type") && attributes["span.type"]["value"] == "generation") {
      return attributes;
    }
  }
  return json::object();
}

void expect_usage(const Played& played, const json& attributes, const std::string& body) {
  if (!attributes.contains("gen_ai.usage.input_tokens")) return;
  if (attributes.contains("trace.metadata.gantry.usage_estimated")) {
    EXPECT_FALSE(played.answer.usage);
    const Usage usage =
        estimate_usage(estimate_input_tokens(Api::Chat, body), played.answer.output_bytes);
    EXPECT_GE(usage.input, 1);
    EXPECT_GE(usage.output, 1);
    return;
  }
  ASSERT_TRUE(played.answer.usage);
  EXPECT_EQ(attributes["gen_ai.usage.input_tokens"]["value"], played.answer.usage->input);
  EXPECT_EQ(attributes["gen_ai.usage.output_tokens"]["value"], played.answer.usage->output);
  EXPECT_EQ(attributes["gen_ai.usage.total_tokens"]["value"], played.answer.usage->total);
}

void expect_client_response(const Played& played, const json& expected) {
  if (expected.contains("last_event")) {
    // An error is the last event of the chunks; [DONE] follows it.
    const bool is_error = expected["last_event"].is_object();
    ASSERT_GE(played.sent.size(), 2U);
    expect_contains(played.sent[played.sent.size() - (is_error ? 2 : 1)], expected["last_event"]);
  }
  if (expected.contains("usage_chunk_forwarded")) {
    bool is_forwarded = false;
    for (const json& payload : played.sent) is_forwarded |= has_usage(payload);
    EXPECT_EQ(expected["usage_chunk_forwarded"], is_forwarded);
  }
}

void check_stream(const json& published) {
  const std::string body = published["client_request"]["body"].dump();
  const auto request = RequestBody::parse(body, Api::Chat);
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->fields().is_stream);
  const json client_response = published.value("client_response", json::object());
  const json upstream_request =
      json::parse(request->splice({.model = "gpt-4o", .usage = StreamUsage::Ask}));
  EXPECT_FALSE(upstream_request.contains("session_id"));
  if (client_response.contains("upstream_request_has")) {
    expect_contains(upstream_request, client_response["upstream_request_has"]);
  }
  const AnswerShape options{.generation_id = published["generation_id"].get<std::string>(),
                            .model = request->fields().model,
                            .created_unix_s = 1705312800,
                            .forwards_usage = request->fields().wants_usage};
  for (const std::size_t piece_bytes : {1UL, 7UL, 1UL << 20}) {
    const Played played = play(published["upstream"][0]["events"], options, piece_bytes);
    for (const json& payload : played.sent) {
      if (!payload.is_object()) continue;
      EXPECT_EQ(payload["id"], options.generation_id);
      EXPECT_EQ(payload["model"], options.model);
    }
    EXPECT_EQ(played.sent.back(), json("[DONE]"));
    expect_client_response(played, client_response);
    const json attributes = generation_attributes(published);
    EXPECT_EQ(played.state == StreamState::Failed, attributes.contains("error.type"));
    expect_usage(played, attributes, body);
  }
}

TEST(StreamConformance, AllStreams) {
  std::size_t count = 0;
  for (const json& published : published_cases()) {
    const json& upstream = published["upstream"];
    if (upstream.empty() || !upstream[0].contains("events")) continue;
    SCOPED_TRACE(published["id"].get<std::string>());
    check_stream(published);
    ++count;
  }
  EXPECT_GE(count, 5U);
}

/// What each attempt failed with, as the gateway learns it from the provider.
std::optional<TypedError> attempt_error(const json& upstream, const json& published) {
  if (upstream.contains("never_answers")) {
    return provider_timeout(published["gateway"]["header_timeout_ms"].get<std::int64_t>());
  }
  if (upstream["status"] == 200) return std::nullopt;
  const std::string body = upstream["body"].dump();
  return classify_upstream({.status = upstream["status"].get<int>(), .body = body});
}

TEST(StreamConformance, AllFailedAttempts) {
  std::size_t count = 0;
  for (const json& published : published_cases()) {
    SCOPED_TRACE(published["id"].get<std::string>());
    std::vector<FailedAttempt> failed;
    for (const json& upstream : published["upstream"]) {
      if (auto error = attempt_error(upstream, published)) failed.push_back({.error = *error});
    }
    if (failed.empty()) continue;
    ++count;
    std::vector<std::string> expected_types;
    for (const json& span : published["expect"]["spans"]) {
      const json& attributes = span["attributes"];
      if (attributes.contains("span.metadata.attempt_index") && attributes.contains("error.type")) {
        expected_types.push_back(attributes["error.type"]["value"].get<std::string>());
      }
    }
    std::vector<std::string> types;
    for (const FailedAttempt& attempt : failed) {
      types.emplace_back(error_word(attempt.error.type));
    }
    EXPECT_EQ(types, expected_types);
    const json response = published.value("client_response", json::object());
    if (!response.contains("error")) continue;
    const TypedError last = combine_attempts(failed);
    EXPECT_EQ(response["status"], http_status(last.type));
    expect_contains(json::parse(openai_error_body(last))["error"], response["error"]);
  }
  EXPECT_GE(count, 5U);
}

}  // namespace
}  // namespace gantry::gateway
