#include "broadcast/net_transport.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "core/metrics.h"
#include "core/worker_pool.h"
#include "net/egress.h"
#include "net/server.h"

namespace gantry::broadcast {
namespace {

constexpr DurationMs kLong{20'000};

/// A server that answers as its paths say, and a transport that may reach it.
class NetTransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto router = std::make_shared<net::Router>();
    const auto add = [&](std::string_view path, net::Handler handler) {
      router->add(net::Method::Post, path, {.body_bytes_max = 1 << 20}, std::move(handler));
    };
    add("/echo", [](net::Request& request) {
      net::Response response = net::text_response(202, request.body);
      response.headers.set("X-Seen-Encoding", std::string(request.headers.find("Accept-Encoding")));
      response.headers.set("X-Seen-Custom", std::string(request.headers.find("X-Custom")));
      response.headers.set("Retry-After", "7");
      return response;
    });
    add("/large", [](net::Request&) { return net::text_response(400, std::string(1 << 20, 'x')); });
    add("/moved", [](net::Request&) {
      net::Response response = net::text_response(307, "");
      response.headers.set("Location", "/echo");
      return response;
    });
    add("/hang", [this](net::Request& request) {
      is_hanging_ = true;
      while (!request.cancel.is_cancelled() && !is_over_)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return net::text_response(200, "late");
    });
    auto server = net::Server::start(
        {.query_pool = pool_, .ingest_pool = pool_, .metrics = registry_},
        {{.name = "main", .address = "127.0.0.1:0", .router = router, .tls = std::nullopt}});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    auto egress = net::Egress::make({.allow = {"127.0.0.1"}, .ca_file = {}});
    ASSERT_TRUE(egress) << egress.error().message;
    egress_ = *std::move(egress);
    auto transport = make_net_transport({.egress = *egress_, .ca_file = {}});
    ASSERT_TRUE(transport) << transport.error().message;
    transport_ = *std::move(transport);
  }

  ~NetTransportTest() override {
    is_over_ = true;
    transport_.reset();
    if (server_) server_->stop({1000});
  }

  [[nodiscard]] std::string url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(server_->bound_port("main")) + std::string(path);
  }

  std::expected<ExportAnswer, TransportFailure> send(std::string url, DurationMs timeout = kLong,
                                                     const CancelToken& cancel = {}) {
    ExportRequest request{.method = "POST", .url = std::move(url), .headers = {}, .body = "body"};
    request.headers.set("X-Custom", "mine");
    return transport_->send(request, timeout, cancel);
  }

  std::atomic<bool> is_hanging_ = false;
  std::atomic<bool> is_over_ = false;
  core::MetricRegistry registry_;
  core::WorkerPool pool_{{}};
  std::unique_ptr<net::Server> server_;
  std::unique_ptr<net::Egress> egress_;
  std::unique_ptr<Transport> transport_;
};

TEST_F(NetTransportTest, SendsAndReadsTheAnswer) {
  for (int i = 0; i < 3; ++i) {
    const auto answer = send(url("/echo"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 202);
    EXPECT_EQ(answer->body, "body");
    EXPECT_EQ(answer->headers.find("X-Seen-Encoding"), "identity");
    EXPECT_EQ(answer->headers.find("X-Seen-Custom"), "mine");
    EXPECT_EQ(answer->headers.find("retry-after"), "7");
  }
}

TEST_F(NetTransportTest, CutsAnAnswerThatIsLong) {
  const auto answer = send(url("/large"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400);
  EXPECT_EQ(answer->body.size(), kExportAnswerBytesMax);
}

TEST_F(NetTransportTest, FollowsNoRedirect) {
  const auto answer = send(url("/moved"));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 307);
}

TEST_F(NetTransportTest, EndsWithTheTimeOrByTheCaller) {
  const auto late = send(url("/hang"), {100});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), TransportFailure::Timeout);
  is_hanging_ = false;
  const CancelToken cancel;
  std::jthread canceller([&] {
    while (!is_hanging_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    cancel.cancel();
  });
  const auto cancelled = send(url("/hang"), kLong, cancel);
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error(), TransportFailure::Cancelled);
}

TEST_F(NetTransportTest, SaysWhyThereIsNoAnswer) {
  const auto failure = [&](std::string to) {
    const auto answer = send(std::move(to));
    EXPECT_FALSE(answer);
    return answer ? TransportFailure::Broken : answer.error();
  };
  EXPECT_EQ(failure("http://169.254.169.254/latest/"), TransportFailure::Blocked);
  EXPECT_EQ(failure("https://10.1.2.3/"), TransportFailure::Blocked);
  EXPECT_EQ(failure("https://127.0.0.1:" + std::to_string(server_->bound_port("main")) + "/echo"),
            TransportFailure::Tls);
  const std::string gone = url("/echo");
  server_->stop({1000});
  server_.reset();
  EXPECT_EQ(failure(gone), TransportFailure::Connect);
}

}  // namespace
}  // namespace gantry::broadcast
