// The streaming client and streamed answers together: what comes from one server goes to a client
// of another as fast as that client reads, and no thread waits.

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <latch>
#include <thread>

#include <gtest/gtest.h>

#include "net/answer_stream.h"
#include "net/streaming_client.h"
#include "net/testing/raw_client.h"
#include "net/testing/raw_server.h"
#include "net/testing/streaming_peer.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

using testing::Caller;
using testing::RawClient;
using testing::RawResponse;
using testing::RawServer;
using testing::TestServer;
using testing::wait_until;
using Connection = RawServer::Connection;

constexpr std::string_view kGetRelay = "GET /relay HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kChunked =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::size_t kMoreThanSocketsHold = 64 << 20;

/// One request that is answered with what another server says.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  static Response open(StreamingClient& client, CallRequest request) {
    const auto relay = std::make_shared<Relay>();
    relay->call_ = client.make_call(std::move(request));
    auto [stream, response] =
        AnswerStream::open({.unsent_bytes_max = 64 << 10,
                            .on_end = [call = relay->call_](const AnswerEnd&) { call->cancel(); }});
    relay->stream_ = std::move(stream);
    relay->call_->start(
        [relay](std::expected<AnswerHead, CallError> head) { relay->begin(std::move(head)); });
    return std::move(response);
  }

 private:
  void begin(std::expected<AnswerHead, CallError> head) {
    if (!head) return stream_->respond(text_response(502, head.error().error.message));
    stream_->start(head->status, std::move(head->headers));
    ask();
  }

  void ask() {
    call_->read([self = shared_from_this()](std::expected<std::string, CallError> piece) {
      self->pass_on(std::move(piece));
    });
  }

  void pass_on(std::expected<std::string, CallError> piece) {
    if (!piece) return stream_->abort();
    if (piece->empty()) return stream_->finish();
    switch (stream_->write(*std::move(piece))) {
      case AnswerStream::Next::Go:
        return ask();
      case AnswerStream::Next::Wait:
        return stream_->on_writable([self = shared_from_this()] { self->ask(); });
      case AnswerStream::Next::Ended:
        return;
    }
  }

  std::shared_ptr<ClientCall> call_;
  std::shared_ptr<AnswerStream> stream_;
};

/// The server in the middle, which calls with its own I/O threads.
class Middle {
 public:
  explicit Middle(RawServer::Script upstream)
      : upstream_(std::move(upstream)),
        server_({.queue_length_max = 1024,
                 .io_threads = io_threads_,
                 .add_routes = [this](Router& router) {
                   router.add(Method::Get, "/relay", {}, [this](Request&) {
                     return Relay::open(caller_.client(), {.url = Caller::url(upstream_)});
                   });
                 }}) {}

  [[nodiscard]] std::uint16_t port() const { return server_.port(); }

  [[nodiscard]] TestServer& server() { return server_; }

  [[nodiscard]] StreamingClient& client() { return caller_.client(); }

 private:
  RawServer upstream_;
  const std::shared_ptr<IoThreads> io_threads_ = std::make_shared<IoThreads>(2, "shared-io");
  Caller caller_{{.io_threads = io_threads_}};
  TestServer server_;
};

bool receives(RawClient& client, std::string_view text) {
  std::string all;
  while (!all.contains(text)) {
    const std::string some = client.receive_some();
    if (some.empty()) return false;
    all += some;
  }
  return true;
}

TEST(StreamRelay, PassesEachEventOnAtOnce) {
  std::array<std::latch, 3> go{std::latch(1), std::latch(1), std::latch(1)};
  Middle middle([&](Connection& connection, int) {
    connection.read_request();
    connection.send(kChunked);
    for (std::size_t i = 0; i < go.size(); ++i) {
      go[i].wait();
      connection.send("9\r\ndata: " + std::to_string(i) + "\n\n\r\n");
    }
    connection.send("0\r\n\r\n");
    connection.wait_for_end();
  });
  RawClient client(middle.port());
  client.send(kGetRelay);
  EXPECT_TRUE(receives(client, "\r\n\r\n")) << "the header does not wait for the body";
  for (std::size_t i = 0; i < go.size(); ++i) {
    go[i].count_down();
    EXPECT_TRUE(receives(client, "data: " + std::to_string(i) + "\n\n"));
  }
}

TEST(StreamRelay, ReadsNoFasterThanTheClient) {
  std::promise<std::size_t> stuck_at;
  Middle middle([&](Connection& connection, int) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kMoreThanSocketsHold) +
                    "\r\n\r\n");
    const std::size_t sent = connection.send_until_stuck(kMoreThanSocketsHold);
    stuck_at.set_value(sent);
    connection.send(std::string(kMoreThanSocketsHold - sent, 's'));
  });
  RawClient client(middle.port());
  client.send(kGetRelay);
  EXPECT_LT(stuck_at.get_future().get(), kMoreThanSocketsHold);
  const RawResponse answer = client.receive();
  EXPECT_TRUE(answer.is_complete);
  EXPECT_EQ(answer.body.size(), kMoreThanSocketsHold);
}

enum class Moment : std::uint8_t { Header, Body, SlowReader };

class StreamRelayCancel : public ::testing::TestWithParam<Moment> {};

/// From the client's reset to when the upstream sees the end of its connection.
std::chrono::steady_clock::duration time_to_cancel(Moment moment) {
  std::promise<void> is_waiting;
  std::promise<std::chrono::steady_clock::time_point> closed_at;
  Middle middle([&](Connection& connection, int) {
    connection.read_request();
    if (moment != Moment::Header) connection.send(kChunked);
    if (moment == Moment::Body) connection.send("5\r\nhello\r\n");
    if (moment == Moment::SlowReader) {
      connection.send("4000000\r\n");
      connection.send_until_stuck(kMoreThanSocketsHold);
    }
    is_waiting.set_value();
    connection.wait_for_end();
    closed_at.set_value(std::chrono::steady_clock::now());
  });
  RawClient client(middle.port());
  if (moment == Moment::SlowReader) client.set_receive_buffer(4096);
  client.send(kGetRelay);
  is_waiting.get_future().wait();
  if (moment == Moment::Body) EXPECT_TRUE(receives(client, "hello"));
  const auto left_at = std::chrono::steady_clock::now();
  client.reset();
  const auto took = closed_at.get_future().get() - left_at;
  wait_until([&] { return middle.client().counts().calls == 0; });
  return took;
}

TEST_P(StreamRelayCancel, ClosesTheUpstreamWhenTheClientLeaves) {
  // The best of a few: the machine may be busy with something else.
  auto best = time_to_cancel(GetParam());
  for (int i = 0; i < 5 && best > std::chrono::milliseconds(100); ++i) {
    best = std::min(best, time_to_cancel(GetParam()));
  }
  EXPECT_LT(best, std::chrono::milliseconds(100));
}

std::string moment_name(const ::testing::TestParamInfo<Moment>& info) {
  constexpr std::array kNames{"Header", "Body", "SlowReader"};
  return kNames[static_cast<std::size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Moments, StreamRelayCancel,
                         ::testing::Values(Moment::Header, Moment::Body, Moment::SlowReader),
                         moment_name);

TEST(StreamRelay, CutsTheAnswerWhenTheUpstreamBreaks) {
  Middle middle([](Connection& connection, int ordinal) {
    connection.read_request();
    if (ordinal == 1) connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  });
  RawClient client(middle.port());
  client.send(kGetRelay);
  EXPECT_EQ(client.receive().status, 502);
  client.send(kGetRelay);
  EXPECT_FALSE(client.receive().is_complete);
}

TEST(StreamRelay, StopsInTheMiddle) {
  Middle middle([](Connection& connection, int) {
    connection.read_request();
    connection.send(kChunked);
    connection.wait_for_end();
  });
  RawClient client(middle.port());
  client.send(kGetRelay);
  EXPECT_TRUE(receives(client, "\r\n\r\n"));
  middle.server().server().stop({10});
  wait_until([&] { return middle.client().counts().calls == 0; });
}

TEST(StreamRelay, CarriesManyAtOnce) {
  constexpr int kCount = 200;
  std::string expected;
  for (int i = 0; i < 20; ++i) expected += "data: " + std::to_string(i + 10) + "\n\n";
  Middle middle([&](Connection& connection, int) {
    while (!connection.read_request().empty()) {
      connection.send(kChunked);
      for (int i = 0; i < 20; ++i) {
        connection.send("a\r\ndata: " + std::to_string(i + 10) + "\n\n\r\n");
      }
      connection.send("0\r\n\r\n");
    }
  });
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < kCount; ++i) {
    clients.push_back(std::make_unique<RawClient>(middle.port()));
    clients.back()->send(kGetRelay);
  }
  for (const auto& client : clients) EXPECT_EQ(client->receive().body, expected);
}

}  // namespace
}  // namespace gantry::net
