#include "net/grpc_server.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "core/mutex.h"
#include "net/testing/raw_client.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

using testing::wait_until;

constexpr const char* kEcho = "/test.v1.Echo/Export";
constexpr const char* kBlock = "/test.v1.Echo/Block";
constexpr const char* kHealth = "/grpc.health.v1.Health/Check";

struct Reply {
  grpc::Status status;
  std::string body;
  std::multimap<std::string, std::string> trailers;
};

class GrpcServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    GTEST_SKIP() << "libgrpc is not instrumented: the sanitizer cannot see how it synchronises";
#endif
#endif
    start({.thread_count = 2, .queue_length_max = 16});
  }

  void TearDown() override {
    is_released_ = true;
    server_.reset();
  }

  void start(core::WorkerPool::Options pool_options, std::optional<TlsOptions> tls = std::nullopt) {
    server_.reset();
    pool_ = std::make_unique<core::WorkerPool>(pool_options);
    GrpcServerOptions options{.pool = *pool_,
                              .metrics = metrics_,
                              .address = "127.0.0.1:0",
                              .tls = std::move(tls),
                              .message_bytes_max = 1 << 20};
    std::vector<GrpcMethod> methods;
    methods.push_back({.name = kEcho, .handler = [this](GrpcRequest& r) { return echo(r); }});
    methods.push_back({.name = kBlock, .handler = [this](GrpcRequest& r) { return block(r); }});
    auto started = GrpcServer::start(std::move(options), std::move(methods));
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
    channel_ = grpc::CreateChannel(target(), grpc::InsecureChannelCredentials());
  }

  [[nodiscard]] std::string target() const {
    return "127.0.0.1:" + std::to_string(server_->bound_port());
  }

  GrpcResponse echo(GrpcRequest& request) {
    last_ = request;
    padding_ = request.body.capacity() - request.body.size();
    if (request.body == "throw") throw std::runtime_error("secret");
    if (request.body == "busy") {
      return {.code = RpcCode::ResourceExhausted,
              .message = "slow down",
              .details = encode_rpc_status(RpcCode::ResourceExhausted, "slow down", DurationMs{1})};
    }
    GrpcResponse response{.body = request.body};
    response.trailers.add("x-extra", "1");
    return response;
  }

  GrpcResponse block(GrpcRequest& request) {
    ++blocked_count_;
    while (!is_released_ && !request.cancel.is_cancelled()) std::this_thread::yield();
    if (request.cancel.is_cancelled()) ++cancelled_count_;
    return {};
  }

  Reply call(const std::string& method, const std::string& body,
             const std::function<void(grpc::ClientContext&)>& prepare = {}) {
    grpc::ClientContext context;
    return call(context, method, body, prepare);
  }

  Reply call(grpc::ClientContext& context, const std::string& method, const std::string& body,
             const std::function<void(grpc::ClientContext&)>& prepare = {}) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    if (prepare) prepare(context);
    const grpc::Slice slice(body);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer answer;
    grpc::GenericStub stub(channel_);
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, method, {}, &request, &answer,
                   [&](grpc::Status status) { done.set_value(std::move(status)); });
    Reply reply{.status = done.get_future().get()};
    std::vector<grpc::Slice> slices;
    if (reply.status.ok() && answer.Dump(&slices).ok()) {
      for (const grpc::Slice& piece : slices) {
        reply.body.append(reinterpret_cast<const char*>(piece.begin()), piece.size());
      }
    }
    for (const auto& [name, value] : context.GetServerTrailingMetadata()) {
      reply.trailers.emplace(std::string(name.data(), name.size()),
                             std::string(value.data(), value.size()));
    }
    return reply;
  }

  core::MetricRegistry metrics_;
  std::unique_ptr<core::WorkerPool> pool_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  GrpcRequest last_;
  std::size_t padding_ = 0;
  std::atomic<int> blocked_count_ = 0;
  std::atomic<int> cancelled_count_ = 0;
  std::atomic<bool> is_released_ = false;
};

TEST_F(GrpcServerTest, HandsBytesToTheHandler) {
  const std::string body(100'000, 'x');
  const Reply reply = call(kEcho, body, [](grpc::ClientContext& context) {
    context.AddMetadata("authorization", "Bearer token");
    context.AddMetadata("x-request-id", "id-1");
  });
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(reply.body, body);
  EXPECT_EQ(reply.trailers.count("x-extra"), 1U);
  EXPECT_EQ(last_.method, kEcho);
  EXPECT_EQ(last_.metadata.find("authorization"), "Bearer token");
  EXPECT_EQ(last_.request_id, "id-1");
  EXPECT_EQ(last_.peer_address, "127.0.0.1");
  EXPECT_GE(padding_, kBodyPaddingBytes);
  EXPECT_EQ(call(kEcho, "").body, "");
  EXPECT_GE(padding_, kBodyPaddingBytes);
}

TEST_F(GrpcServerTest, SendsStatusDetails) {
  const Reply reply = call(kEcho, "busy");
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(reply.status.error_message(), "slow down");
  const std::string expected =
      encode_rpc_status(RpcCode::ResourceExhausted, "slow down", DurationMs{1});
  EXPECT_EQ(reply.status.error_details(), expected);
  const auto trailer = reply.trailers.find("grpc-status-details-bin");
  ASSERT_NE(trailer, reply.trailers.end());
  EXPECT_EQ(trailer->second, expected);
}

TEST_F(GrpcServerTest, RefusesUnknownMethods) {
  const Reply reply = call("/test.v1.Echo/Nope", "x");
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(reply.status.error_message(), "unknown method /test.v1.Echo/Nope");
}

TEST_F(GrpcServerTest, TurnsAnExceptionIntoInternal) {
  const Reply reply = call(kEcho, "throw");
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(reply.status.error_message().find("secret"), std::string::npos);
}

TEST_F(GrpcServerTest, LimitsMessages) {
  EXPECT_TRUE(call(kEcho, std::string(1 << 20, 'x')).status.ok());
  const Reply reply = call(kEcho, std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(reply.status.error_details(), "") << "no RetryInfo: a retry never helps";
}

TEST_F(GrpcServerTest, InflatesMessagesUpToTheLimit) {
  const auto compressed = [](grpc::ClientContext& context) {
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  };
  const std::string largest(1 << 20, 'x');
  EXPECT_EQ(call(kEcho, largest, compressed).body, largest);
  const Reply reply = call(kEcho, largest + "x", compressed);
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(reply.status.error_message().find("http.body_decompressed_bytes_max"),
            std::string::npos)
      << reply.status.error_message();
  const Reply broken = call(kEcho, "\x1f\x8b not gzip");
  EXPECT_EQ(broken.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcServerTest, RefusesCodingsThatItCannotTell) {
  const Reply reply = call(kEcho, std::string(10'000, 'x'), [](grpc::ClientContext& context) {
    context.set_compression_algorithm(GRPC_COMPRESS_DEFLATE);
  });
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(GrpcServerTest, RefusesWorkWhenTheQueueIsFull) {
  start({.thread_count = 1, .queue_length_max = 1});
  auto running = std::async(std::launch::async, [&] { return call(kBlock, ""); });
  wait_until([&] { return blocked_count_ == 1; });
  auto queued = std::async(std::launch::async, [&] { return call(kBlock, ""); });
  wait_until([&] { return pool_->queue_length() == 1; });
  const Reply refused = call(kEcho, "x");
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(refused.status.error_details().find("google.rpc.RetryInfo"), std::string::npos);
  server_->set_serving(true);
  EXPECT_TRUE(call(kHealth, "").status.ok()) << "health needs no worker";
  is_released_ = true;
  EXPECT_TRUE(running.get().status.ok());
  EXPECT_TRUE(queued.get().status.ok());
}

TEST_F(GrpcServerTest, AnswersHealthChecks) {
  EXPECT_EQ(call(kHealth, "").body, std::string("\x08\x02", 2));
  server_->set_serving(true);
  EXPECT_EQ(call(kHealth, "").body, std::string("\x08\x01", 2));
  EXPECT_EQ(call(kHealth, "\x0a\x0ctest.v1.Echo").body, std::string("\x08\x01", 2));
  EXPECT_EQ(call(kHealth, "\x0a\x04nope").status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(call(kHealth, "\x0a\x7fx").status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(GrpcServerTest, CancelsTheHandlerWithTheCall) {
  grpc::ClientContext context;  // outlives TryCancel, which the call's end may overtake
  auto reply = std::async(std::launch::async, [&] { return call(context, kBlock, ""); });
  wait_until([&] { return blocked_count_ == 1; });
  context.TryCancel();
  EXPECT_EQ(reply.get().status.error_code(), grpc::StatusCode::CANCELLED);
  wait_until([&] { return cancelled_count_ == 1; });
}

TEST_F(GrpcServerTest, CancelsTheHandlerAtTheDeadline) {
  const Reply reply = call(kBlock, "", [](grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  });
  EXPECT_EQ(reply.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  wait_until([&] { return cancelled_count_ == 1; });
}

TEST_F(GrpcServerTest, StopsWithAndWithoutGrace) {
  auto finishing = std::async(std::launch::async, [&] { return call(kBlock, ""); });
  wait_until([&] { return blocked_count_ == 1; });
  auto stopped = std::async(std::launch::async, [&] { server_->stop({10'000}); });
  EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  is_released_ = true;
  EXPECT_TRUE(finishing.get().status.ok());
  stopped.get();

  is_released_ = false;
  start({.thread_count = 2, .queue_length_max = 16});
  auto cut = std::async(std::launch::async, [&] { return call(kBlock, ""); });
  wait_until([&] { return blocked_count_ == 2; });
  server_->stop({20});
  EXPECT_EQ(cancelled_count_, 1);
  EXPECT_FALSE(cut.get().status.ok());
}

TEST_F(GrpcServerTest, ServesTls) {
  std::string directory = (std::filesystem::temp_directory_path() / "gantry-grpc-XXXXXX").string();
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const auto files = testing::write_certificate(directory, "grpc");
  start({.thread_count = 1}, TlsOptions{.certificate_file = files.certificate_file,
                                        .private_key_file = files.private_key_file});
  std::stringstream authority;
  authority << std::ifstream(files.certificate_file).rdbuf();
  grpc::SslCredentialsOptions credentials;
  credentials.pem_root_certs = authority.str();
  channel_ = grpc::CreateChannel(target(), grpc::SslCredentials(credentials));
  const Reply reply = call(kEcho, "secure");
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  EXPECT_EQ(reply.body, "secure");
  EXPECT_TRUE(last_.is_tls);
  server_.reset();
  std::filesystem::remove_all(directory);
}

TEST_F(GrpcServerTest, SaysWhyItCannotListen) {
  GrpcServerOptions options{.pool = *pool_, .metrics = metrics_, .address = target()};
  const auto busy = GrpcServer::start(std::move(options), {});
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, Code::Unavailable);
  EXPECT_TRUE(busy.error().message.starts_with("cannot listen for gRPC on " + target()));
}

}  // namespace
}  // namespace gantry::net
