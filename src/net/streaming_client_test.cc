// The streaming client against a server that sends exactly what a test says.

#include "net/streaming_client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <latch>
#include <thread>

#include <gtest/gtest.h>

#include "net/testing/raw_server.h"
#include "net/testing/streaming_peer.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

using testing::Caller;
using testing::failure_of;
using testing::RawServer;
using testing::wait_until;
using testing::WaitingCall;
using Connection = RawServer::Connection;

constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
constexpr std::string_view kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr DurationMs kShort{50};

/// Answers every request of every connection in the same way.
RawServer::Script answer_all(std::string_view answer) {
  return [answer](Connection& connection, int) {
    while (!connection.read_request().empty()) connection.send(answer);
  };
}

TEST(StreamingClient, SendsWhatItIsTold) {
  std::promise<std::string> received;
  RawServer server([&](Connection& connection, int) {
    received.set_value(connection.read_request());
    connection.send(kHello);
  });
  Caller caller;
  CallRequest request{.method = "POST", .url = caller.url(server, "/v1/chat?key=value")};
  request.headers.add("Content-Type", "application/json");
  request.headers.add("Content-Length", "99");
  request.headers.add("Connection", "upgrade");
  const auto owner = std::make_shared<const std::string>(R"({"model":"x"})");
  request.body = {.pieces = {std::string_view(*owner).substr(0, 9), R"("spliced"})"},
                  .owner = owner};
  WaitingCall call(caller.client(), std::move(request));
  ASSERT_TRUE(call.head());
  EXPECT_EQ(call.head()->status, 200);
  EXPECT_EQ(call.head()->headers.find("content-length"), "5");
  EXPECT_FALSE(call.head()->is_reused_connection);
  EXPECT_EQ(call.rest(), "hello");
  EXPECT_EQ(received.get_future().get(),
            "POST /v1/chat?key=value HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                "\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
                R"({"model":"spliced"})");
}

TEST(StreamingClient, GivesEachPieceWhenItComes) {
  std::array<std::latch, 2> go{std::latch(1), std::latch(1)};
  RawServer server([&](Connection& connection, int) {
    connection.read_request();
    connection.send(kChunked);
    go[0].wait();
    connection.send("9\r\ndata: 1\n\n\r\n9\r\nda");
    go[1].wait();
    connection.send("ta: 2\n\n\r\n0\r\n\r\n");
    connection.wait_for_end();
  });
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server)});
  ASSERT_TRUE(call.head());
  go[0].count_down();
  std::string text;
  while (text.size() < 11) text += call.next().value();
  EXPECT_EQ(text, "data: 1\n\nda");
  go[1].count_down();
  EXPECT_EQ(call.rest(), "ta: 2\n\n");
}

struct FramingCase {
  std::string_view name, answer, body;
  bool is_kept = false;
  std::string_view method = "GET";
};

class StreamingClientFraming : public ::testing::TestWithParam<FramingCase> {};

TEST_P(StreamingClientFraming, KnowsTheEnd) {
  const FramingCase& framing = GetParam();
  for (const std::size_t cut : {0UZ, 20UZ, framing.answer.size() - 3}) {
    RawServer server([&](Connection& connection, int) {
      while (!connection.read_request().empty()) {
        connection.send(framing.answer.substr(0, cut));
        connection.send(framing.answer.substr(cut));
        if (!framing.is_kept) return;
      }
    });
    Caller caller;
    for (const bool is_second : {false, true}) {
      WaitingCall call(caller.client(),
                       {.method = std::string(framing.method), .url = caller.url(server)});
      ASSERT_TRUE(call.head()) << call.head().error().error.message;
      EXPECT_EQ(call.rest(), framing.body);
      EXPECT_EQ(call.head()->is_reused_connection, is_second && framing.is_kept);
    }
    EXPECT_EQ(server.connection_count(), framing.is_kept ? 1 : 2);
  }
}

std::string framing_name(const ::testing::TestParamInfo<FramingCase>& info) {
  return std::string(info.param.name);
}

INSTANTIATE_TEST_SUITE_P(
    Answers, StreamingClientFraming,
    ::testing::Values(
        FramingCase{"length", kHello, "hello", true},
        FramingCase{"chunked",
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                    "hello", true},
        FramingCase{"to_the_end", "HTTP/1.1 200 OK\r\n\r\nhello", "hello"},
        FramingCase{"close",
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
                    "hello"},
        FramingCase{"empty", "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "", true},
        FramingCase{"no_content", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
        FramingCase{"head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "", true, "HEAD"},
        FramingCase{"interim",
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                    "hi", true}),
    framing_name);

TEST(StreamingClient, MovesLargeBodiesBothWays) {
  const std::string large(8 << 20, 'L');
  RawServer server([&](Connection& connection, int) {
    const std::string request = connection.read_request();
    EXPECT_TRUE(request.ends_with(large));
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(large.size()) +
                    "\r\n\r\n");
    connection.send(large);
  });
  Caller caller;
  WaitingCall call(caller.client(),
                   {.method = "POST", .url = caller.url(server), .body = CallBody::from(large)});
  EXPECT_EQ(call.rest(), large);
}

TEST(StreamingClient, HearsAnAnswerThatComesBeforeTheBodyWasTaken) {
  std::latch is_answered(1);
  RawServer server([&](Connection& connection, int) {
    connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    is_answered.wait();
  });
  Caller caller;
  WaitingCall call(caller.client(), {.method = "POST",
                                     .url = caller.url(server),
                                     .body = CallBody::from(std::string(32 << 20, 'x'))});
  ASSERT_TRUE(call.head());
  EXPECT_EQ(call.head()->status, 413);
  EXPECT_EQ(call.rest(), "big");
  EXPECT_EQ(caller.client().counts().idle_connections, 0U) << "half a request is still on it";
  is_answered.count_down();
}

TEST(StreamingClientPressure, ReadsNoFasterThanItsConsumer) {
  constexpr std::size_t kMoreThanSocketsHold = 64 << 20;
  std::promise<std::size_t> stuck_at;
  RawServer server([&](Connection& connection, int) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kMoreThanSocketsHold) +
                    "\r\n\r\n");
    const std::size_t sent = connection.send_until_stuck(kMoreThanSocketsHold);
    stuck_at.set_value(sent);
    connection.send(std::string(kMoreThanSocketsHold - sent, 's'));
  });
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server), .idle_timeout = {10'000}});
  ASSERT_TRUE(call.head());
  EXPECT_LT(stuck_at.get_future().get(), kMoreThanSocketsHold) << "only sockets' buffers took it";
  std::size_t received = 0;
  for (;;) {
    const auto piece = call.next();
    ASSERT_TRUE(piece);
    EXPECT_LE(piece->size(), 64U << 10) << "what is held here";
    if (piece->empty()) break;
    received += piece->size();
  }
  EXPECT_EQ(received, kMoreThanSocketsHold);
}

TEST(StreamingClientPressure, DoesNotCountTheTimeOfAnIdleConsumer) {
  RawServer server(
      answer_all("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"));
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server), .idle_timeout = {200}});
  ASSERT_TRUE(call.head());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(call.rest(), "hi");
}

TEST(StreamingClientTimeout, EndsALookUpThatHangs) {
  std::latch is_over(1);
  Caller caller({.resolve = [&](const std::string&) -> Result<std::vector<core::IpAddress>> {
    is_over.wait();
    return fail(Code::Unavailable, "late");
  }});
  WaitingCall call(caller.client(),
                   {.url = "http://upstream.example:8080/", .connect_timeout = kShort});
  EXPECT_EQ(failure_of(call), "connect_timeout");
  EXPECT_EQ(call.head().error().error.code, Code::DeadlineExceeded);
  is_over.count_down();
}

TEST(StreamingClientTimeout, EndsAHandshakeThatHangs) {
  RawServer server([](Connection& connection, int) { connection.wait_for_end(); });
  Caller caller;
  WaitingCall call(caller.client(),
                   {.url = "https" + caller.url(server).substr(4), .connect_timeout = kShort});
  EXPECT_EQ(failure_of(call), "connect_timeout");
}

TEST(StreamingClientTimeout, EndsAHeaderThatNeverComes) {
  for (const std::string_view begun : {"", "HTTP/1.1 200 OK\r\nA:", "HTTP/1.1 100 Go\r\n\r\n"}) {
    RawServer server([&](Connection& connection, int) {
      connection.send(begun);
      connection.wait_for_end();
    });
    Caller caller;
    WaitingCall call(caller.client(),
                     {.url = caller.url(server, "/?secret"), .header_timeout = kShort});
    EXPECT_EQ(failure_of(call), "header_timeout");
    EXPECT_EQ(call.head().error().error.message,
              "GET http://127.0.0.1:" + std::to_string(server.port()) + ": no answer within 50 ms");
  }
}

TEST(StreamingClientTimeout, EndsABodyThatStops) {
  RawServer server([](Connection& connection, int) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    connection.wait_for_end();
  });
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server), .idle_timeout = kShort});
  ASSERT_TRUE(call.head());
  EXPECT_EQ(call.next().value(), "half");
  EXPECT_EQ(call.next().error().failure, CallFailure::IdleTimeout);
}

TEST(StreamingClientTimeout, EndsABodyThatDripsForEver) {
  RawServer server([](Connection& connection, int) {
    connection.read_request();
    connection.send(kChunked);
    while (connection.send("1\r\nx\r\n")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server), .total_timeout = {100}});
  EXPECT_EQ(failure_of(call), "total_timeout");
}

TEST(StreamingClientTimeout, TellsTheNextReadWhatHappenedMeanwhile) {
  std::promise<void> is_closed;
  RawServer server([&](Connection& connection, int) {
    connection.read_request();
    connection.send(kChunked);
    connection.wait_for_end();
    is_closed.set_value();
  });
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server), .total_timeout = {300}});
  ASSERT_TRUE(call.head());
  is_closed.get_future().wait();
  EXPECT_EQ(call.next().error().failure, CallFailure::TotalTimeout);
}

TEST(StreamingClientCancel, BeforeTheConnection) {
  std::latch is_over(1);
  Caller caller({.resolve = [&](const std::string&) -> Result<std::vector<core::IpAddress>> {
    is_over.wait();
    return fail(Code::Unavailable, "late");
  }});
  WaitingCall call(caller.client(), {.url = "http://upstream.example:8080/"});
  call.cancel();
  EXPECT_EQ(failure_of(call), "cancelled");
  EXPECT_EQ(call.head().error().error.code, Code::Cancelled);
  is_over.count_down();
}

/// From `cancel` to when the peer sees the end.
std::chrono::steady_clock::duration time_to_cancel() {
  std::promise<void> is_asked;
  std::promise<std::chrono::steady_clock::time_point> closed_at;
  RawServer server([&](Connection& connection, int) {
    connection.read_request();
    is_asked.set_value();
    connection.wait_for_end();
    closed_at.set_value(std::chrono::steady_clock::now());
  });
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server)});
  is_asked.get_future().wait();
  const auto cancelled_at = std::chrono::steady_clock::now();
  call.cancel();
  EXPECT_EQ(failure_of(call), "cancelled");
  return closed_at.get_future().get() - cancelled_at;
}

TEST(StreamingClientCancel, WhileTheHeaderIsAwaited) {
  // The best of a few: the machine may be busy with something else.
  auto best = time_to_cancel();
  for (int i = 0; i < 5 && best > std::chrono::milliseconds(100); ++i) {
    best = std::min(best, time_to_cancel());
  }
  EXPECT_LT(best, std::chrono::milliseconds(100));
}

TEST(StreamingClientCancel, WhileTheBodyIsAwaited) {
  std::promise<void> is_closed;
  RawServer server([&](Connection& connection, int) {
    connection.read_request();
    connection.send(kChunked);
    connection.wait_for_end();
    is_closed.set_value();
  });
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server)});
  ASSERT_TRUE(call.head());
  auto piece = call.ask();
  call.cancel();
  call.cancel();
  EXPECT_EQ(piece.get().error().failure, CallFailure::Cancelled);
  is_closed.get_future().wait();
}

TEST(StreamingClientCancel, WhenTheLastHandleGoes) {
  std::promise<void> is_closed;
  RawServer server([&](Connection& connection, int) {
    connection.read_request();
    connection.send(kChunked);
    connection.wait_for_end();
    is_closed.set_value();
  });
  Caller caller;
  {
    WaitingCall call(caller.client(), {.url = caller.url(server)});
    ASSERT_TRUE(call.head());
  }
  is_closed.get_future().wait();
  wait_until([&] { return caller.client().counts().calls == 0; });
}

TEST(StreamingClientCancel, AfterTheEndIsNothing) {
  RawServer server(answer_all(kHello));
  Caller caller;
  WaitingCall call(caller.client(), {.url = caller.url(server)});
  EXPECT_EQ(call.rest(), "hello");
  wait_until([&] { return caller.client().counts().calls == 0; });
  call.cancel();
  EXPECT_EQ(caller.client().counts().idle_connections, 1U);
}

TEST(StreamingClientCancel, InsideTheCallback) {
  RawServer server(answer_all(kHello));
  Caller caller;
  std::promise<CallFailure> failure;
  const auto call = caller.client().make_call({.url = caller.url(server)});
  call->start([&](std::expected<AnswerHead, CallError> head) {
    EXPECT_TRUE(head);
    call->cancel();
    call->read([&](std::expected<std::string, CallError> piece) {
      failure.set_value(piece ? CallFailure::Protocol : piece.error().failure);
    });
  });
  EXPECT_EQ(failure.get_future().get(), CallFailure::Cancelled);
}

TEST(StreamingClientCancel, AllWhenTheClientGoes) {
  RawServer server([&](Connection& connection, int ordinal) {
    connection.read_request();
    if (ordinal == 0) connection.send(kChunked);
    connection.wait_for_end();
  });
  auto caller = std::make_unique<Caller>();
  WaitingCall waits_for_body(caller->client(), {.url = caller->url(server)});
  ASSERT_TRUE(waits_for_body.head());
  auto piece = waits_for_body.ask();
  WaitingCall waits_for_header(caller->client(), {.url = caller->url(server)});
  WaitingCall waits_for_nothing(caller->client(), {.url = caller->url(server)});
  caller.reset();
  EXPECT_EQ(piece.get().error().failure, CallFailure::Cancelled);
  EXPECT_EQ(waits_for_header.head().error().failure, CallFailure::Cancelled);
  waits_for_nothing.cancel();  // a handle may outlive the client
}

}  // namespace
}  // namespace gantry::net
