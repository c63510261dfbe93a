// Answers given over time: framing, back-pressure, clients that leave, limits, stopping.

#include "net/answer_stream.h"

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/mutex.h"
#include "net/testing/raw_client.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

using testing::RawClient;
using testing::RawResponse;
using testing::TestServer;
using testing::wait_until;
using Next = AnswerStream::Next;
using Reason = AnswerEnd::Reason;

constexpr std::string_view kGetLive = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::size_t kMoreThanSocketsHold = 32 << 20;
constexpr std::string_view kGetHello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

/// The streams that GET /live opened, for the test to write to.
class Streams {
 public:
  /// The ordinal-th stream, once it is there.
  std::shared_ptr<AnswerStream> operator[](std::size_t ordinal) {
    wait_until([&] { return count() > ordinal; });
    const core::Lock lock(mutex_);
    return streams_.at(ordinal);
  }

  [[nodiscard]] std::size_t count() {
    const core::Lock lock(mutex_);
    return streams_.size();
  }

  void forget() {
    std::vector<std::shared_ptr<AnswerStream>> dropped;
    const core::Lock lock(mutex_);
    dropped.swap(streams_);
  }

  /// How the ordinal-th answer to end did.
  AnswerEnd end(std::size_t ordinal) {
    wait_until([&] { return end_count() > ordinal; });
    const core::Lock lock(mutex_);
    return ends_.at(ordinal);
  }

  [[nodiscard]] std::size_t end_count() {
    const core::Lock lock(mutex_);
    return ends_.size();
  }

  [[nodiscard]] TestServer::Options options(HttpLimits limits = {},
                                            RunsOn runs_on = RunsOn::QueryPool) {
    return {
        .limits = limits, .queue_length_max = 1024, .add_routes = [this, runs_on](Router& router) {
          router.add(Method::Get, "/live", {.runs_on = runs_on},
                     [this](Request&) { return open(); });
          router.add(Method::Get, "/forgotten", {}, [this](Request&) {
            open();
            return text_response(200, "something else");
          });
        }};
  }

  DurationMs write_timeout{0};

 private:
  Response open() {
    auto [stream, response] = AnswerStream::open({.unsent_bytes_max = 64 << 10,
                                                  .write_timeout = write_timeout,
                                                  .on_end = [this](const AnswerEnd& end) {
                                                    const core::Lock lock(mutex_);
                                                    ends_.push_back(end);
                                                  }});
    response.headers.add("X-From", "handler");
    const core::Lock lock(mutex_);
    streams_.push_back(std::move(stream));
    return std::move(response);
  }

  core::Mutex mutex_;
  std::vector<std::shared_ptr<AnswerStream>> streams_ GANTRY_GUARDED_BY(mutex_);
  std::vector<AnswerEnd> ends_ GANTRY_GUARDED_BY(mutex_);
};

Headers event_stream() {
  Headers headers;
  headers.add("Content-Type", "text/event-stream; charset=utf-8");
  headers.add("Content-Length", "5");
  return headers;
}

/// Reads until `text` has come.
bool receives(RawClient& client, std::string_view text) {
  std::string all;
  while (!all.contains(text)) {
    const std::string some = client.receive_some();
    if (some.empty()) return false;
    all += some;
  }
  return true;
}

TEST(AnswerStream, SendsEachPieceWhenItIsWritten) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send(kGetLive);
  const auto stream = streams[0];
  stream->start(200, event_stream());
  EXPECT_TRUE(receives(client, "\r\n\r\n"));
  EXPECT_EQ(stream->write("data: 1\n\n"), Next::Go);
  EXPECT_TRUE(receives(client, "9\r\ndata: 1\n\n\r\n"));
  EXPECT_EQ(stream->write(""), Next::Go) << "not the last chunk";
  EXPECT_EQ(stream->write("data: 2\n\n"), Next::Go);
  EXPECT_TRUE(receives(client, "9\r\ndata: 2\n\n\r\n"));
  EXPECT_EQ(server.metric("gantry_http_streams", ""), 1);
  stream->finish();
  EXPECT_TRUE(receives(client, "0\r\n\r\n"));
  const AnswerEnd end = streams.end(0);
  EXPECT_EQ(end.reason, Reason::Finished);
  EXPECT_GT(end.sent_bytes, 100U);
  EXPECT_EQ(stream->write("late"), Next::Ended);
  EXPECT_EQ(server.metric("gantry_http_streams", ""), 0);
  EXPECT_EQ(server.metric("gantry_http_requests_total", "200|/live|GET"), 1);
  client.send(kGetHello);
  EXPECT_EQ(client.receive().status, 200) << "the connection goes on";
}

TEST(AnswerStream, FramesLikeAnyOtherAnswer) {
  Streams streams;
  TestServer server(streams.options({}, RunsOn::IoThread));
  RawClient client(server.port());
  client.send(kGetLive);
  const auto stream = streams[0];
  stream->start(429, event_stream());
  stream->write("a");
  stream->write("b");
  stream->finish();
  const RawResponse answer = client.receive();
  EXPECT_TRUE(answer.is_complete);
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.body, "ab");
  EXPECT_EQ(answer.field("transfer-encoding"), "chunked");
  EXPECT_EQ(answer.field("content-length"), "");
  EXPECT_EQ(answer.field("x-from"), "handler");
  EXPECT_FALSE(answer.field("x-request-id").empty());
}

TEST(AnswerStream, AnswersThoseOfOnePipelineInOrder) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send(std::string(kGetLive) + std::string(kGetHello) + std::string(kGetLive));
  const auto first = streams[0];
  first->start(200, {});
  first->write("first");
  EXPECT_EQ(streams.count(), 1U);
  first->finish();
  EXPECT_EQ(client.receive().body, "first");
  EXPECT_TRUE(client.receive().body.starts_with("hello"));
  const auto second = streams[1];
  second->respond(text_response(201, "second"));
  const RawResponse answer = client.receive();
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "second");
}

/// A text in which each place looks different from all others.
std::string numbered_text(std::size_t bytes) {
  std::string text;
  for (std::size_t number = 0; text.size() < bytes; ++number) text += fmt::format("{} ", number);
  text.resize(bytes);
  return text;
}

TEST(AnswerStream, KeepsABodyOfWhichAPartCameEarly) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  const std::string body = numbered_text(200'000);
  constexpr std::size_t kEarlyBytes = 10'000;  // several reads beside the answer
  client.send(kGetLive);
  const auto stream = streams[0];
  stream->start(200, {});
  client.send(fmt::format("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
                          body.size(), body.substr(0, kEarlyBytes)));
  // Nothing tells when the server has read it; were it too late, the test would only show less.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  stream->finish();
  EXPECT_TRUE(client.receive().is_complete);
  client.send(body.substr(kEarlyBytes));
  const RawResponse answer = client.receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body == body);
}

TEST(AnswerStream, EndsWithTheConnectionForHttp10) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send("GET /live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  streams[0]->start(200, {});
  streams[0]->write("to the end");
  streams[0]->finish();
  const RawResponse answer = client.receive();
  EXPECT_EQ(answer.body, "to the end");
  EXPECT_EQ(answer.field("transfer-encoding"), "");
  EXPECT_EQ(answer.field("connection"), "close");
  EXPECT_EQ(streams.end(0).reason, Reason::Finished);
}

TEST(AnswerStream, SendsNoBodyWhereThereIsNone) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send("HEAD /live HTTP/1.1\r\nHost: x\r\n\r\n");
  streams[0]->start(200, {});
  streams[0]->write("not wanted");
  EXPECT_EQ(client.receive(false).field("content-length"), "");
  EXPECT_EQ(streams.end(0).reason, Reason::NotWanted);
  client.send(kGetLive);
  streams[1]->start(204, {});
  EXPECT_EQ(client.receive().status, 204);
  EXPECT_EQ(streams.end(1).reason, Reason::NotWanted);
  client.send(kGetHello);
  EXPECT_EQ(client.receive().status, 200);
}

TEST(AnswerStream, CompressesWholeAnswersOnly) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  const std::string request = "GET /live HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n";
  client.send(request);
  streams[0]->respond(text_response(200, std::string(5000, 'w')));
  const RawResponse whole = client.receive();
  EXPECT_EQ(whole.field("content-encoding"), "gzip");
  EXPECT_EQ(testing::decode("gzip", whole.body), std::string(5000, 'w'));
  EXPECT_EQ(streams.end(0).reason, Reason::Finished);
  client.send(request);
  streams[1]->start(200, {});
  streams[1]->write(std::string(5000, 'p'));
  streams[1]->finish();
  const RawResponse pieces = client.receive();
  EXPECT_EQ(pieces.field("content-encoding"), "");
  EXPECT_EQ(pieces.body, std::string(5000, 'p'));
}

TEST(AnswerStream, SaysSoWhenNobodyAnswers) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send(kGetLive);
  static_cast<void>(streams[0]);
  streams.forget();
  EXPECT_EQ(client.receive().status, 500);
  EXPECT_EQ(streams.end(0).reason, Reason::Aborted);
}

TEST(AnswerStream, EndsWhenTheServerAnswersSomethingElse) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send("GET /forgotten HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive().body, "something else");
  EXPECT_EQ(streams.end(0).reason, Reason::Refused);
  EXPECT_TRUE(streams[0]->has_ended());
}

TEST(AnswerStream, CutsABodyThatWasNotFinished) {
  Streams streams;
  TestServer server(streams.options());
  std::size_t ordinal = 0;
  for (const std::string_view version : {"1.1", "1.0"}) {
    RawClient client(server.port());
    client.send("GET /live HTTP/" + std::string(version) + "\r\nHost: x\r\n\r\n");
    const auto stream = streams[ordinal];
    stream->start(200, {});
    stream->write("half");
    EXPECT_TRUE(receives(client, "half"));
    stream->abort();
    EXPECT_EQ(client.receive_some(), "") << version;
    EXPECT_EQ(streams.end(ordinal).reason, Reason::Aborted);
    ++ordinal;
  }
}

TEST(AnswerStream, TellsTheWriterToWaitForASlowReader) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send(kGetLive);
  const auto stream = streams[0];
  stream->start(200, {});
  EXPECT_EQ(stream->write("small"), Next::Go);
  EXPECT_EQ(stream->write(std::string(kMoreThanSocketsHold, 'x')), Next::Wait);
  std::atomic<int> ready_count = 0;
  stream->on_writable([&] { ++ready_count; });
  EXPECT_EQ(stream->write("more"), Next::Wait) << "taken, but that should have waited";
  EXPECT_GE(stream->unsent_bytes(), kMoreThanSocketsHold);
  EXPECT_EQ(ready_count, 0);
  std::jthread reader([&] {
    const RawResponse answer = client.receive();
    EXPECT_TRUE(answer.is_complete);
    EXPECT_EQ(answer.body.size(), kMoreThanSocketsHold + 9);
  });
  wait_until([&] { return ready_count == 1; });
  EXPECT_LE(stream->unsent_bytes(), 32U << 10);
  stream->finish();
  reader.join();
  EXPECT_EQ(streams.end(0).reason, Reason::Finished);
}

TEST(AnswerStream, CallsBackAtOnceWhenThereIsRoom) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send(kGetLive);
  const auto stream = streams[0];
  std::atomic<int> count = 0;
  stream->on_writable([&] { ++count; });
  wait_until([&] { return count == 1; });
  // A writer that lives in its own callbacks.
  stream->start(200, {});
  std::function<void()> next = [&, stream] {
    if (++count > 100) return stream->finish();
    stream->write("x");
    stream->on_writable(next);
  };
  stream->on_writable(next);
  EXPECT_EQ(client.receive().body, std::string(99, 'x'));
  EXPECT_EQ(streams.end(0).reason, Reason::Finished);
}

TEST(AnswerStream, CutsAClientThatDoesNotRead) {
  Streams streams;
  streams.write_timeout = {50};
  TestServer server(streams.options());
  RawClient client(server.port());
  client.set_receive_buffer(4096);
  client.send(kGetLive);
  const auto stream = streams[0];
  stream->start(200, {});
  EXPECT_EQ(stream->write(std::string(kMoreThanSocketsHold, 'x')), Next::Wait);
  EXPECT_EQ(streams.end(0).reason, Reason::WriteTimeout);
  EXPECT_EQ(server.rejected("write_timeout"), 1);
  EXPECT_EQ(stream->unsent_bytes(), 0U);
  wait_until([&] { return server.server().connection_count() == 0; });
}

TEST(AnswerStream, AbortsAlsoWhileTheClientDoesNotRead) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.set_receive_buffer(4096);
  client.send(kGetLive);
  const auto stream = streams[0];
  stream->start(200, {});
  EXPECT_EQ(stream->write(std::string(kMoreThanSocketsHold, 'x')), Next::Wait);
  stream->abort();
  EXPECT_EQ(streams.end(0).reason, Reason::Aborted);
}

enum class Leaving : std::uint8_t { Close, Reset, FinishSending };

class ClientLeaves : public ::testing::TestWithParam<Leaving> {
 protected:
  static void leave(std::unique_ptr<RawClient>& client) {
    switch (GetParam()) {
      case Leaving::Close:
        client.reset();
        return;
      case Leaving::Reset:
        client->reset();
        return;
      case Leaving::FinishSending:
        client->finish_sending();
        return;
    }
  }
};

TEST_P(ClientLeaves, BeforeTheHeader) {
  Streams streams;
  TestServer server(streams.options());
  auto client = std::make_unique<RawClient>(server.port());
  client->send(kGetLive);
  const auto stream = streams[0];
  leave(client);
  EXPECT_EQ(streams.end(0).reason, Reason::ClientLeft);
  stream->start(200, {});
  EXPECT_EQ(stream->write("too late"), Next::Ended);
  stream->finish();
  wait_until([&] { return server.metric("gantry_http_requests_total", "499|/live|GET") == 1; });
}

TEST_P(ClientLeaves, WhileNothingIsWritten) {
  Streams streams;
  TestServer server(streams.options());
  auto client = std::make_unique<RawClient>(server.port());
  client->send(kGetLive);
  const auto stream = streams[0];
  stream->start(200, {});
  stream->write("one");
  EXPECT_TRUE(receives(*client, "one"));
  stream->on_writable([] {});
  leave(client);
  EXPECT_EQ(streams.end(0).reason, Reason::ClientLeft);
  EXPECT_EQ(stream->write("two"), Next::Ended);
  stream->abort();
}

TEST_P(ClientLeaves, AfterMoreRequestsCame) {
  Streams streams;
  TestServer server(streams.options());
  auto client = std::make_unique<RawClient>(server.port());
  client->send(std::string(kGetLive) + std::string(kGetHello));
  const auto stream = streams[0];
  stream->start(200, {});
  client->send(kGetHello);
  leave(client);
  EXPECT_EQ(streams.end(0).reason, Reason::ClientLeft);
}

TEST_P(ClientLeaves, WhileItDoesNotRead) {
  Streams streams;
  TestServer server(streams.options());
  auto client = std::make_unique<RawClient>(server.port());
  client->set_receive_buffer(4096);
  client->send(kGetLive);
  const auto stream = streams[0];
  stream->start(200, {});
  EXPECT_EQ(stream->write(std::string(kMoreThanSocketsHold, 'x')), Next::Wait);
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  stream->on_writable([owned = std::move(owned)] {});
  leave(client);
  EXPECT_EQ(streams.end(0).reason, Reason::ClientLeft);
  wait_until([&] { return watched.expired(); });
}

std::string leaving_name(const ::testing::TestParamInfo<Leaving>& info) {
  constexpr std::array kNames{"Close", "Reset", "FinishSending"};
  return kNames[static_cast<std::size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(AnswerStream, ClientLeaves,
                         ::testing::Values(Leaving::Close, Leaving::Reset, Leaving::FinishSending),
                         leaving_name);

TEST(AnswerStreamStop, LetsStreamsFinish) {
  Streams streams;
  TestServer server(streams.options());
  RawClient client(server.port());
  client.send(kGetLive);
  const auto stream = streams[0];
  stream->start(200, {});
  stream->write("before ");
  std::jthread stopper([&] { server.server().stop({10'000}); });
  wait_until([&] { return !RawClient(server.port()).is_connected(); });
  stream->write("after");
  stream->finish();
  EXPECT_EQ(client.receive().body, "before after");
  EXPECT_TRUE(client.is_at_end());
  EXPECT_EQ(streams.end(0).reason, Reason::Finished);
}

TEST(AnswerStreamStop, CutsWhatIsLeftAfterTheGrace) {
  Streams streams;
  TestServer server(streams.options());
  RawClient headless(server.port());
  headless.send(kGetLive);
  static_cast<void>(streams[0]);
  RawClient open(server.port());
  open.send(kGetLive);
  streams[1]->start(200, {});
  RawClient stuck(server.port());
  stuck.set_receive_buffer(4096);
  stuck.send(kGetLive);
  streams[2]->start(200, {});
  streams[2]->write(std::string(kMoreThanSocketsHold, 'x'));
  server.server().stop({20});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(streams.end(i).reason, Reason::ServerStopped);
    EXPECT_TRUE(streams[i]->has_ended());
  }
  EXPECT_EQ(streams[1]->write("too late"), Next::Ended);
}

TEST(AnswerStreamLimit, RefusesOneMore) {
  HttpLimits limits;
  limits.streams_max = 1;
  Streams streams;
  TestServer server(streams.options(limits));
  RawClient first(server.port());
  first.send(kGetLive);
  streams[0]->start(200, {});
  EXPECT_TRUE(receives(first, "\r\n\r\n"));
  RawClient second(server.port());
  second.send(kGetLive);
  const RawResponse refused = second.receive();
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.field("retry-after"), "1");
  EXPECT_NE(refused.body.find("http.streams_max"), std::string::npos) << refused.body;
  EXPECT_EQ(server.rejected("streams"), 1);
  EXPECT_EQ(streams.end(0).reason, Reason::Refused);
  streams[0]->finish();
  EXPECT_EQ(streams.end(1).reason, Reason::Finished);
  second.send(kGetLive);
  streams[2]->respond(text_response(200, "again"));
  EXPECT_EQ(second.receive().body, "again");
}

TEST(AnswerStream, ServesManyAtOnceFromSeveralThreads) {
  constexpr std::size_t kCount = 200;
  constexpr int kPieces = 20;
  Streams streams;
  TestServer server(streams.options());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kCount; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send(kGetLive);
  }
  static_cast<void>(streams[kCount - 1]);
  {
    std::vector<std::jthread> writers;
    for (std::size_t first = 0; first < 4; ++first) {
      writers.emplace_back([&, first] {
        for (std::size_t i = first; i < kCount; i += 4) streams[i]->start(200, {});
        for (int piece = 0; piece < kPieces; ++piece) {
          for (std::size_t i = first; i < kCount; i += 4) {
            streams[i]->write("piece " + std::to_string(piece) + ";");
          }
        }
        for (std::size_t i = first; i < kCount; i += 4) streams[i]->finish();
      });
    }
  }
  std::string expected;
  for (int piece = 0; piece < kPieces; ++piece) expected += "piece " + std::to_string(piece) + ";";
  for (const auto& client : clients) EXPECT_EQ(client->receive().body, expected);
  EXPECT_EQ(streams.end(kCount - 1).reason, Reason::Finished);
  EXPECT_EQ(server.metric("gantry_http_streams", ""), 0);
}

TEST(AnswerStreamTls, NoticesTheEndOfTheClient) {
  std::string pattern = (std::filesystem::temp_directory_path() / "gantry-net-XXXXXX").string();
  const std::string directory = ::mkdtemp(pattern.data());
  const auto files = testing::write_certificate(directory, "live");
  Streams streams;
  TestServer::Options options = streams.options();
  options.tls = TlsOptions{.certificate_file = files.certificate_file,
                           .private_key_file = files.private_key_file};
  TestServer server(options);
  {
    RawClient client(server.port(), RawClient::Security::Tls);
    client.send(kGetLive);
    streams[0]->start(200, {});
    streams[0]->write("over tls");
    EXPECT_TRUE(receives(client, "over tls"));
  }
  EXPECT_EQ(streams.end(0).reason, Reason::ClientLeft);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace gantry::net
