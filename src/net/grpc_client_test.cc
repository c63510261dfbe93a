#include "net/grpc_client.h"

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mutex.h"
#include "net/grpc_server.h"
#include "net/testing/raw_client.h"
#include "net/testing/test_server.h"

namespace gantry::net {
namespace {

using testing::wait_until;
using Outcome = std::expected<GrpcAnswer, GrpcFailure>;

constexpr const char* kEcho = "/test.v1.Echo/Export";
constexpr const char* kBlock = "/test.v1.Echo/Block";

enum class Listening : std::uint8_t { No, Yes };

/// A port on which nobody listens, or of which the owner answers nothing.
class SilentPort {
 public:
  explicit SilentPort(Listening listening) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::inet_addr("127.0.0.1");
    socklen_t length = sizeof(address);
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    is_bound_ = ::bind(socket_, raw, length) == 0 &&
                (listening == Listening::No || ::listen(socket_, 8) == 0) &&
                ::getsockname(socket_, raw, &length) == 0;
    port_ = ntohs(address.sin_port);
  }

  ~SilentPort() { ::close(socket_); }

  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  [[nodiscard]] std::uint16_t port() const {
    EXPECT_TRUE(is_bound_);
    return port_;
  }

 private:
  int socket_;
  bool is_bound_ = false;
  std::uint16_t port_ = 0;
};

class GrpcClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    GTEST_SKIP() << "libgrpc is not instrumented: the sanitizer cannot see how it synchronises";
#endif
#endif
    start_server();
    start_client();
  }

  void TearDown() override {
    is_released_ = true;
    client_.reset();
    server_.reset();
  }

  void start_server(const std::string& address = "127.0.0.1:0",
                    std::optional<TlsOptions> tls = std::nullopt) {
    server_.reset();
    GrpcServerOptions options{.pool = pool_,
                              .metrics = metrics_,
                              .address = address,
                              .tls = std::move(tls),
                              .message_bytes_max = 1 << 20};
    std::vector<GrpcMethod> methods;
    methods.push_back({.name = kEcho, .handler = [this](GrpcRequest& r) { return echo(r); }});
    methods.push_back({.name = kBlock, .handler = [this](GrpcRequest& r) { return block(r); }});
    auto started = GrpcServer::start(std::move(options), std::move(methods));
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }

  void start_client(const std::string& ca_file = "", DurationMs connect_timeout = {10'000}) {
    client_.reset();
    Egress::Options options{.allow = allow_};
    options.resolve = [this](const std::string& host) -> Result<std::vector<core::IpAddress>> {
      ++resolved_count_;
      if (host == "slow.test") {
        while (!is_released_) std::this_thread::yield();
      }
      if (host == "none.test") return fail(Code::Unavailable, "none.test: no address");
      return addresses_;
    };
    auto egress = Egress::make(std::move(options));
    ASSERT_TRUE(egress);
    egress_ = *std::move(egress);
    auto made = GrpcClient::make({.egress = *egress_,
                                  .user_agent = "gantry/test",
                                  .ca_file = ca_file,
                                  .connect_timeout = connect_timeout});
    ASSERT_TRUE(made) << made.error().message;
    client_ = *std::move(made);
  }

  [[nodiscard]] std::string url(std::string_view host = "collector.test",
                                std::string_view scheme = "http") const {
    return std::string(scheme).append("://").append(host).append(":").append(
        std::to_string(server_->bound_port()));
  }

  GrpcResponse echo(GrpcRequest& request) {
    const core::Lock lock(mutex_);
    last_ = request;
    if (request.body == "busy")
      return {.code = RpcCode::ResourceExhausted,
              .message = "slow down",
              .details = encode_rpc_status(RpcCode::ResourceExhausted, "slow down", DurationMs{1})};
    if (request.body == "lies")
      return {.code = RpcCode::Unavailable,
              .message = "failed to connect to all addresses; last error: Ssl handshake failed"};
    return {.body = request.body};
  }

  GrpcResponse block(GrpcRequest& request) {
    ++blocked_count_;
    while (!is_released_ && !request.cancel.is_cancelled()) std::this_thread::yield();
    return {.body = "late"};
  }

  GrpcRequest last() {
    const core::Lock lock(mutex_);
    return last_;
  }

  std::future<Outcome> start_call(GrpcCallRequest request,
                                  std::shared_ptr<GrpcCall>* call = nullptr) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto started = client_->start(
        std::move(request), [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
    if (call != nullptr) *call = std::move(started);
    return promise->get_future();
  }

  Outcome call(GrpcCallRequest request) { return start_call(std::move(request)).get(); }

  Outcome call(const std::string& to, std::string message = "x") {
    return call({.url = to, .method = kEcho, .metadata = {}, .message = std::move(message)});
  }

  /// The failure, or nothing when the server answered.
  std::optional<GrpcFailure> failure(const std::string& to) {
    const auto outcome = call(to);
    return outcome ? std::nullopt : std::optional(outcome.error());
  }

  std::vector<std::string> allow_ = {"127.0.0.1",  "::1",       "collector.test",
                                     "other.test", "none.test", "slow.test"};
  std::vector<core::IpAddress> addresses_ = {*core::IpAddress::parse("127.0.0.1")};
  core::MetricRegistry metrics_;
  core::WorkerPool pool_{{.thread_count = 4, .queue_length_max = 16}};
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<Egress> egress_;
  std::unique_ptr<GrpcClient> client_;
  core::Mutex mutex_;
  GrpcRequest last_ GANTRY_GUARDED_BY(mutex_);
  std::atomic<int> blocked_count_ = 0;
  std::atomic<int> resolved_count_ = 0;
  std::atomic<bool> is_released_ = false;
};

TEST_F(GrpcClientTest, SendsBytesAndMetadataAndGetsTheAnswer) {
  GrpcCallRequest request{.url = url(), .method = kEcho, .message = std::string(100'000, 'x')};
  request.metadata.add("Authorization", "Bearer token");
  request.metadata.add("X-Scope", "a");
  const auto answer = call(std::move(request));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code, RpcCode::Ok);
  EXPECT_EQ(answer->body, std::string(100'000, 'x'));
  const GrpcRequest seen = last();
  EXPECT_EQ(seen.metadata.find("authorization"), "Bearer token");
  EXPECT_EQ(seen.metadata.find("x-scope"), "a");
  EXPECT_TRUE(seen.metadata.find("user-agent").starts_with("gantry/test grpc-c++/"))
      << seen.metadata.find("user-agent");
  EXPECT_EQ(seen.metadata.find("grpc-encoding"), "");
}

TEST_F(GrpcClientTest, CompressesWhenAsked) {
  const std::string message(1 << 20, 'x');
  const auto answer = call({.url = url(),
                            .method = kEcho,
                            .metadata = {},
                            .message = message,
                            .compression = GrpcCompression::Gzip});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, message);
}

TEST_F(GrpcClientTest, HandsOverWhatTheServerSays) {
  const auto busy = call(url(), "busy");
  ASSERT_TRUE(busy);
  EXPECT_EQ(busy->code, RpcCode::ResourceExhausted);
  EXPECT_EQ(busy->message, "slow down");
  EXPECT_EQ(busy->details,
            encode_rpc_status(RpcCode::ResourceExhausted, "slow down", DurationMs{1}));
  const auto unknown = call({.url = url(), .method = "/test.v1.Echo/Nope"});
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->code, RpcCode::Unimplemented);
  const auto large = call(url(), std::string((1 << 20) + 1, 'x'));
  ASSERT_TRUE(large);
  EXPECT_EQ(large->code, RpcCode::ResourceExhausted);
  EXPECT_NE(large->message.find("larger than max"), std::string::npos) << large->message;
  const auto passed_on = call(url(), "lies");
  ASSERT_TRUE(passed_on) << "a proxy's own trouble is its answer";
  EXPECT_EQ(passed_on->code, RpcCode::Unavailable);
}

TEST_F(GrpcClientTest, KeepsTheConnection) {
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(call(url()));
  EXPECT_EQ(resolved_count_, 1) << "and the addresses, for a while";
}

TEST_F(GrpcClientTest, ConnectsAgainAfterTheServerHasRestarted) {
  ASSERT_TRUE(call(url()));
  const std::string address = "127.0.0.1:" + std::to_string(server_->bound_port());
  const std::string same = url();
  server_.reset();
  const auto gone = call(same);
  ASSERT_FALSE(gone);
  EXPECT_TRUE(gone.error() == GrpcFailure::Connect || gone.error() == GrpcFailure::Broken);
  start_server(address);
  EXPECT_TRUE(call(same)) << "at once: gRPC's own back-off is not waited for";
  EXPECT_EQ(resolved_count_, 2);
}

TEST_F(GrpcClientTest, TriesTheOtherFamilyOfAddresses) {
  addresses_ = {*core::IpAddress::parse("::1"), *core::IpAddress::parse("127.0.0.1")};
  EXPECT_TRUE(call(url())) << "nobody listens on ::1";
  EXPECT_TRUE(call(url()));
}

TEST_F(GrpcClientTest, AsksTheEgressRules) {
  EXPECT_EQ(failure(url("unlisted.test")), GrpcFailure::BadRequest) << "not without TLS";
  EXPECT_EQ(failure(url("unlisted.test", "https")), GrpcFailure::Forbidden) << "its port";
  EXPECT_EQ(failure("http://169.254.169.254:4317"), GrpcFailure::BadRequest);
  EXPECT_EQ(failure("https://169.254.169.254:4317"), GrpcFailure::Forbidden);
  addresses_ = {*core::IpAddress::parse("127.0.0.1"), *core::IpAddress::parse("169.254.169.254")};
  EXPECT_EQ(failure(url("other.test")), GrpcFailure::Forbidden) << "one such address is enough";
  EXPECT_EQ(failure(url("none.test")), GrpcFailure::Resolve);
  addresses_ = {*core::IpAddress::parse("127.0.0.1")};
  ASSERT_TRUE(egress_->refuse_own({{.host = "127.0.0.1", .port = server_->bound_port()}}));
  EXPECT_EQ(failure(url("other.test")), GrpcFailure::Forbidden) << "round in a circle";
}

TEST_F(GrpcClientTest, IgnoresProxiesOfTheEnvironment) {
  const SilentPort proxy(Listening::Yes);
  const std::string proxy_url = "http://127.0.0.1:" + std::to_string(proxy.port());
  for (const char* const name : {"grpc_proxy", "http_proxy", "https_proxy"})
    ASSERT_EQ(::setenv(name, proxy_url.c_str(), 1), 0);
  EXPECT_TRUE(call(url()));
  for (const char* const name : {"grpc_proxy", "http_proxy", "https_proxy"}) ::unsetenv(name);
}

TEST_F(GrpcClientTest, RefusesWhatCannotBeSent) {
  EXPECT_EQ(failure(url() + "/v1/traces"), GrpcFailure::BadRequest);
  EXPECT_EQ(failure("grpc://collector.test:4317"), GrpcFailure::BadRequest);
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"a-bin", "x"},
                                                        {"grpc-timeout", "1S"},
                                                        {":path", "x"},
                                                        {"", "x"},
                                                        {"a b", "x"},
                                                        {"User-Agent", "x"},
                                                        {"TE", "x"},
                                                        {"a", "x\n"},
                                                        {"a", "\x80"}}) {
    GrpcCallRequest request{.url = url(), .method = kEcho};
    request.metadata.add(name, value);
    const auto outcome = call(std::move(request));
    ASSERT_FALSE(outcome) << name;
    EXPECT_EQ(outcome.error(), GrpcFailure::BadRequest) << name;
  }
  EXPECT_EQ(grpc_metadata_problem("X-Scope.Org_1", "a b~"), "");
  EXPECT_EQ(blocked_count_, 0);
}

TEST_F(GrpcClientTest, TellsWhyThereIsNoConnection) {
  const SilentPort closed(Listening::No);
  EXPECT_EQ(failure("http://127.0.0.1:" + std::to_string(closed.port())), GrpcFailure::Connect);
  testing::TestServer http;
  EXPECT_EQ(failure("http://127.0.0.1:" + std::to_string(http.port())), GrpcFailure::NotGrpc);
  EXPECT_EQ(failure(url("collector.test", "https")), GrpcFailure::Tls) << "it speaks none";
}

TEST_F(GrpcClientTest, GivesUpOnThoseWhoSayNothing) {
  start_client("", {100});
  const SilentPort silent(Listening::Yes);
  EXPECT_EQ(failure("http://127.0.0.1:" + std::to_string(silent.port())), GrpcFailure::Timeout);
  const auto late = call({.url = url(), .method = kBlock, .timeout = {100}});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), GrpcFailure::Timeout);
}

TEST_F(GrpcClientTest, ChecksCertificatesByTheName) {
  std::string directory = (std::filesystem::temp_directory_path() / "gantry-grpc-XXXXXX").string();
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const auto files = testing::write_certificate(directory, "grpc");
  start_server("127.0.0.1:0", TlsOptions{.certificate_file = files.certificate_file,
                                         .private_key_file = files.private_key_file});
  EXPECT_EQ(failure(url("127.0.0.1", "https")), GrpcFailure::Tls) << "no authority we know";
  start_client(files.certificate_file);
  EXPECT_EQ(failure(url("127.0.0.1", "https")), std::nullopt);
  EXPECT_EQ(failure(url("collector.test", "https")), GrpcFailure::Tls) << "another's name";
  EXPECT_EQ(failure(url("127.0.0.1", "http")), GrpcFailure::Connect);
  const auto wrong =
      GrpcClient::make({.egress = *egress_, .user_agent = "", .ca_file = files.private_key_file});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::InvalidArgument);
  std::filesystem::remove_all(directory);
}

TEST_F(GrpcClientTest, CancelsBeforeAndDuringTheCall) {
  std::shared_ptr<GrpcCall> running;
  auto during = start_call({.url = url(), .method = kBlock}, &running);
  wait_until([&] { return blocked_count_ == 1; });
  running->cancel();
  EXPECT_EQ(during.get().error(), GrpcFailure::Cancelled);
  running->cancel();
  std::shared_ptr<GrpcCall> waiting;
  auto before = start_call({.url = url("slow.test"), .method = kEcho}, &waiting);
  waiting->cancel();
  EXPECT_EQ(before.get().error(), GrpcFailure::Cancelled);
}

TEST_F(GrpcClientTest, EndsItsCallsWhenItGoes) {
  auto blocked = start_call({.url = url(), .method = kBlock});
  wait_until([&] { return blocked_count_ == 1; });
  auto resolving = start_call({.url = url("slow.test"), .method = kEcho});
  client_.reset();
  EXPECT_EQ(blocked.get().error(), GrpcFailure::Cancelled);
  EXPECT_EQ(resolving.get().error(), GrpcFailure::Cancelled);
  is_released_ = true;
  egress_.reset();  // Its look-up ends after the client.
}

TEST_F(GrpcClientTest, ManyCallsShareOneConnection) {
  std::vector<std::future<Outcome>> calls;
  for (int i = 0; i < 64; ++i)
    calls.push_back(start_call({.url = url(), .method = kEcho, .message = std::to_string(i)}));
  int answered = 0;
  for (auto& each : calls) {
    const auto outcome = each.get();
    // The server's pool has sixteen places, and says so when they are taken.
    answered += outcome && (outcome->code == RpcCode::Ok || outcome->code == RpcCode::Unavailable);
  }
  EXPECT_EQ(answered, 64);
  // Those that come together share a look-up, and it may take until the next that one begins.
  EXPECT_LT(resolved_count_, 64);
}

}  // namespace
}  // namespace gantry::net
