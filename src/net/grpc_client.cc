#include "net/grpc_client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "core/mutex.h"
#include "net/grpc_log_internal.h"
#include "net/grpc_message_internal.h"

namespace gantry::net {
namespace {

/// What the addresses of a host are asked and checked again after.
constexpr std::int64_t kCheckedForNs = 60'000'000'000;
constexpr std::int64_t kIdleForNs = 600'000'000'000;
constexpr std::size_t kRoutesMax = 1024;
// Servers written in Go end connections that are pinged more often than every five minutes. What
// matters here is the time-out, by which the kernel gives up on data that nobody acknowledges.
constexpr int kKeepAliveMs = 300'000;
constexpr int kKeepAliveTimeoutMs = 20'000;
constexpr int kMetadataBytesMax = 64 << 10;

/// Names that gRPC writes itself, or that mean something to HTTP/2.
constexpr std::array<std::string_view, 8> kOurMetadata = {
    "te",           "host",           "connection",       "user-agent",
    "content-type", "content-length", "content-encoding", "transfer-encoding"};

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(parts, [&](std::string_view part) { return text.contains(part); });
}

/// "collector:4317", "[::1]:4317".
std::string authority_of(const EgressUrl& url) {
  const bool is_v6 = url.address && !url.address->is_v4();
  return fmt::format("{}{}{}:{}", is_v6 ? "[" : "", url.host, is_v6 ? "]" : "", url.port);
}

/// What gRPC connects to without a name: one list for each family, since it cannot mix them, and
/// that of the resolver's first choice first.
std::vector<std::string> targets_of(const std::vector<core::IpAddress>& addresses,
                                    std::uint16_t port) {
  std::array<std::string, 2> by_family;
  for (const core::IpAddress& address : addresses) {
    std::string& target = by_family.at(address.is_v4() ? 0 : 1);
    target += target.empty() ? (address.is_v4() ? "ipv4:" : "ipv6:") : ",";
    target += address.is_v4() ? fmt::format("{}:{}", address.text(), port)
                              : fmt::format("[{}]:{}", address.text(), port);
  }
  if (!addresses.front().is_v4()) std::swap(by_family[0], by_family[1]);
  std::vector<std::string> targets;
  for (std::string& target : by_family)
    if (!target.empty()) targets.push_back(std::move(target));
  return targets;
}

/// Why there was no connection, by the words of gRPC 1.51, which has no codes for it.
GrpcFailure connect_failure(std::string_view words) {
  if (contains_any(words, {"Ssl handshake failed", "is not in peer certificate"}))
    return GrpcFailure::Tls;
  if (contains_any(words, {"Failed parsing HTTP/2", "http1.x"})) return GrpcFailure::NotGrpc;
  if (contains_any(words, {"timed out", "Timeout"})) return GrpcFailure::Timeout;
  return GrpcFailure::Connect;
}

/// Nothing: the server has spoken.
std::optional<GrpcFailure> failure_of(const grpc::Status& status, const std::string& debug_text) {
  // A proxy may pass such words on as a server's answer; then gRPC says so in front of them.
  const bool is_of_peer = debug_text.contains("Error received from peer");
  const std::string words = status.error_message();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    if (!is_of_peer && words.starts_with("failed to connect")) return connect_failure(words);
    if (!is_of_peer || words == "Socket closed" ||
        contains_any(words, {"Connection reset by peer", "Broken pipe", "keepalive watchdog"}))
      return GrpcFailure::Broken;
  }
  return std::nullopt;
}

RpcCode code_of(const grpc::Status& status) {
  const int number = status.error_code();
  return number >= 0 && number <= static_cast<int>(RpcCode::Unauthenticated)
             ? static_cast<RpcCode>(number)
             : RpcCode::Unknown;
}

/// A host that is sent to. Only under the mutex of the client.
struct Route {
  std::vector<std::string> targets;
  std::vector<std::shared_ptr<grpc::Channel>> channels;  ///< Of each target; made when needed.
  std::size_t current = 0;                               ///< The one to be used.
  std::int64_t checked_ns = 0;
  std::int64_t used_ns = 0;
};

}  // namespace

struct GrpcClient::State {
  explicit State(Options given) : options(std::move(given)) {}

  Result<void> read_authorities();
  void run();
  void close();

  /// False: the client is closed.
  bool enter(const std::shared_ptr<Call>& call);
  void leave(const Call& call);

  /// Whether the host's addresses were checked a short time ago.
  bool is_checked(const EgressUrl& url);
  void set_addresses(const EgressUrl& url, const std::vector<core::IpAddress>& addresses);
  /// Null: the host has been forgotten.
  std::shared_ptr<grpc::Channel> channel_of(const EgressUrl& url);
  /// Goes on to the next target if `channel`, which did not connect, is that of the current one.
  /// Returns how many targets there are.
  std::size_t pass_over(const std::string& origin, const grpc::Channel& channel);
  void forget(const std::string& origin, const grpc::Channel& channel);

  std::shared_ptr<grpc::Channel> make_channel(const EgressUrl& url, const std::string& target);
  void forget_idle_routes() GANTRY_REQUIRES(mutex);

  const Options options;
  std::string authorities;  ///< PEM; empty: the system's.
  grpc::CompletionQueue queue;
  core::Mutex mutex;
  core::ConditionVariable left;
  bool is_closed GANTRY_GUARDED_BY(mutex) = false;
  std::set<std::shared_ptr<Call>> calls GANTRY_GUARDED_BY(mutex);
  std::map<std::string, Route> routes GANTRY_GUARDED_BY(mutex);  ///< By origin.
  std::thread thread;  ///< Takes what has ended from `queue`.
};

/// One call: look-up, then one attempt for each family of addresses until one connects.
class GrpcClient::Call final : public GrpcCall, public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<State> state, GrpcCallRequest request, OnEnd on_end)
      : state_(std::move(state)),
        request_(std::move(request)),
        deadline_(std::chrono::system_clock::now() +
                  std::chrono::milliseconds(request_.timeout.count)),
        on_end_(std::move(on_end)) {}

  void start();
  void cancel() override;

  /// On the client's thread: gRPC is through with the attempt.
  void attempt_ended();

 private:
  struct Attempt {
    std::shared_ptr<grpc::Channel> channel;
    grpc::ClientContext context;
    grpc::ByteBuffer answer;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader;
  };

  [[nodiscard]] bool is_well_formed() const;
  void launch();
  std::expected<GrpcAnswer, GrpcFailure> outcome_of(const Attempt& attempt, bool is_cancelled);
  void end(std::expected<GrpcAnswer, GrpcFailure> outcome);

  const std::shared_ptr<State> state_;
  GrpcCallRequest request_;
  const std::chrono::system_clock::time_point deadline_;
  EgressUrl url_;
  std::size_t tried_ = 0;  ///< Targets that did not connect. Touched by one thread after another.
  core::Mutex mutex_;
  OnEnd on_end_ GANTRY_GUARDED_BY(mutex_);  ///< Empty: the call is over.
  bool is_cancelled_ GANTRY_GUARDED_BY(mutex_) = false;
  std::unique_ptr<Attempt> attempt_ GANTRY_GUARDED_BY(mutex_);  ///< With gRPC.
};

bool GrpcClient::Call::is_well_formed() const {
  return request_.method.starts_with('/') &&
         std::ranges::all_of(request_.metadata.fields(), [](const auto& field) {
           return grpc_metadata_problem(field.first, field.second).empty();
         });
}

void GrpcClient::Call::start() {
  if (!state_->enter(shared_from_this())) return end(std::unexpected(GrpcFailure::Cancelled));
  auto url = state_->options.egress.check(request_.url);
  if (!url)
    return end(std::unexpected(url.error().code == Code::PermissionDenied
                                   ? GrpcFailure::Forbidden
                                   : GrpcFailure::BadRequest));
  url_ = *std::move(url);
  const bool is_known_scheme = url_.scheme == "https" || url_.scheme == "http";
  if (!is_known_scheme || url_.target != "/" || !is_well_formed())
    return end(std::unexpected(GrpcFailure::BadRequest));
  if (state_->is_checked(url_)) return launch();
  state_->options.egress.find_destination(
      url_, [self = shared_from_this()](Result<Egress::Destination> found) {
        if (found) {
          self->state_->set_addresses(self->url_, found->addresses);
          return self->launch();
        }
        const Code code = found.error().code;
        self->end(std::unexpected(code == Code::PermissionDenied    ? GrpcFailure::Forbidden
                                  : code == Code::ResourceExhausted ? GrpcFailure::Overloaded
                                                                    : GrpcFailure::Resolve));
      });
}

void GrpcClient::Call::launch() {
  auto channel = state_->channel_of(url_);
  if (channel == nullptr) return end(std::unexpected(GrpcFailure::Connect));
  auto attempt = std::make_unique<Attempt>();
  attempt->channel = std::move(channel);
  attempt->context.set_deadline(deadline_);
  if (request_.compression == GrpcCompression::Gzip)
    attempt->context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  for (const auto& [name, value] : request_.metadata.fields())
    attempt->context.AddMetadata(lower_case(name), value);
  grpc::GenericStub stub(attempt->channel);
  const grpc::ByteBuffer message = to_buffer(request_.message);
  // Over gRPC's calls, too: nothing may be started once `cancel` has been here. Its completions
  // come on another thread.
  const core::Lock lock(mutex_);
  if (!on_end_) return;
  attempt_ = std::move(attempt);
  attempt_->reader =
      stub.PrepareUnaryCall(&attempt_->context, request_.method, message, &state_->queue);
  attempt_->reader->StartCall();
  attempt_->reader->Finish(&attempt_->answer, &attempt_->status, this);
}

void GrpcClient::Call::cancel() {
  {
    const core::Lock lock(mutex_);
    is_cancelled_ = true;
    if (attempt_ != nullptr) return attempt_->context.TryCancel();
  }
  end(std::unexpected(GrpcFailure::Cancelled));
}

void GrpcClient::Call::attempt_ended() {
  std::unique_ptr<Attempt> attempt;
  bool is_cancelled = false;
  {
    const core::Lock lock(mutex_);
    attempt = std::move(attempt_);
    is_cancelled = is_cancelled_;
  }
  auto outcome = outcome_of(*attempt, is_cancelled);
  if (outcome) return end(std::move(outcome));
  const GrpcFailure failure = outcome.error();
  if (failure == GrpcFailure::Connect &&
      ++tried_ < state_->pass_over(url_.origin(), *attempt->channel))
    return launch();  // Nothing has been sent yet.
  // A new connection, to addresses that are looked up anew: gRPC would wait longer and longer
  // before it tries again, and a connection that hangs stays.
  if (failure != GrpcFailure::Cancelled) state_->forget(url_.origin(), *attempt->channel);
  end(std::move(outcome));
}

std::expected<GrpcAnswer, GrpcFailure> GrpcClient::Call::outcome_of(const Attempt& attempt,
                                                                    bool is_cancelled) {
  const grpc::Status& status = attempt.status;
  if (status.ok()) {
    auto body = read_message(attempt.answer, {.bytes = state_->options.answer_bytes_max});
    // The server has taken the message, whatever it says about it.
    return GrpcAnswer{.body = body ? *std::move(body) : std::string()};
  }
  if (is_cancelled) return std::unexpected(GrpcFailure::Cancelled);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      std::chrono::system_clock::now() >= deadline_)
    return std::unexpected(GrpcFailure::Timeout);
  if (const auto failure = failure_of(status, attempt.context.debug_error_string()))
    return std::unexpected(*failure);
  return GrpcAnswer{.code = code_of(status),
                    .message = status.error_message(),
                    .details = status.error_details()};
}

void GrpcClient::Call::end(std::expected<GrpcAnswer, GrpcFailure> outcome) {
  OnEnd on_end;
  {
    const core::Lock lock(mutex_);
    std::swap(on_end, on_end_);
  }
  if (!on_end) return;
  on_end(std::move(outcome));
  state_->leave(*this);
}

Result<void> GrpcClient::State::read_authorities() {
  if (options.ca_file.empty()) return {};
  std::ifstream file(options.ca_file, std::ios::binary);
  authorities.assign(std::istreambuf_iterator<char>(file), {});
  // gRPC would only fail each handshake.
  if (file && authorities.contains("-----BEGIN CERTIFICATE-----")) return {};
  return fail(Code::InvalidArgument,
              fmt::format("TLS: cannot use the authorities in \"{}\"", options.ca_file));
}

void GrpcClient::State::run() {
  void* tag = nullptr;
  bool is_ok = false;
  while (queue.Next(&tag, &is_ok)) {
    // The tag is in `calls` until it leaves.
    const auto call = static_cast<Call*>(tag)->shared_from_this();
    call->attempt_ended();
  }
}

void GrpcClient::State::close() {
  std::set<std::shared_ptr<Call>> under_way;
  {
    const core::Lock lock(mutex);
    is_closed = true;
    under_way = calls;
  }
  for (const auto& call : under_way) call->cancel();
  under_way.clear();
  {
    core::Lock lock(mutex);
    while (!calls.empty()) left.wait(lock);
    routes.clear();
  }
  queue.Shutdown();
  thread.join();
}

bool GrpcClient::State::enter(const std::shared_ptr<Call>& call) {
  const core::Lock lock(mutex);
  if (is_closed) return false;
  calls.insert(call);
  return true;
}

void GrpcClient::State::leave(const Call& call) {
  std::shared_ptr<const Call> last;  // Not destroyed under the lock.
  const core::Lock lock(mutex);
  const auto found = std::ranges::find(calls, &call, [](const auto& each) { return each.get(); });
  if (found == calls.end()) return;
  last = *found;
  calls.erase(found);
  left.notify_all();
}

bool GrpcClient::State::is_checked(const EgressUrl& url) {
  const std::int64_t now_ns = monotonic_ns();
  const core::Lock lock(mutex);
  const auto found = routes.find(url.origin());
  if (found == routes.end() || now_ns - found->second.checked_ns > kCheckedForNs) return false;
  found->second.used_ns = now_ns;
  return true;
}

void GrpcClient::State::set_addresses(const EgressUrl& url,
                                      const std::vector<core::IpAddress>& addresses) {
  std::vector<std::string> targets = targets_of(addresses, url.port);
  const std::int64_t now_ns = monotonic_ns();
  const core::Lock lock(mutex);
  forget_idle_routes();
  Route& route = routes[url.origin()];
  route.checked_ns = route.used_ns = now_ns;
  if (route.targets == targets) return;
  route.channels.assign(targets.size(), nullptr);
  route.targets = std::move(targets);
  route.current = 0;
}

void GrpcClient::State::forget_idle_routes() {
  const std::int64_t now_ns = monotonic_ns();
  std::erase_if(routes,
                [&](const auto& each) { return now_ns - each.second.used_ns > kIdleForNs; });
  while (routes.size() >= kRoutesMax)
    routes.erase(
        std::ranges::min_element(routes, {}, [](const auto& each) { return each.second.used_ns; }));
}

std::shared_ptr<grpc::Channel> GrpcClient::State::channel_of(const EgressUrl& url) {
  const core::Lock lock(mutex);
  const auto found = routes.find(url.origin());
  if (found == routes.end()) return nullptr;
  Route& route = found->second;
  auto& channel = route.channels.at(route.current);
  if (channel == nullptr) channel = make_channel(url, route.targets.at(route.current));
  return channel;
}

std::size_t GrpcClient::State::pass_over(const std::string& origin, const grpc::Channel& channel) {
  const core::Lock lock(mutex);
  const auto found = routes.find(origin);
  if (found == routes.end()) return 0;
  Route& route = found->second;
  if (route.channels.at(route.current).get() == &channel)
    route.current = (route.current + 1) % route.targets.size();
  return route.targets.size();
}

void GrpcClient::State::forget(const std::string& origin, const grpc::Channel& channel) {
  const core::Lock lock(mutex);
  const auto found = routes.find(origin);
  if (found == routes.end()) return;
  const auto is_this = [&](const auto& each) { return each.get() == &channel; };
  if (std::ranges::any_of(found->second.channels, is_this)) routes.erase(found);
}

std::shared_ptr<grpc::Channel> GrpcClient::State::make_channel(const EgressUrl& url,
                                                               const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, authority_of(url));
  arguments.SetUserAgentPrefix(options.user_agent);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.answer_bytes_max));
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);  // see read_message
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // Else a connection that failed elsewhere in the program holds this one up.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Also how long a connection may take to come about.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   static_cast<int>(options.connect_timeout.count));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepAliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepAliveTimeoutMs);
  if (url.scheme == "http")
    return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = authorities;
  return grpc::CreateCustomChannel(target, grpc::SslCredentials(tls), arguments);
}

std::string_view grpc_metadata_problem(std::string_view name, std::string_view value) {
  const std::string known = lower_case(name);
  const bool is_key = !known.empty() && std::ranges::all_of(known, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
  if (!is_key) return "is not a name of gRPC metadata (letters, digits, '-', '_' and '.')";
  if (known.ends_with("-bin")) return "is binary metadata, which cannot be set";
  if (known.starts_with("grpc-") || std::ranges::find(kOurMetadata, known) != kOurMetadata.end())
    return "is set by the sender";
  if (!std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; }))
    return "has a character that gRPC metadata cannot have";
  return {};
}

GrpcClient::GrpcClient(std::shared_ptr<State> state) : state_(std::move(state)) {}

GrpcClient::~GrpcClient() {
  state_->close();
}

Result<std::unique_ptr<GrpcClient>> GrpcClient::make(Options options) {
  log_grpc_lines();
  auto state = std::make_shared<State>(std::move(options));
  GANTRY_CHECK(state->read_authorities());
  state->thread = std::thread([state = state.get()] { state->run(); });
  return std::unique_ptr<GrpcClient>(new GrpcClient(std::move(state)));
}

std::shared_ptr<GrpcCall> GrpcClient::start(GrpcCallRequest request, OnEnd on_end) {
  auto call = std::make_shared<Call>(state_, std::move(request), std::move(on_end));
  call->start();
  return call;
}

}  // namespace gantry::net
