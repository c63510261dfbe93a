#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "broadcast/net_transport.h"
#include "broadcast/test_connection.h"
#include "broadcast/testing/destinations.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/version.h"
#include "core/worker_pool.h"
#include "net/egress.h"
#include "net/grpc_server.h"

namespace gantry::broadcast {
namespace {

using namespace testing;
using net::RpcCode;

constexpr DurationMs kLong{20'000};
const ManualClock kClock(TimestampMs{1'790'000'000'123});

/// A gRPC server that answers as the test says, and a transport that may reach it.
class RpcTransportTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    GTEST_SKIP() << "libgrpc is not instrumented: the sanitizer cannot see how it synchronises";
#endif
#endif
    auto egress = net::Egress::make({.allow = {"127.0.0.1"}, .ca_file = {}});
    ASSERT_TRUE(egress) << egress.error().message;
    egress_ = *std::move(egress);
    auto transport = make_net_transport({.egress = *egress_, .ca_file = {}});
    ASSERT_TRUE(transport) << transport.error().message;
    transport_ = *std::move(transport);
    std::vector<net::GrpcMethod> methods;
    methods.push_back({.name = std::string(otlp_rpc_method(Signal::Spans)),
                       .handler = [this](net::GrpcRequest& request) { return answer(request); }});
    auto server = net::GrpcServer::start(
        {.pool = pool_, .metrics = registry_, .address = "127.0.0.1:0", .tls = std::nullopt},
        std::move(methods));
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }

  ~RpcTransportTest() override {
    is_over_ = true;
    transport_.reset();
    server_.reset();
  }

  net::GrpcResponse answer(net::GrpcRequest& request) {
    if (request.body == "hang") {
      is_hanging_ = true;
      while (!request.cancel.is_cancelled() && !is_over_)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const core::Lock lock(mutex_);
    seen_ = request;
    return next_;
  }

  void answer_with(net::GrpcResponse response) {
    const core::Lock lock(mutex_);
    next_ = std::move(response);
  }

  net::GrpcRequest seen() {
    const core::Lock lock(mutex_);
    return seen_;
  }

  [[nodiscard]] Destination destination() const {
    Destination destination = grpc_destination();
    destination.config.url = "http://127.0.0.1:" + std::to_string(server_->bound_port());
    return destination;
  }

  std::expected<ExportAnswer, TransportFailure> send(std::string body, DurationMs timeout = kLong,
                                                     const CancelToken& cancel = {}) {
    auto request = make_export_request(destination(), std::move(body));
    EXPECT_TRUE(request);
    return transport_->send(*request, timeout, cancel);
  }

  core::MetricRegistry registry_;
  core::WorkerPool pool_{{.thread_count = 4, .queue_length_max = 16}};
  std::unique_ptr<net::Egress> egress_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<net::GrpcServer> server_;
  core::Mutex mutex_;
  net::GrpcResponse next_ GANTRY_GUARDED_BY(mutex_);
  net::GrpcRequest seen_ GANTRY_GUARDED_BY(mutex_);
  std::atomic<bool> is_hanging_ = false;
  std::atomic<bool> is_over_ = false;
};

TEST_F(RpcTransportTest, SendsTheMessageWithItsMetadata) {
  answer_with({.body = "taken"});
  const std::string body(100'000, 'x');
  const auto answer = send(body);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 0);
  EXPECT_EQ(answer->body, "taken");
  ASSERT_TRUE(answer->rpc);
  EXPECT_EQ(answer->rpc->code, RpcCode::Ok);
  const net::GrpcRequest request = seen();
  EXPECT_EQ(request.body, body) << "which went in gzip";
  EXPECT_EQ(request.metadata.find("authorization"), "Bearer header-secret");
  const std::string agent = "gantry/" + std::string(core::version()) + " ";
  EXPECT_TRUE(request.metadata.find("user-agent").starts_with(agent));
}

TEST_F(RpcTransportTest, BringsTheStatusWithItsDelay) {
  answer_with({.code = RpcCode::Unavailable,
               .message = "later",
               .details = net::encode_rpc_status(RpcCode::Unavailable, "later", DurationMs{2500})});
  auto answer = send("x");
  ASSERT_TRUE(answer && answer->rpc);
  EXPECT_EQ(answer->status, 14);
  EXPECT_EQ(answer->rpc->message, "later");
  EXPECT_EQ(answer->rpc->retry_delay->count, 2500);
  answer_with({.code = RpcCode::ResourceExhausted, .message = "no more"});
  answer = send("x");
  ASSERT_TRUE(answer && answer->rpc);
  EXPECT_EQ(answer->rpc->code, RpcCode::ResourceExhausted);
  EXPECT_EQ(answer->rpc->retry_delay, std::nullopt);
}

TEST_F(RpcTransportTest, ReturnsAtTheDeadlineAndWhenCancelled) {
  EXPECT_EQ(send("hang", {50}).error(), TransportFailure::Timeout);
  is_hanging_ = false;
  const CancelToken token;
  std::thread canceller([&] {
    while (!is_hanging_) std::this_thread::yield();
    token.cancel();
  });
  EXPECT_EQ(send("hang", kLong, token).error(), TransportFailure::Cancelled);
  canceller.join();
}

TEST_F(RpcTransportTest, ConnectionsAreTested) {
  const auto tested = [&](const Destination& destination) {
    const auto result =
        test_connection(destination, "openrouter", *transport_, kClock, CancelToken());
    EXPECT_FALSE(result.message.contains("header-secret")) << result.message;
    return std::string(result.is_ok ? "ok" : failure_kind_name(result.kind));
  };
  EXPECT_EQ(tested(destination()), "ok");
  EXPECT_EQ(seen().metadata.find("x-test-connection"), "true");
  answer_with({.code = RpcCode::Unauthenticated, .message = "Bearer header-secret is wrong"});
  EXPECT_EQ(tested(destination()), "unauthorized");
  answer_with({.code = RpcCode::Unimplemented});
  EXPECT_EQ(tested(destination()), "wrong_endpoint");
  Destination with_tls = destination();
  with_tls.config.url.replace(0, 4, "https");
  EXPECT_EQ(tested(with_tls), "tls");
  Destination blocked = destination();
  blocked.config.url = "https://169.254.169.254:4317";
  EXPECT_EQ(tested(blocked), "invalid_config");
  const Destination gone = destination();
  server_.reset();
  EXPECT_EQ(tested(gone), "connect");
}

}  // namespace
}  // namespace gantry::broadcast
