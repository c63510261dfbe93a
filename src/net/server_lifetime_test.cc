// Time-outs, disconnects, draining and TLS of the server.

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <gtest/gtest.h>

#include "net/client.h"
#include "net/server.h"
#include "net/testing/raw_client.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

using testing::RawClient;
using testing::RawResponse;
using testing::TestServer;
using testing::wait_until;

constexpr std::string_view kGetHello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kGetBlock = "GET /block HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr DurationMs kShort{50};

TEST(ServerTimeout, EndsAHeaderThatNeverComes) {
  HttpLimits limits;
  limits.header_timeout = kShort;
  TestServer server({.limits = limits});
  RawClient client(server.port());
  client.send("GET /hello HTTP/1.1\r\nHost:");
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, 408);
  EXPECT_NE(response.body.find("http.header_timeout"), std::string::npos) << response.body;
  EXPECT_TRUE(client.is_at_end());
  EXPECT_EQ(server.rejected("header_timeout"), 1);
}

TEST(ServerTimeout, IsNotMovedByEachByteOfAHeader) {
  HttpLimits limits;
  limits.header_timeout = {200};
  TestServer server({.limits = limits});
  RawClient client(server.port());
  std::atomic<bool> is_over = false;
  std::jthread dripper([&] {
    client.send("GET /hello HTTP/1.1\r\n");
    while (!is_over && client.send("A: b\r\n")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  EXPECT_EQ(client.receive().status, 408);
  is_over = true;
}

TEST(ServerTimeout, EndsAConnectionThatNeverSpeaks) {
  HttpLimits limits;
  limits.header_timeout = kShort;
  TestServer server({.limits = limits});
  RawClient client(server.port());
  EXPECT_TRUE(client.is_at_end());
}

TEST(ServerTimeout, EndsAnIdleConnectionWithoutAWord) {
  HttpLimits limits;
  limits.keep_alive_timeout = kShort;
  TestServer server({.limits = limits});
  RawClient client(server.port());
  client.send(kGetHello);
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(client.is_at_end());
}

TEST(ServerTimeout, EndsABodyThatStops) {
  HttpLimits limits;
  limits.body_idle_timeout = kShort;
  TestServer server({.limits = limits});
  RawClient client(server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  const RawResponse response = client.receive();
  EXPECT_EQ(response.status, 408);
  EXPECT_NE(response.body.find("3 bytes so far (http.body_idle_timeout"), std::string::npos)
      << response.body;
  EXPECT_EQ(server.rejected("body_timeout"), 1);
}

TEST(ServerTimeout, EndsABodyThatDrips) {
  HttpLimits limits;
  limits.body_idle_timeout = {100};
  limits.body_bytes_per_second_min = 1'000'000;
  TestServer server({.limits = limits});
  RawClient client(server.port());
  std::atomic<bool> is_over = false;
  std::jthread dripper([&] {
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    while (!is_over && client.send("x")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  EXPECT_EQ(client.receive().status, 408);
  is_over = true;
}

TEST(ServerTimeout, CutsAClientThatDoesNotRead) {
  HttpLimits limits;
  limits.write_timeout = kShort;
  TestServer server({.limits = limits});
  RawClient client(server.port());
  client.set_receive_buffer(4096);
  client.send("GET /huge HTTP/1.1\r\nHost: x\r\n\r\n");
  wait_until([&] { return server.rejected("write_timeout") == 1; });
  wait_until([&] { return server.server().connection_count() == 0; });
}

TEST(ServerTimeout, AllowsAnAnswerThatTakesLongerThanOneDeadline) {
  HttpLimits limits;
  limits.write_timeout = {1000};
  TestServer server({.limits = limits});
  RawClient client(server.port());
  client.send("GET /huge HTTP/1.1\r\nHost: x\r\n\r\n");
  const RawResponse response = client.receive();
  EXPECT_TRUE(response.is_complete);
  EXPECT_EQ(response.body.size(), 64U << 20);
}

TEST(ServerCancel, FiresWhenTheClientCloses) {
  TestServer server;
  {
    RawClient client(server.port());
    client.send(kGetBlock);
    server.wait_for_blocked(1);
  }
  wait_until([&] { return server.cancelled_count() == 1; });
}

TEST(ServerCancel, FiresWhenTheClientResets) {
  TestServer server;
  RawClient client(server.port());
  client.send(kGetBlock);
  server.wait_for_blocked(1);
  client.reset();
  wait_until([&] { return server.cancelled_count() == 1; });
}

TEST(ServerCancel, StillAnswersAClientThatOnlyStoppedSending) {
  TestServer server;
  RawClient client(server.port());
  client.send(kGetBlock);
  server.wait_for_blocked(1);
  client.finish_sending();
  EXPECT_EQ(client.receive().body, "cancelled");
  EXPECT_TRUE(client.is_at_end());
}

TEST(ServerCancel, KeepsWhatTheClientSendsEarly) {
  TestServer server;
  RawClient client(server.port());
  client.send(kGetBlock);
  server.wait_for_blocked(1);
  client.send(kGetHello);
  server.release();
  EXPECT_EQ(client.receive().body, "not cancelled");
  EXPECT_TRUE(client.receive().body.starts_with("hello"));
}

TEST(ServerCancel, FiresForARequestThatCameEarly) {
  TestServer server;
  {
    RawClient client(server.port());
    client.send(kGetBlock);
    server.wait_for_blocked(1);
    client.send(kGetBlock);
    server.release_first(1);
    EXPECT_EQ(client.receive().body, "not cancelled");
    server.wait_for_blocked(2);
  }
  wait_until([&] { return server.cancelled_count() == 1; });
}

TEST(ServerStop, LetsRequestsFinish) {
  TestServer server;
  RawClient idle(server.port());
  idle.send(kGetHello);
  EXPECT_EQ(idle.receive().status, 200);
  RawClient busy(server.port());
  busy.send(kGetBlock);
  server.wait_for_blocked(1);
  auto stopped = std::async(std::launch::async, [&] { server.server().stop({10'000}); });
  EXPECT_TRUE(idle.is_at_end()) << "an idle connection closes at once";
  wait_until([&] { return !RawClient(server.port()).is_connected(); });
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  server.release();
  const RawResponse response = busy.receive();
  EXPECT_EQ(response.body, "not cancelled");
  EXPECT_EQ(response.field("connection"), "close");
  stopped.get();
  EXPECT_EQ(server.server().connection_count(), 0U);
}

TEST(ServerStop, CancelsWhatIsLeftAfterTheGrace) {
  TestServer server;
  RawClient busy(server.port());
  busy.send(kGetBlock);
  server.wait_for_blocked(1);
  server.server().stop({20});
  EXPECT_EQ(server.cancelled_count(), 1);
  EXPECT_EQ(busy.receive().status, 0);
  server.server().stop({0});  // again: nothing to do
}

TEST(ServerStop, CutsClientsThatAreSlow) {
  TestServer server;
  RawClient reading(server.port());
  reading.set_receive_buffer(4096);
  reading.send("GET /huge HTTP/1.1\r\nHost: x\r\n\r\n");
  RawClient sending(server.port());
  sending.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  wait_until([&] { return server.server().connection_count() == 2; });
  server.server().stop({20});
  EXPECT_EQ(server.server().connection_count(), 0U);
}

/// A directory with certificates, gone after the test.
class ServerTls : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "gantry-net-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    files_ = testing::write_certificate(directory_, "first");
  }

  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] TestServer::Options with_tls() const {
    return {.tls = TlsOptions{.certificate_file = files_.certificate_file,
                              .private_key_file = files_.private_key_file}};
  }

  std::string directory_;
  testing::CertificateFiles files_;
};

TEST_F(ServerTls, ServesAVerifyingClient) {
  TestServer server(with_tls());
  ClientRequest request{.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/hello?tls",
                        .ca_file = files_.certificate_file};
  const auto response = send(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "hello tls from 127.0.0.1");
  request.ca_file.clear();
  EXPECT_EQ(send(request).error().code, Code::Unavailable) << "self-signed";
  EXPECT_GT(server.metric("gantry_tls_certificate_expiry_timestamp_seconds", "main"), 1.7e9);
}

TEST_F(ServerTls, KeepsConnectionsAndNoticesTheirEnd) {
  TestServer server(with_tls());
  {
    RawClient client(server.port(), RawClient::Security::Tls);
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" +
                std::string(100'000, 'x'));
    EXPECT_EQ(client.receive().body, std::string(100'000, 'x'));
    client.send(kGetHello);
    EXPECT_EQ(client.receive().status, 200);
    client.send(kGetBlock);
    server.wait_for_blocked(1);
  }
  wait_until([&] { return server.cancelled_count() == 1; });
}

TEST_F(ServerTls, ReloadsTheCertificate) {
  TestServer server(with_tls());
  RawClient old(server.port(), RawClient::Security::Tls);
  EXPECT_EQ(old.peer_common_name(), "first");
  const auto next = testing::write_certificate(directory_, "second");
  std::filesystem::rename(next.certificate_file, files_.certificate_file);
  const auto mismatch = server.server().reload_tls();
  ASSERT_FALSE(mismatch);
  EXPECT_NE(mismatch.error().message.find("private key"), std::string::npos);
  EXPECT_EQ(RawClient(server.port(), RawClient::Security::Tls).peer_common_name(), "first");
  std::filesystem::rename(next.private_key_file, files_.private_key_file);
  ASSERT_TRUE(server.server().reload_tls());
  EXPECT_EQ(RawClient(server.port(), RawClient::Security::Tls).peer_common_name(), "second");
  old.send(kGetHello);
  EXPECT_EQ(old.receive().status, 200) << "an open connection keeps its certificate";
}

TEST_F(ServerTls, RefusesFilesThatAreNotWhatTheySay) {
  core::MetricRegistry metrics;
  core::WorkerPool pool({.thread_count = 1});
  const auto message = [&](const std::string& certificate, const std::string& key) {
    ServerOptions options{.query_pool = pool, .ingest_pool = pool, .metrics = metrics};
    std::vector<ListenerOptions> listeners;
    listeners.push_back({.name = "main",
                         .address = "127.0.0.1:0",
                         .router = std::make_shared<Router>(),
                         .tls = TlsOptions{certificate, key}});
    return Server::start(std::move(options), std::move(listeners)).error().message;
  };
  EXPECT_TRUE(message("/nonexistent", files_.private_key_file)
                  .starts_with("TLS: cannot use the certificate in \"/nonexistent\": "));
  EXPECT_TRUE(message(files_.certificate_file, files_.certificate_file)
                  .starts_with("TLS: cannot use the private key in "));
}

TEST_F(ServerTls, EndsAHandshakeThatNeverComes) {
  TestServer::Options options = with_tls();
  options.limits.tls_handshake_timeout = kShort;
  TestServer server(options);
  RawClient client(server.port());
  EXPECT_TRUE(client.is_at_end());
  EXPECT_EQ(server.rejected("tls_handshake"), 1);
}

TEST_F(ServerTls, StopsWithOpenConnections) {
  TestServer server(with_tls());
  RawClient idle(server.port(), RawClient::Security::Tls);
  idle.send(kGetHello);
  EXPECT_EQ(idle.receive().status, 200);
  RawClient busy(server.port(), RawClient::Security::Tls);
  busy.send(kGetBlock);
  server.wait_for_blocked(1);
  server.server().stop({20});
  EXPECT_EQ(server.cancelled_count(), 1);
}

TEST(Client, SendsWhatItIsTold) {
  TestServer server;
  const std::string base = "http://127.0.0.1:" + std::to_string(server.port());
  ClientRequest request{.method = "POST", .url = base + "/echo", .body = "data"};
  request.headers.add("Content-Type", "text/plain");
  const auto echoed = send(request);
  ASSERT_TRUE(echoed) << echoed.error().message;
  EXPECT_EQ(echoed->status, 200);
  EXPECT_EQ(echoed->body, "data");
  EXPECT_EQ(echoed->headers.find("server"), "gantry");

  ClientRequest large{.url = base + "/large"};
  large.headers.add("Accept-Encoding", "gzip");
  EXPECT_EQ(send(large)->body, std::string(100'000, 'l')) << "decompressed";
  large.response_bytes_max = 99'999;
  EXPECT_EQ(send(large).error().code, Code::TooLarge);

  EXPECT_EQ(send({.url = base + "/nope"})->status, 404);
  EXPECT_EQ(send({.method = "HEAD", .url = base + "/hello"})->body, "");
}

TEST(Client, ExplainsWhatWentWrong) {
  TestServer server;
  const std::string base = "http://127.0.0.1:" + std::to_string(server.port());
  EXPECT_EQ(send({.url = "file:///etc/passwd"}).error().code, Code::InvalidArgument);
  EXPECT_EQ(send({.url = "http://"}).error().code, Code::InvalidArgument);
  EXPECT_EQ(send({.url = "http://127.0.0.1:1/"}).error().code, Code::Unavailable);
  EXPECT_EQ(send({.method = "A B", .url = base}).error().code, Code::InvalidArgument);
  ClientRequest split{.url = base};
  split.headers.add("A", "b\r\nC: d");
  EXPECT_EQ(send(split).error().code, Code::InvalidArgument);
  const auto slow = send({.url = base + "/block", .timeout = {50}});
  EXPECT_EQ(slow.error().code, Code::DeadlineExceeded);
}

}  // namespace
}  // namespace gantry::net
