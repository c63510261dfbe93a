#include "gateway/attempt.h"

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "gateway/testing/provider.h"
#include "net/testing/streaming_peer.h"
#include "net/testing/test_server.h"

namespace gantry::gateway {
namespace {

using net::testing::Caller;
using net::testing::RawServer;
using net::testing::wait_until;
using testing::content_event;
using testing::kChatBody;
using testing::kChatStreamBody;
using testing::kEventsHead;
using testing::make_request;
using testing::transfer_chunk;
using testing::upstream_at;
using testing::whole_answer;
using testing::whole_stream;
using Peer = RawServer::Connection;

constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"Hi"},"finish_reason":"stop"}]})";

RunningAttempt::Options options(const RawServer& server, std::string_view body) {
  return {.request = make_request(body),
          .upstream = upstream_at(server),
          .shape = {.generation_id = "gen-1", .model = "openai/gpt-4o"},
          .stopwatch = Stopwatch(),
          .now_unix_s = 1'705'312'800};
}

/// One attempt; waits at most ten seconds for its outcome.
class Waiting {
 public:
  Waiting(net::StreamingClient& client, RunningAttempt::Options given)
      : attempt_(RunningAttempt::make(client, std::move(given),
                                      [promise = promise_](AttemptResult outcome) {
                                        promise->set_value(std::move(outcome));
                                      })) {
    attempt_->start();
  }

  [[nodiscard]] AttemptResult outcome() {
    auto future = promise_->get_future();
    if (future.wait_for(std::chrono::seconds(10)) != std::future_status::ready) {
      throw std::runtime_error("no outcome");
    }
    return future.get();
  }

  void cancel() { attempt_->cancel(); }

 private:
  std::shared_ptr<std::promise<AttemptResult>> promise_ =
      std::make_shared<std::promise<AttemptResult>>();
  std::shared_ptr<RunningAttempt> attempt_;
};

RawServer::Script answering(std::string bytes) {
  return [bytes = std::move(bytes)](Peer& connection, int) {
    connection.read_request();
    connection.send(bytes);
  };
}

TEST(RunningAttempt, GivesAWholeAnswer) {
  std::string sent;
  RawServer server([&](Peer& connection, int) {
    sent = connection.read_request();
    connection.send(whole_answer(200, kAnswer, "X-Request-Id: req_1\r\nServer: x\r\n"));
    connection.wait_for_end();
  });
  Caller caller;
  auto outcome = Waiting(caller.client(), options(server, kChatBody)).outcome();
  auto& whole = std::get<WholeOutcome>(outcome.result);
  EXPECT_EQ(whole.body, kAnswer);
  EXPECT_GE(whole.body.capacity(), whole.body.size() + net::kBodyPaddingBytes);
  EXPECT_EQ(whole.shaped,
            R"({"id":"gen-1","model":"openai/gpt-4o","choices":[{"index":0,"message":)"
            R"({"role":"assistant","content":"Hi"},"finish_reason":"stop"}]})");
  EXPECT_EQ(whole.headers.fields().size(), 1);
  EXPECT_EQ(whole.headers.find("X-Upstream-Request-Id"), "req_1");
  const Attempt& record = outcome.record;
  EXPECT_TRUE(record.is_ok);
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.provider_slug, "openai");
  EXPECT_EQ(record.server_address, "127.0.0.1");
  EXPECT_EQ(record.server_port, server.port());
  EXPECT_EQ(record.upstream_model, "gpt-4o");
  EXPECT_GE(record.sent_ms, 0);
  EXPECT_GT(record.headers_ms, record.sent_ms);
  EXPECT_GE(record.body_end_ms, record.headers_ms);
  EXPECT_FALSE(record.failed_ms);
  EXPECT_FALSE(record.first_token_ms);
  EXPECT_TRUE(sent.starts_with("POST /v1/chat/completions HTTP/1.1\r\n")) << sent;
  EXPECT_TRUE(sent.contains("Authorization: Bearer sk-1\r\n"));
  EXPECT_TRUE(sent.ends_with(R"({"model":"gpt-4o","messages":[{"role":"user",)"
                             R"("content":"Hello!"}]})"))
      << sent;
}

TEST(RunningAttempt, PassesMessagesAsTheyAre) {
  const std::string body = R"({"type":"message","id":"msg_1"})";
  RawServer server(answering(whole_answer(200, body)));
  Caller caller;
  auto given = options(server, kChatBody);
  given.request = make_request(kChatBody, Api::Messages);
  given.upstream.type = UpstreamType::Anthropic;
  auto outcome = Waiting(caller.client(), std::move(given)).outcome();
  const auto& whole = std::get<WholeOutcome>(outcome.result);
  EXPECT_EQ(whole.body, body);
  EXPECT_FALSE(whole.shaped);
}

TEST(RunningAttempt, GivesAStreamAtItsFirstEvent) {
  RawServer server([](Peer& connection, int) {
    connection.read_request();
    connection.send(std::string(kEventsHead) + transfer_chunk(": hello\n\n" + content_event("He")));
    connection.wait_for_end();
  });
  Caller caller;
  auto outcome = Waiting(caller.client(), options(server, kChatStreamBody)).outcome();
  auto& stream = std::get<StreamOutcome>(outcome.result);
  EXPECT_TRUE(outcome.record.is_ok);
  EXPECT_EQ(stream.headers.find("X-Upstream-Request-Id"), "req_1");
  const auto first = stream.events->next();
  ASSERT_TRUE(first && *first);
  EXPECT_TRUE((*first)->data.contains("\"content\":\"He\""));
  const auto second = stream.events->next();
  EXPECT_TRUE(second && !*second);
  EXPECT_FALSE(stream.events->has_ended());
}

struct FailureCase {
  std::string_view name;
  std::string_view body;
  std::string answer;
  FailureKind failure;
  ErrorType type;
  std::optional<int> status = 200;
};

class AttemptFailures : public ::testing::TestWithParam<FailureCase> {};

TEST_P(AttemptFailures, AreTold) {
  const FailureCase& given = GetParam();
  RawServer server(answering(given.answer));
  Caller caller;
  auto outcome = Waiting(caller.client(), options(server, given.body)).outcome();
  ASSERT_TRUE(std::holds_alternative<FailedOutcome>(outcome.result));
  const auto& failed = std::get<FailedOutcome>(outcome.result);
  EXPECT_EQ(failed.failure, given.failure);
  EXPECT_EQ(failed.error.type, given.type);
  EXPECT_EQ(failed.status, given.status);
  EXPECT_FALSE(outcome.record.is_ok);
  EXPECT_EQ(outcome.record.error_type, error_word(given.type));
  EXPECT_EQ(outcome.record.message, failed.error.message);
  EXPECT_EQ(outcome.record.status, given.status);
  EXPECT_NE(outcome.record.headers_ms.has_value(), outcome.record.failed_ms.has_value());
  wait_until([&] { return caller.client().counts().calls == 0; });
}

constexpr std::string_view kRateLimit =
    R"({"error":{"message":"slow","code":"rate_limit_exceeded"}})";
constexpr std::string_view kError200 = R"({"error":{"message":"busy","type":"overloaded_error"}})";

using enum FailureKind;

INSTANTIATE_TEST_SUITE_P(
    Answers, AttemptFailures,
    ::testing::Values(
        FailureCase{"rate_limit", kChatBody, whole_answer(429, kRateLimit), Status,
                    ErrorType::RateLimitExceeded, 429},
        FailureCase{"rate_limit_of_stream", kChatStreamBody, whole_answer(429, kRateLimit), Status,
                    ErrorType::RateLimitExceeded, 429},
        FailureCase{"bad_key", kChatBody, whole_answer(401, "{}"), Status,
                    ErrorType::ProviderUnavailable, 401},
        FailureCase{"redirect", kChatBody, whole_answer(302, ""), Status,
                    ErrorType::ProviderUnavailable, 302},
        FailureCase{"large_error", kChatBody, whole_answer(500, std::string(200'000, 'x')), Status,
                    ErrorType::Server, 500},
        FailureCase{"cut_error", kChatBody, "HTTP/1.1 503 X\r\nContent-Length: 99\r\n\r\n{\"err",
                    Status, ErrorType::ProviderOverloaded, 503},
        FailureCase{"error_with_200", kChatBody, whole_answer(200, kError200), ErrorBody,
                    ErrorType::ProviderOverloaded},
        FailureCase{"empty", kChatBody, whole_answer(200, ""), InvalidAnswer,
                    ErrorType::ProviderUnavailable},
        FailureCase{"no_object", kChatBody, whole_answer(200, "[]"), InvalidAnswer,
                    ErrorType::ProviderUnavailable},
        FailureCase{"cut_object", kChatBody, whole_answer(200, "{\"id\":"), InvalidAnswer,
                    ErrorType::ProviderUnavailable},
        FailureCase{"coded", kChatBody, whole_answer(200, kAnswer, "Content-Encoding: gzip\r\n"),
                    InvalidAnswer, ErrorType::ProviderUnavailable},
        FailureCase{"closed_without_answer", kChatBody, "", Connection,
                    ErrorType::ProviderUnavailable, std::nullopt},
        FailureCase{"not_http", kChatBody, "SSH-2.0\r\n\r\n", Connection,
                    ErrorType::ProviderUnavailable, std::nullopt},
        FailureCase{"closed_in_the_body", kChatBody,
                    "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", Connection,
                    ErrorType::ProviderUnavailable},
        FailureCase{"json_error_for_a_stream", kChatStreamBody,
                    whole_answer(200, kError200, "Content-Type: Application/JSON; a=b\r\n"),
                    ErrorBody, ErrorType::ProviderOverloaded},
        FailureCase{"json_error_named_events", kChatStreamBody, whole_stream(kError200), ErrorBody,
                    ErrorType::ProviderOverloaded},
        FailureCase{"whole_answer_for_a_stream", kChatStreamBody, whole_answer(200, kAnswer),
                    InvalidAnswer, ErrorType::ProviderUnavailable},
        FailureCase{"first_event_is_an_error", kChatStreamBody,
                    whole_stream("data: " + std::string(kError200) + "\n\n"), ErrorBody,
                    ErrorType::ProviderOverloaded},
        FailureCase{"first_event_is_named_error", kChatStreamBody,
                    whole_stream("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                                 "\"overloaded_error\",\"message\":\"m\"}}\n\n"),
                    ErrorBody, ErrorType::ProviderOverloaded},
        FailureCase{"first_event_is_a_failed_response", kChatStreamBody,
                    whole_stream("data: {\"type\":\"response.failed\",\"response\":{\"error\":"
                                 "{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}}\n\n"),
                    ErrorBody, ErrorType::RateLimitExceeded},
        FailureCase{"first_event_is_named_failed", kChatStreamBody,
                    whole_stream("event: response.failed\ndata: {\"response\":{}}\n\n"), ErrorBody,
                    ErrorType::ProviderUnavailable},
        FailureCase{"no_event", kChatStreamBody, whole_stream(": only this\n\n"), InvalidAnswer,
                    ErrorType::ProviderUnavailable},
        FailureCase{"only_the_end", kChatStreamBody, whole_stream("data: [DONE]\n\n"),
                    InvalidAnswer, ErrorType::ProviderUnavailable}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(RunningAttempt, KeepsRetryAfter) {
  RawServer server(answering(whole_answer(429, kRateLimit, "Retry-After: 7\r\n")));
  Caller caller;
  auto outcome = Waiting(caller.client(), options(server, kChatBody)).outcome();
  EXPECT_EQ(std::get<FailedOutcome>(outcome.result).error.retry_after_s, 7);
}

TEST(RunningAttempt, LimitsAnswers) {
  RawServer server(answering(whole_answer(200, kAnswer)));
  Caller caller;
  auto given = options(server, kChatBody);
  given.answer_bytes_max = kAnswer.size() - 1;
  auto outcome = Waiting(caller.client(), given).outcome();
  EXPECT_EQ(std::get<FailedOutcome>(outcome.result).failure, FailureKind::InvalidAnswer);
  given.answer_bytes_max = kAnswer.size();
  outcome = Waiting(caller.client(), given).outcome();
  EXPECT_TRUE(std::holds_alternative<WholeOutcome>(outcome.result));
}

TEST(RunningAttempt, TellsOfNoConnection) {
  auto server = std::make_unique<RawServer>([](Peer&, int) {});
  auto given = options(*server, kChatBody);
  server = nullptr;
  Caller caller;
  auto outcome = Waiting(caller.client(), std::move(given)).outcome();
  const auto& failed = std::get<FailedOutcome>(outcome.result);
  EXPECT_EQ(failed.failure, FailureKind::Connection);
  EXPECT_EQ(failed.call, net::CallFailure::Connect);
  EXPECT_GE(outcome.record.failed_ms, outcome.record.sent_ms);
}

TEST(RunningAttempt, TellsWhatItMayNotSend) {
  RawServer server(answering(""));
  Caller caller;
  auto given = options(server, kChatBody);
  given.upstream.type = UpstreamType::Anthropic;
  auto outcome = Waiting(caller.client(), given).outcome();
  EXPECT_EQ(std::get<FailedOutcome>(outcome.result).failure, FailureKind::NotSent);
  given.upstream.type = UpstreamType::OpenAi;
  given.upstream.base_url = "http://10.1.2.3/v1";
  outcome = Waiting(caller.client(), given).outcome();
  EXPECT_EQ(std::get<FailedOutcome>(outcome.result).failure, FailureKind::NotSent);
  EXPECT_EQ(server.connection_count(), 0);
}

TEST(RunningAttempt, TimesOutWithoutAHeader) {
  RawServer server([](Peer& connection, int) { connection.wait_for_end(); });
  Caller caller;
  auto given = options(server, kChatStreamBody);
  given.upstream.timeouts.headers = {50};
  auto outcome = Waiting(caller.client(), std::move(given)).outcome();
  const auto& failed = std::get<FailedOutcome>(outcome.result);
  EXPECT_EQ(failed.failure, FailureKind::Timeout);
  EXPECT_EQ(failed.error.type, ErrorType::Timeout);
  EXPECT_EQ(failed.error.message, "Provider did not answer in 50 ms");
  EXPECT_GE(*outcome.record.failed_ms - outcome.record.sent_ms, 50);
  EXPECT_FALSE(outcome.record.status);
}

TEST(RunningAttempt, CommentsAreNoProgress) {
  RawServer server([](Peer& connection, int) {
    connection.read_request();
    connection.send(kEventsHead);
    while (connection.send(transfer_chunk(": working\n\n"))) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  Caller caller;
  auto given = options(server, kChatStreamBody);
  given.upstream.timeouts.idle = {100};
  auto outcome = Waiting(caller.client(), std::move(given)).outcome();
  const auto& failed = std::get<FailedOutcome>(outcome.result);
  EXPECT_EQ(failed.call, net::CallFailure::IdleTimeout);
  EXPECT_EQ(failed.error.message, "Provider was silent for 100 ms");
}

TEST(RunningAttempt, MayBeCancelledBeforeItsStart) {
  RawServer server([](Peer& connection, int) { connection.wait_for_end(); });
  Caller caller;
  std::promise<AttemptResult> outcome;
  const auto attempt =
      RunningAttempt::make(caller.client(), options(server, kChatBody),
                           [&](AttemptResult given) { outcome.set_value(std::move(given)); });
  attempt->cancel();
  attempt->start();
  const AttemptResult given = outcome.get_future().get();
  EXPECT_EQ(std::get<FailedOutcome>(given.result).failure, FailureKind::Cancelled);
  wait_until([&] { return caller.client().counts().calls == 0; });
}

class AttemptCancel : public ::testing::TestWithParam<std::string_view> {};

TEST_P(AttemptCancel, ClosesTheConnectionAtOnce) {
  std::promise<void> is_waiting;
  std::promise<void> is_closed;
  RawServer server([&](Peer& connection, int) {
    connection.read_request();
    connection.send(GetParam());
    is_waiting.set_value();
    connection.wait_for_end();
    is_closed.set_value();
  });
  Caller caller;
  const bool is_stream = GetParam().contains("text/event-stream");
  Waiting attempt(caller.client(), options(server, is_stream ? kChatStreamBody : kChatBody));
  is_waiting.get_future().wait();
  attempt.cancel();
  auto outcome = attempt.outcome();
  const auto& failed = std::get<FailedOutcome>(outcome.result);
  EXPECT_EQ(failed.failure, FailureKind::Cancelled);
  EXPECT_EQ(failed.error.type, ErrorType::ClientDisconnected);
  // Much sooner than any time-out.
  EXPECT_EQ(is_closed.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

INSTANTIATE_TEST_SUITE_P(Moments, AttemptCancel,
                         ::testing::Values("", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
                                           "HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\n{",
                                           kEventsHead));

}  // namespace
}  // namespace gantry::gateway
