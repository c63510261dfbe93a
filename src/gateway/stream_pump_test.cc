#include "gateway/stream_pump.h"

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/testing/provider.h"
#include "gateway/testing/relay.h"

namespace gantry::gateway {
namespace {

using net::testing::RawClient;
using net::testing::RawResponse;
using net::testing::wait_until;
using nlohmann::json;
using testing::content_event;
using testing::kChatStreamBody;
using testing::kEventsHead;
using testing::kLastChunk;
using testing::last_events;
using testing::payloads;
using testing::Relay;
using testing::transfer_chunk;
using testing::whole_answer;
using testing::whole_stream;
using Peer = net::testing::RawServer::Connection;
using Steady = std::chrono::steady_clock;

const std::string kAsk = Relay::request("/v1/chat/completions", kChatStreamBody);

bool receives(RawClient& client, std::string_view text) {
  std::string all;
  while (!all.contains(text)) {
    const std::string some = client.receive_some();
    if (some.empty()) return false;
    all += some;
  }
  return true;
}

std::string content_of(const std::vector<json>& payloads) {
  std::string content;
  for (const json& payload : payloads) {
    if (!payload.is_object() || payload["choices"].empty()) continue;
    content += payload["choices"][0]["delta"].value("content", "");
  }
  return content;
}

/// The error that ends a stream, before [DONE].
json last_error(const RawResponse& answer) {
  const auto all = payloads(answer.body);
  if (all.size() < 2 || all.back() != "[DONE]") return "no end: " + answer.body;
  return all[all.size() - 2].value("error", json());
}

net::testing::RawServer::Script serving(std::string answer) {
  return [answer = std::move(answer)](Peer& connection, int) {
    while (!connection.read_request().empty()) connection.send(answer);
  };
}

RawResponse ask(Relay& relay, const std::string& request = kAsk) {
  RawClient client(relay.port());
  client.send(request);
  return client.receive();
}

TEST(StreamPump, PassesAStreamOn) {
  Relay relay({.script = serving(
                   whole_stream(content_event("Hel") + content_event("lo!") + last_events()))});
  const RawResponse answer = ask(relay);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.is_complete);
  EXPECT_EQ(answer.field("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(answer.field("cache-control"), "no-cache");
  EXPECT_EQ(answer.field("x-accel-buffering"), "no");
  EXPECT_EQ(answer.field("x-generation-id"), "gen-1");
  EXPECT_EQ(answer.field("x-upstream-request-id"), "req_1");
  const auto all = payloads(answer.body);
  EXPECT_EQ(content_of(all), "Hello!");
  EXPECT_EQ(all.back(), "[DONE]");
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    EXPECT_EQ(all[i]["id"], "gen-1");
    EXPECT_EQ(all[i]["model"], "openai/gpt-4o");
    EXPECT_FALSE(all[i].contains("usage"));
  }
  const Generation generation = relay.generations(1)[0];
  EXPECT_TRUE(generation.is_ok);
  EXPECT_EQ(generation.upstream_id, "chatcmpl-1");
  EXPECT_EQ(generation.finish_reason, "stop");
  EXPECT_EQ(generation.usage->input, 11);
  EXPECT_EQ(generation.usage->output, 3);
  EXPECT_EQ(json::parse(generation.completion.json)["completion"], "Hello!");
  const Attempt& attempt = generation.attempts.at(0);
  EXPECT_TRUE(attempt.is_ok);
  EXPECT_GT(attempt.headers_ms, attempt.sent_ms);
  EXPECT_GE(attempt.first_token_ms, attempt.headers_ms);
  EXPECT_GE(attempt.body_end_ms, attempt.first_token_ms);
  EXPECT_GE(generation.end_ms, attempt.body_end_ms);
  EXPECT_EQ(relay.results(1)[0].end, StreamEnd::Completed);
  int waits = 0;
  generation.chunk_times.each([&](double) { ++waits; });
  EXPECT_EQ(waits, 1) << "for the second of two chunks; the last events bring no output";
}

struct Framing {
  std::string_view name;
  std::string_view line_end;
  std::string_view head;
  bool is_chunked = false;
};

class StreamPumpFraming : public ::testing::TestWithParam<Framing> {};

TEST_P(StreamPumpFraming, DoesNotMatter) {
  const Framing& framing = GetParam();
  std::string events;
  for (const char c : ": hi\n\n" + content_event("Gr\u00fc\u00dfe") + last_events()) {
    c == '\n' ? events += framing.line_end : events += c;
  }
  for (const std::size_t piece_bytes : {1UL, 7UL, 1UL << 20}) {
    Relay relay({.script = [&](Peer& connection, int) {
      connection.read_request();
      std::string head(framing.head);
      if (const auto at = head.find("LENGTH"); at != std::string::npos) {
        head.replace(at, 6, std::to_string(events.size()));
      }
      connection.send(head);
      for (std::size_t at = 0; at < events.size(); at += piece_bytes) {
        const std::string piece = events.substr(at, piece_bytes);
        connection.send(framing.is_chunked ? transfer_chunk(piece) : piece);
      }
      if (framing.is_chunked) connection.send(kLastChunk);
    }});
    const auto all = payloads(ask(relay).body);
    EXPECT_EQ(content_of(all), "Gr\u00fc\u00dfe");
    EXPECT_EQ(all.size(), 3U);
    EXPECT_EQ(relay.generations(1)[0].usage->total, 14);
  }
}

constexpr std::string_view kWithLength = "HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n\r\n";
constexpr std::string_view kUpToTheEnd =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

INSTANTIATE_TEST_SUITE_P(Framings, StreamPumpFraming,
                         ::testing::Values(Framing{"chunks", "\n", kEventsHead, true},
                                           Framing{"chunks_crlf", "\r\n", kEventsHead, true},
                                           Framing{"chunks_cr", "\r", kEventsHead, true},
                                           Framing{"length", "\n", kWithLength},
                                           Framing{"up_to_the_end_crlf", "\r\n", kUpToTheEnd}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(StreamPump, EndsWhereTheProviderForgetsTo) {
  std::string events = content_event("Hi") + last_events();
  events.resize(events.find("data: [DONE]") - 1);  // no blank line either
  Relay relay({.script = serving(whole_stream(events))});
  const auto all = payloads(ask(relay).body);
  EXPECT_EQ(all.back(), "[DONE]");
  EXPECT_EQ(relay.generations(1)[0].usage->total, 14);
  EXPECT_TRUE(relay.generations(1)[0].is_ok);
}

TEST(StreamPump, PassesEachEventOnAtOnce) {
  std::array<std::latch, 3> go{std::latch(1), std::latch(1), std::latch(1)};
  Relay relay({.script = [&](Peer& connection, int) {
    connection.read_request();
    connection.send(kEventsHead);
    for (std::size_t i = 0; i < go.size(); ++i) {
      go[i].wait();
      connection.send(transfer_chunk(content_event("event " + std::to_string(i))));
    }
    connection.wait_for_end();
  }});
  RawClient client(relay.port());
  client.send(kAsk);
  for (std::size_t i = 0; i < go.size(); ++i) {
    go[i].count_down();
    EXPECT_TRUE(receives(client, "event " + std::to_string(i)));
  }
}

TEST(StreamPump, UsesTheConnectionAgain) {
  Relay relay({.script = serving(whole_stream(content_event("Hi") + last_events()))});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(ask(relay).is_complete);
    wait_until([&] { return relay.client().counts().idle_connections == 1; });
  }
  EXPECT_EQ(relay.connection_count(), 1);
}

TEST(StreamPump, ReadsNoFasterThanTheClient) {
  constexpr std::size_t kEvents = 512;
  const std::string event = content_event(std::string(60'000, 's'));
  std::atomic<std::size_t> sent = 0;
  Relay relay({.script = [&](Peer& connection, int) {
    connection.read_request();
    connection.send(kEventsHead);
    for (; sent < kEvents && connection.send(transfer_chunk(event)); ++sent) {
    }
    connection.send(transfer_chunk(last_events()) + std::string(kLastChunk));
    connection.wait_for_end();
  }});
  RawClient client(relay.port());
  client.send(kAsk);
  std::size_t before = 0;
  auto since = Steady::now();
  wait_until([&] {
    if (sent == 0 || sent != before) since = Steady::now();
    before = sent;
    return Steady::now() - since > std::chrono::milliseconds(200);
  });
  EXPECT_LT(sent, kEvents) << "30 MB in sockets and buffers";
  const RawResponse answer = client.receive();
  EXPECT_TRUE(answer.is_complete);
  EXPECT_GT(answer.body.size(), kEvents * 60'000);
  EXPECT_TRUE(answer.body.ends_with("data: [DONE]\n\n"));
  const Generation generation = relay.generations(1)[0];
  EXPECT_TRUE(generation.is_ok);
  EXPECT_TRUE(generation.completion.is_cut);
}

enum class Moment : std::uint8_t { Headers, FirstEvent, Middle, SlowClient };

class StreamPumpLeave : public ::testing::TestWithParam<Moment> {};

TEST_P(StreamPumpLeave, ClosesTheUpstreamAtOnce) {
  std::promise<void> is_waiting;
  std::promise<void> is_closed;
  Relay relay({.script = [&](Peer& connection, int) {
    connection.read_request();
    if (GetParam() != Moment::Headers) connection.send(kEventsHead);
    if (GetParam() == Moment::Middle) connection.send(transfer_chunk(content_event("Hel")));
    if (GetParam() == Moment::SlowClient) {
      const std::string chunk = transfer_chunk(content_event(std::string(60'000, 's')));
      std::string many;
      for (int i = 0; i < 1000; ++i) many += chunk;
      is_waiting.set_value();
      connection.send(many);
    } else {
      is_waiting.set_value();
    }
    connection.wait_for_end();
    is_closed.set_value();
  }});
  RawClient client(relay.port());
  if (GetParam() == Moment::SlowClient) client.set_receive_buffer(4096);
  client.send(kAsk);
  is_waiting.get_future().wait();
  if (GetParam() == Moment::Middle) EXPECT_TRUE(receives(client, "Hel"));
  if (GetParam() == Moment::SlowClient) EXPECT_FALSE(client.receive_some().empty());
  client.reset();
  // Much sooner than any time-out of the gateway.
  EXPECT_EQ(is_closed.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  const Generation generation = relay.generations(1)[0];
  EXPECT_TRUE(generation.is_cancelled);
  EXPECT_EQ(generation.error_type, "client_disconnected");
  if (GetParam() == Moment::Middle) {
    EXPECT_EQ(json::parse(generation.completion.json)["completion"], "Hel");
    EXPECT_TRUE(generation.usage->is_estimated);
    EXPECT_EQ(relay.results(1)[0].end, StreamEnd::ClientLeft);
  }
  wait_until([&] { return relay.client().counts().calls == 0; });
}

std::string moment_name(const ::testing::TestParamInfo<Moment>& info) {
  constexpr std::array kNames{"Headers", "FirstEvent", "Middle", "SlowClient"};
  return kNames[static_cast<std::size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Moments, StreamPumpLeave,
                         ::testing::Values(Moment::Headers, Moment::FirstEvent, Moment::Middle,
                                           Moment::SlowClient),
                         moment_name);

TEST(StreamPump, CutsAClientThatIsStuck) {
  Relay relay({.script =
                   [](Peer& connection, int) {
                     connection.read_request();
                     connection.send(kEventsHead);
                     const std::string chunk =
                         transfer_chunk(content_event(std::string(60'000, 's')));
                     while (connection.send(chunk)) {
                     }
                   },
               .write_timeout = {100}});
  RawClient client(relay.port());
  client.set_receive_buffer(4096);
  client.send(kAsk);
  EXPECT_EQ(relay.results(1)[0].end, StreamEnd::ClientTooSlow);
  EXPECT_TRUE(relay.generations(1)[0].is_cancelled);
}

TEST(StreamPump, StopsWithTheServer) {
  Relay relay({.script = [](Peer& connection, int) {
    connection.read_request();
    connection.send(std::string(kEventsHead) + transfer_chunk(content_event("Hel")));
    connection.wait_for_end();
  }});
  RawClient client(relay.port());
  client.send(kAsk);
  EXPECT_TRUE(receives(client, "Hel"));
  relay.server().server().stop({10});
  EXPECT_EQ(relay.results(1)[0].end, StreamEnd::Stopped);
  wait_until([&] { return relay.client().counts().calls == 0; });
}

struct BreakCase {
  std::string_view name;
  std::string rest;
  std::string type;
  std::string message;
};

class StreamPumpBreak : public ::testing::TestWithParam<BreakCase> {};

TEST_P(StreamPumpBreak, IsTheStreamsLastEvent) {
  const BreakCase& given = GetParam();
  Relay relay({.script = [&](Peer& connection, int) {
    connection.read_request();
    connection.send(std::string(kEventsHead) + transfer_chunk(content_event("Hel")) + given.rest);
  }});
  const RawResponse answer = ask(relay);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.is_complete);
  const json error = last_error(answer);
  EXPECT_EQ(error["message"], given.message);
  EXPECT_EQ(error["metadata"]["error_type"], given.type);
  const auto all = payloads(answer.body);
  EXPECT_EQ(all[all.size() - 2]["choices"][0]["finish_reason"], "error");
  EXPECT_EQ(content_of(all), "Hel");
  const Generation generation = relay.generations(1)[0];
  EXPECT_FALSE(generation.is_ok);
  EXPECT_FALSE(generation.is_cancelled);
  EXPECT_EQ(generation.error_type, given.type);
  EXPECT_TRUE(generation.attempts.at(0).is_ok);
  EXPECT_TRUE(generation.usage->is_estimated);
  EXPECT_EQ(relay.results(1)[0].end, StreamEnd::ProviderFailed);
}

INSTANTIATE_TEST_SUITE_P(
    Breaks, StreamPumpBreak,
    ::testing::Values(
        BreakCase{"closed_between_events", "", "provider_unavailable", "Provider disconnected"},
        BreakCase{"closed_in_an_event", "20\r\ndata: {\"id\":", "provider_unavailable",
                  "Provider disconnected"},
        BreakCase{"ended_in_an_event", transfer_chunk("data: {\"id\":") + "0\r\n\r\n",
                  "provider_unavailable", "Provider disconnected"},
        BreakCase{"ended_without_reason", "0\r\n\r\n", "provider_unavailable",
                  "Provider disconnected"},
        BreakCase{"error_event",
                  transfer_chunk("data: {\"error\":{\"code\":502,\"message\":\"reset\"}}\n\n"),
                  "provider_unavailable", "Provider disconnected"},
        BreakCase{"overloaded",
                  transfer_chunk(
                      "data: {\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n"),
                  "provider_overloaded", "Provider returned error"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(StreamPump, TimesOutWhenTheProviderHangs) {
  Relay relay({.script =
                   [](Peer& connection, int) {
                     connection.read_request();
                     connection.send(std::string(kEventsHead) +
                                     transfer_chunk(content_event("Hel")));
                     while (connection.send(transfer_chunk(": working\n\n"))) {
                       std::this_thread::sleep_for(std::chrono::milliseconds(5));
                     }
                   },
               .timeouts = {.idle = {100}}});
  const json error = last_error(ask(relay));
  EXPECT_EQ(error["code"], 504);
  EXPECT_EQ(error["message"], "Provider was silent for 100 ms");
  EXPECT_EQ(error["metadata"]["error_type"], "timeout");
}

TEST(StreamPump, TimesOutWhenTheProviderGoesOnForEver) {
  Relay relay({.script =
                   [](Peer& connection, int) {
                     connection.read_request();
                     connection.send(kEventsHead);
                     while (connection.send(transfer_chunk(content_event("x")))) {
                       std::this_thread::sleep_for(std::chrono::milliseconds(5));
                     }
                   },
               .timeouts = {.total = {200}}});
  EXPECT_EQ(last_error(ask(relay))["message"], "Provider did not finish in 200 ms");
}

TEST(StreamPump, TellsASilentClientThatThereIsWork) {
  std::promise<void> go;
  Relay relay({.script =
                   [&](Peer& connection, int) {
                     connection.read_request();
                     go.get_future().wait();
                     connection.send(whole_stream(content_event("Hi") + last_events()));
                     connection.wait_for_end();
                   },
               .keep_alive = {20}});
  RawClient client(relay.port());
  client.send(kAsk);
  std::string all;
  while (!all.contains(": GANTRY PROCESSING\n\n")) {
    const std::string some = client.receive_some();
    ASSERT_FALSE(some.empty());
    all += some;
  }
  EXPECT_TRUE(all.starts_with("HTTP/1.1 200 OK\r\n"));
  go.set_value();
  EXPECT_TRUE(receives(client, "data: [DONE]\n\n"));
  EXPECT_EQ(relay.results(1)[0].end, StreamEnd::Completed);
}

TEST(StreamPump, TellsOfFailuresInTheStreamOnceItHasBegun) {
  std::promise<void> go;
  Relay relay({.script =
                   [&](Peer& connection, int) {
                     connection.read_request();
                     go.get_future().wait();
                     connection.send(whole_answer(429, "{}"));
                   },
               .keep_alive = {20}});
  RawClient client(relay.port());
  client.send(kAsk);
  std::string all;
  while (!all.contains(": GANTRY PROCESSING\n\n")) {
    const std::string some = client.receive_some();
    ASSERT_FALSE(some.empty());
    all += some;
  }
  go.set_value();
  while (!all.contains("data: [DONE]\n\n")) {
    const std::string some = client.receive_some();
    ASSERT_FALSE(some.empty());
    all += some;
  }
  EXPECT_TRUE(all.contains(R"("error_type":"rate_limit_exceeded")")) << all;
  EXPECT_EQ(relay.generations(1)[0].error_type, "rate_limit_exceeded");
}

TEST(StreamPump, GivesErrorsBeforeTheFirstEventTheirStatus) {
  Relay relay(
      {.script = serving(whole_answer(200, R"({"error":{"type":"overloaded_error","message":"m"}})",
                                      "Content-Type: application/json\r\n"))});
  const RawResponse answer = ask(relay);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.field("x-generation-id"), "gen-1");
  EXPECT_EQ(json::parse(answer.body)["error"]["metadata"]["error_type"], "provider_overloaded");
}

TEST(StreamPump, ComesAfterAttemptsThatFailed) {
  std::atomic<std::size_t> answer_count = 0;
  const std::array failures = {whole_answer(429, "{}"),
                               whole_answer(200, R"({"error":{"message":"m"}})"),
                               whole_stream(R"(data: {"error":{"message":"m"}})"
                                            "\n\n"),
                               std::string()};
  Relay relay({.script =
                   [&](Peer& connection, int) {
                     // Attempts share a connection where they can.
                     while (!connection.read_request().empty()) {
                       const std::size_t at = answer_count++;
                       if (at < failures.size() && failures[at].empty()) return;
                       connection.send(at < failures.size()
                                           ? failures[at]
                                           : whole_stream(content_event("Hi") + last_events()));
                     }
                   },
               .candidate_count = 5});
  EXPECT_EQ(content_of(payloads(ask(relay).body)), "Hi");
  const Generation generation = relay.generations(1)[0];
  ASSERT_EQ(generation.attempts.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(generation.attempts[i].is_ok, i == 4);
}

TEST(StreamPump, PassesMessagesOnAsTheyCome) {
  const std::string events =
      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","
      "\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\n"
      "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
      "{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n"
      "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
      "\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n"
      "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
  Relay relay({.script = serving(whole_stream(events))});
  EXPECT_EQ(ask(relay, Relay::request("/v1/messages", kChatStreamBody)).body, events);
  const Generation generation = relay.generations(1)[0];
  EXPECT_EQ(generation.usage->input, 7);
  EXPECT_EQ(generation.usage->output, 4);
  EXPECT_TRUE(generation.is_ok);
}

TEST(StreamPump, CarriesManyAtOnce) {
  constexpr int kCount = 200;
  std::string events;
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    events += content_event(std::to_string(i) + " ");
    expected += std::to_string(i) + " ";
  }
  Relay relay({.script = serving(whole_stream(events + last_events()))});
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < kCount; ++i) {
    clients.push_back(std::make_unique<RawClient>(relay.port()));
    clients.back()->send(kAsk);
  }
  for (const auto& client : clients) {
    EXPECT_EQ(content_of(payloads(client->receive().body)), expected);
  }
  for (const StreamResult& result : relay.results(kCount)) {
    EXPECT_EQ(result.end, StreamEnd::Completed);
  }
}

}  // namespace
}  // namespace gantry::gateway
