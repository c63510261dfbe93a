#include "net/streaming_client.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>

#include "net/client_call_internal.h"
#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

constexpr DurationMs kSweepIntervalMax{5'000};

bool is_token(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.contains(c);
  });
}

bool has_line_break(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

bool is_framing_field(std::string_view name) {
  return equals_without_case(name, "Content-Length") ||
         equals_without_case(name, "Transfer-Encoding") ||
         equals_without_case(name, "Connection") || equals_without_case(name, "Keep-Alive") ||
         equals_without_case(name, "TE") || equals_without_case(name, "Upgrade") ||
         equals_without_case(name, "Expect");
}

std::unexpected<CallError> refuse(CallFailure failure, Error error) {
  return std::unexpected(CallError{.failure = failure, .error = std::move(error)});
}

/// "example.com:8443" of "https://example.com:8443".
std::string host_field(const EgressUrl& url) {
  const std::string origin = url.origin();
  return origin.substr(origin.find("://") + 3);
}

std::string render_head(const CallRequest& request, const EgressUrl& url) {
  std::string head = fmt::format("{} {} HTTP/1.1\r\n", request.method, url.target);
  if (!request.headers.contains("Host")) append_field(head, "Host", host_field(url));
  for (const auto& [name, value] : request.headers.fields()) {
    if (!is_framing_field(name)) append_field(head, name, value);
  }
  const bool has_length = request.body.size_bytes() > 0 || request.method == "POST" ||
                          request.method == "PUT" || request.method == "PATCH";
  if (has_length) append_field(head, "Content-Length", std::to_string(request.body.size_bytes()));
  head += "\r\n";
  return head;
}

Result<void> use_authorities(asio::ssl::context& context, const std::string& ca_file) {
  SSL_CTX* const tls = context.native_handle();
  if (SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1) {
    return fail(Code::Internal, "TLS: the library refuses TLS 1.2");
  }
  SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
  ErrorCode error;
  context.set_verify_mode(asio::ssl::verify_peer, error);
  if (!error && ca_file.empty()) context.set_default_verify_paths(error);
  if (!error && !ca_file.empty()) context.load_verify_file(ca_file, error);
  if (!error) return {};
  return fail(Code::InvalidArgument, fmt::format("TLS: cannot use the authorities in \"{}\": {}",
                                                 ca_file, error.message()));
}

}  // namespace

std::string_view call_failure_name(CallFailure failure) {
  switch (failure) {
    case CallFailure::BadRequest:
      return "bad_request";
    case CallFailure::Forbidden:
      return "forbidden";
    case CallFailure::Overloaded:
      return "overloaded";
    case CallFailure::Resolve:
      return "resolve";
    case CallFailure::Connect:
      return "connect";
    case CallFailure::ConnectTimeout:
      return "connect_timeout";
    case CallFailure::TlsVerification:
      return "tls_verification";
    case CallFailure::Tls:
      return "tls";
    case CallFailure::HeaderTimeout:
      return "header_timeout";
    case CallFailure::IdleTimeout:
      return "idle_timeout";
    case CallFailure::TotalTimeout:
      return "total_timeout";
    case CallFailure::Reset:
      return "reset";
    case CallFailure::Protocol:
      return "protocol";
    case CallFailure::Cancelled:
      return "cancelled";
  }
  return "unknown";
}

CallBody CallBody::from(std::string bytes) {
  const auto owner = std::make_shared<const std::string>(std::move(bytes));
  return {.pieces = {*owner}, .owner = owner};
}

std::size_t CallBody::size_bytes() const {
  std::size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size();
  return size;
}

std::expected<ClientCall::State::Prepared, CallError> prepare_call(const CallRequest& request,
                                                                   const Egress& egress) {
  auto url = egress.check(request.url);
  if (!url) {
    const bool is_readable = parse_egress_url(request.url).has_value();
    return refuse(is_readable ? CallFailure::Forbidden : CallFailure::BadRequest,
                  std::move(url).error());
  }
  const auto bad = [](std::string message) {
    return refuse(CallFailure::BadRequest,
                  {.code = Code::InvalidArgument, .message = std::move(message)});
  };
  if (url->scheme == "grpc") return bad("grpc:// is not spoken here");
  if (!is_token(request.method)) return bad("not an HTTP method");
  for (const auto& [name, value] : request.headers.fields()) {
    if (!is_token(name)) return bad("the name of a header field is not one");
    if (has_line_break(value)) return bad(fmt::format("header \"{}\" contains a line break", name));
  }
  std::string head = render_head(request, *url);
  return ClientCall::State::Prepared{.url = *std::move(url), .head = std::move(head)};
}

ClientCall::~ClientCall() {
  state_->cancel();
}

void ClientCall::start(OnHead on_head) {
  state_->start(std::move(on_head));
}

void ClientCall::read(OnPiece on_piece) {
  state_->read(std::move(on_piece), std::nullopt);
}

void ClientCall::read(OnPiece on_piece, DurationMs idle_timeout) {
  state_->read(std::move(on_piece), idle_timeout);
}

void ClientCall::cancel() {
  state_->cancel();
}

ClientShared::ClientShared(StreamingClient::Options given)
    : io_threads(given.io_threads != nullptr ? std::move(given.io_threads)
                                             : std::make_shared<IoThreads>(2, "http-out")),
      options(std::move(given)),
      io(io_threads->impl().io),
      idle({.per_origin_max = options.idle_per_origin_max,
            .count_max = options.idle_max,
            .timeout = options.idle_connection_timeout}) {}

struct StreamingClient::Impl {
  explicit Impl(Options options)
      : shared(std::move(options)), sweeper(asio::make_strand(*shared.io)) {}

  ClientShared shared;
  asio::steady_timer sweeper;                             // on its strand
  bool is_stopping = false;                               // as above
  bool is_swept GANTRY_GUARDED_BY(shared.mutex) = false;  // for the last time

  void sweep_later();
  void stop();
};

void StreamingClient::Impl::sweep_later() {
  const std::int64_t interval = std::clamp<std::int64_t>(
      shared.options.idle_connection_timeout.count / 2, 1, kSweepIntervalMax.count);
  sweeper.expires_after(std::chrono::milliseconds(interval));
  sweeper.async_wait([this](ErrorCode) {
    if (is_stopping) {
      const core::Lock lock(shared.mutex);
      is_swept = true;
      shared.changed.notify_all();
      return;
    }
    shared.idle.sweep();
    sweep_later();
  });
}

void StreamingClient::Impl::stop() {
  asio::post(sweeper.get_executor(), [this] {
    is_stopping = true;
    sweeper.cancel();
  });
  std::vector<std::shared_ptr<ClientCall::State>> left;
  {
    const core::Lock lock(shared.mutex);
    for (const auto& [address, call] : shared.calls) {
      if (auto alive = call.lock()) left.push_back(std::move(alive));
    }
  }
  for (const auto& call : left) call->cancel();
  left.clear();
  shared.timers->stop();
  {
    core::Lock lock(shared.mutex);
    while (!shared.calls.empty() || !is_swept) shared.changed.wait(lock);
  }
  shared.idle.close_all();
  // Those that said they have ended may still be on their way out.
  shared.io_threads->settle();
  shared.io_threads.reset();
}

StreamingClient::StreamingClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StreamingClient::~StreamingClient() {
  impl_->stop();
}

Result<std::unique_ptr<StreamingClient>> StreamingClient::make(Options options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  GANTRY_CHECK(use_authorities(impl->shared.tls, impl->shared.options.ca_file));
  asio::post(impl->sweeper.get_executor(), [impl = impl.get()] { impl->sweep_later(); });
  return std::unique_ptr<StreamingClient>(new StreamingClient(std::move(impl)));
}

std::shared_ptr<ClientCall> StreamingClient::make_call(CallRequest request) {
  return std::make_shared<ClientCall>(
      std::make_shared<ClientCall::State>(impl_->shared, std::move(request)));
}

std::shared_ptr<Timer> StreamingClient::make_timer() {
  return std::make_shared<Timer>(Timer::State::make(impl_->shared.io, impl_->shared.timers));
}

StreamingClient::Counts StreamingClient::counts() const {
  const ClientShared& shared = impl_->shared;
  const core::Lock lock(shared.mutex);
  return {.calls = shared.calls.size(),
          .idle_connections = shared.idle.count(),
          .opened_connections = shared.opened_connections.load(std::memory_order_relaxed),
          .repeated_calls = shared.repeated_calls.load(std::memory_order_relaxed)};
}

}  // namespace gantry::net
