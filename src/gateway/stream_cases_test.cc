// The published cases with a client's answer, from a provider's socket to a client's.

#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/testing/broadcast_cases.h"
#include "gateway/testing/provider.h"
#include "gateway/testing/relay.h"

namespace gantry::gateway {
namespace {

using net::testing::RawClient;
using net::testing::RawResponse;
using nlohmann::json;
using testing::payloads;
using testing::Relay;
using testing::whole_answer;
using testing::whole_stream;
using Peer = net::testing::RawServer::Connection;

/// Every member of `expected` is in `actual`, at all depths.
bool is_within(const json& expected, const json& actual) {
  if (!expected.is_object()) return expected == actual;
  for (const auto& [key, value] : expected.items()) {
    if (!actual.contains(key) || !is_within(value, actual[key])) return false;
  }
  return true;
}

void expect_client_response(const json& expected, const RawResponse& answer) {
  EXPECT_EQ(answer.status, expected.value("status", 200));
  if (expected.contains("error")) {
    EXPECT_TRUE(is_within(expected["error"], json::parse(answer.body, nullptr, false)["error"]))
        << answer.body;
    return;
  }
  const auto all = payloads(answer.body);
  ASSERT_GE(all.size(), 2U) << answer.body;
  if (expected.contains("last_event")) {
    // An error is the last event of the chunks; [DONE] follows it.
    const bool is_error = expected["last_event"].is_object();
    EXPECT_TRUE(is_within(expected["last_event"], all[all.size() - (is_error ? 2 : 1)]))
        << answer.body;
  }
  if (expected.contains("usage_chunk_forwarded")) {
    bool is_forwarded = false;
    for (const json& payload : all)
      is_forwarded |= payload.is_object() && payload.contains("usage");
    EXPECT_EQ(expected["usage_chunk_forwarded"], is_forwarded);
  }
}

std::string answer_of(const json& upstream) {
  if (!upstream.contains("events")) {
    return whole_answer(upstream["status"].get<int>(), upstream["body"].dump());
  }
  std::string events;
  for (const json& event : upstream["events"]) {
    events += "data: " + (event.is_string() ? event.get<std::string>() : event.dump()) + "\n\n";
  }
  return whole_stream(events);
}

void play(const json& published) {
  const json& upstream = published["upstream"];
  std::string asked;
  std::size_t answer_count = 0;  // of one connection after the other
  json body = published["client_request"]["body"];
  body["stream"] = true;
  Relay relay({.script =
                   [&](Peer& connection, int) {
                     // Attempts share a connection where they can.
                     for (std::string one; !(one = connection.read_request()).empty();) {
                       asked = one;
                       const json& answer = upstream[answer_count++];
                       if (!answer.contains("never_answers")) connection.send(answer_of(answer));
                     }
                   },
               .candidate_count = static_cast<int>(upstream.size()),
               .timeouts = {.headers = {published.contains("gateway") ? 50 : 60'000}}});
  RawClient client(relay.port());
  client.send(Relay::request("/v1/chat/completions", body.dump()));
  const RawResponse answer = client.receive();
  json expected = published.value("client_response", json::object());
  if (published.contains("gateway")) {
    // Nobody waits for ten seconds.
    expected["error"]["message"] = "Provider did not answer in 50 ms";
  }
  expect_client_response(expected, answer);
  if (expected.contains("upstream_request_has")) {
    const json sent = json::parse(asked.substr(asked.find("\r\n\r\n")));
    EXPECT_TRUE(is_within(expected["upstream_request_has"], sent)) << sent;
  }
  const Generation generation = relay.generations(1)[0];
  const Generation reference = testing::generation_of(published);
  EXPECT_EQ(generation.error_type, reference.error_type);
  EXPECT_EQ(generation.finish_reasons, reference.finish_reasons);
  EXPECT_EQ(generation.completion.json, reference.completion.json);
  EXPECT_EQ(generation.attempts.size(), reference.attempts.size());
  if (!reference.usage) return;
  ASSERT_TRUE(generation.usage);
  EXPECT_EQ(generation.usage->total, reference.usage->total);
  EXPECT_EQ(generation.usage->is_estimated, reference.usage->is_estimated);
}

TEST(StreamCases, GivesClientsWhatThePublishedCasesSay) {
  std::size_t count = 0;
  for (const std::string& name : testing::broadcast_case_names()) {
    const json published = testing::read_broadcast_json(name).value();
    const json& upstream = published["upstream"];
    // Streams, and failures, which come before any byte of a stream.
    const bool is_played = !upstream.empty() && (upstream.back().contains("events") ||
                                                 published.contains("client_response"));
    if (!is_played) continue;
    SCOPED_TRACE(name);
    play(published);
    ++count;
  }
  EXPECT_GE(count, 7U);
}

}  // namespace
}  // namespace gantry::gateway
