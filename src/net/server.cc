#include "net/server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <unordered_map>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <re2/re2.h>

#include "core/log.h"
#include "core/mutex.h"
#include "net/io_threads_internal.h"
#include "net/session_internal.h"

namespace gantry::net {
namespace {

/// One more than connections_max gets this, if it listens.
constexpr std::string_view kTooManyConnections =
    "HTTP/1.1 503 Service Unavailable\r\nServer: gantry\r\nContent-Type: application/json\r\n"
    "Retry-After: 1\r\nConnection: close\r\nContent-Length: 115\r\n\r\n"
    R"({"status":"error","errorType":"unavailable",)"
    R"("error":"too many connections (http.connections_max); try again later"})";
static_assert(kTooManyConnections.substr(kTooManyConnections.find("\r\n\r\n") + 4).size() == 115);

/// How many of those are served at a time; the rest is closed without a word.
constexpr std::size_t kRefusalsMax = 64;

Code bind_error_code(const ErrorCode& error) {
  return error == asio::error::access_denied ? Code::PermissionDenied : Code::Unavailable;
}

/// Listens on every IPv4 and IPv6 address, or only on IPv4 where the kernel has no IPv6.
ErrorCode open_any(Tcp::acceptor& acceptor, std::uint16_t port) {
  ErrorCode error;
  acceptor.open(Tcp::v6(), error);
  if (!error) acceptor.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind({Tcp::v6(), port}, error);
  if (!error || error == asio::error::address_in_use) return error;
  ErrorCode ignored;
  acceptor.close(ignored);
  acceptor.open(Tcp::v4(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind({Tcp::v4(), port}, error);
  return error;
}

ErrorCode open_one(Tcp::acceptor& acceptor, const ListenAddress& address) {
  ErrorCode error;
  const asio::ip::address ip = asio::ip::make_address(address.host, error);
  const Tcp::endpoint endpoint(ip, address.port);
  if (!error) acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  return error;
}

struct Listener {
  Listener(asio::io_context& io, ListenerOptions given)
      : options(std::move(given)), acceptor(asio::make_strand(io)) {}

  ListenerOptions options;
  ListenerShared shared;
  Tcp::acceptor acceptor;  // used on its strand once accepting
  std::uint16_t port = 0;

  Result<void> load_tls() {
    if (!options.tls) return {};
    GANTRY_TRY(auto identity, load_tls_identity(*options.tls));
    use_tls(std::move(identity));
    return {};
  }

  void use_tls(std::shared_ptr<TlsIdentity> identity) {
    shared.tls_expiry->set(static_cast<double>(identity->expires_unix_seconds));
    shared.tls.store(std::move(identity), std::memory_order_release);
  }

  Result<void> bind() {
    GANTRY_TRY(const ListenAddress address, parse_listen_address(options.address));
    ErrorCode error =
        address.host.empty() ? open_any(acceptor, address.port) : open_one(acceptor, address);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) port = acceptor.local_endpoint(error).port();
    if (!error) return {};
    return fail(bind_error_code(error),
                fmt::format("listener \"{}\": cannot listen on {}: {}", options.name,
                            options.address, error.message()));
  }
};

}  // namespace

struct Server::Impl {
  explicit Impl(ServerOptions given)
      : io_threads(given.io_threads != nullptr ? std::move(given.io_threads)
                                               : std::make_shared<IoThreads>(2, "http-io")),
        options(std::move(given)),
        io(io_threads->impl().io),
        metrics(options.metrics),
        shared{.options = options,
               .io = io,
               .metrics = metrics,
               .held_body_bytes = 0,
               .on_end = [this](Session& session) { forget(session); }} {}

  std::shared_ptr<IoThreads> io_threads;  // null once stopped; none in `options`
  ServerOptions options;
  const std::shared_ptr<asio::io_context> io;
  HttpMetrics metrics;
  std::unique_ptr<re2::RE2> cors_origin;
  SessionShared shared;
  std::vector<std::unique_ptr<Listener>> listeners;

  mutable core::Mutex mutex;
  core::ConditionVariable changed;
  std::unordered_map<Session*, std::weak_ptr<Session>> sessions GANTRY_GUARDED_BY(mutex);
  std::size_t accepting_count GANTRY_GUARDED_BY(mutex) = 0;
  std::size_t refusing_count GANTRY_GUARDED_BY(mutex) = 0;
  bool is_stopping GANTRY_GUARDED_BY(mutex) = false;
  bool is_stopped GANTRY_GUARDED_BY(mutex) = false;

  Result<void> add(ListenerOptions listener_options);
  Result<void> compile_cors();
  void start_accepting();
  Task<void> accept_loop(Listener& listener);
  void accept(Listener& listener, Tcp::socket socket);
  Task<void> refuse(Tcp::socket socket);
  void forget(Session& session);
  std::vector<std::shared_ptr<Session>> living_sessions() GANTRY_EXCLUDES(mutex);
  bool wait_for_sessions(std::chrono::steady_clock::time_point until) GANTRY_EXCLUDES(mutex);
  void stop(DurationMs grace);
};

Result<void> Server::Impl::add(ListenerOptions listener_options) {
  GANTRY_ASSERT(listener_options.router != nullptr, "a listener has a router");
  listeners.push_back(std::make_unique<Listener>(*io, std::move(listener_options)));
  Listener& listener = *listeners.back();
  ListenerShared& state = listener.shared;
  state.name = listener.options.name;
  state.router = listener.options.router;
  for (const auto& route : state.router->routes()) {
    state.handlers.emplace(route.get(), &metrics.handler(route->options.name));
  }
  core::MetricRegistry& registry = options.metrics;
  const core::MetricLabels labels{{"listener", state.name}};
  state.active_connections =
      &registry.gauge("gantry_http_connections", "Open connections.", labels);
  state.accepted_connections =
      &registry.counter("gantry_http_connections_total", "Connections accepted.", labels);
  if (listener.options.tls) {
    state.tls_expiry = &registry.gauge("gantry_tls_certificate_expiry_timestamp_seconds",
                                       "When the certificate in use ends.", labels);
  }
  GANTRY_CHECK(listener.load_tls());
  return listener.bind();
}

Result<void> Server::Impl::compile_cors() {
  if (options.cors_origin == ".*") return {};
  cors_origin = std::make_unique<re2::RE2>(options.cors_origin, re2::RE2::Quiet);
  if (!cors_origin->ok()) {
    return fail(Code::InvalidArgument, fmt::format("http.cors_origin \"{}\": {}",
                                                   options.cors_origin, cors_origin->error()));
  }
  shared.cors_origin = cors_origin.get();
  return {};
}

void Server::Impl::start_accepting() {
  {
    const core::Lock lock(mutex);
    accepting_count = listeners.size();
  }
  for (const auto& listener : listeners) {
    asio::co_spawn(listener->acceptor.get_executor(), accept_loop(*listener), asio::detached);
  }
}

Task<void> Server::Impl::accept_loop(Listener& listener) {
  constexpr auto kExhaustedPause = std::chrono::milliseconds(100);
  asio::steady_timer pause(listener.acceptor.get_executor());
  while (listener.acceptor.is_open()) {
    auto [error, socket] = co_await listener.acceptor.async_accept(
        asio::any_io_executor(asio::make_strand(*io)), asio::as_tuple(asio::use_awaitable));
    if (!error) {
      accept(listener, std::move(socket));
    } else if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
               error == asio::error::no_memory) {
      log::warn("accepting connections paused",
                {{"listener", listener.options.name}, {"error", error.message()}});
      pause.expires_after(kExhaustedPause);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
  const core::Lock lock(mutex);
  --accepting_count;
  changed.notify_all();
}

void Server::Impl::accept(Listener& listener, Tcp::socket socket) {
  bool is_refused = false;
  bool is_answered = false;
  std::shared_ptr<Session> session;
  {
    const core::Lock lock(mutex);
    if (is_stopping) return;
    is_refused = sessions.size() >= options.limits.connections_max;
    is_answered = is_refused && !listener.options.tls && refusing_count < kRefusalsMax;
    if (is_answered) ++refusing_count;
  }
  if (is_refused) {
    metrics.refuse(HttpRefusal::Connections);
    // The executor is taken first: the socket moves into the coroutine.
    const auto executor = socket.get_executor();
    if (is_answered) asio::co_spawn(executor, refuse(std::move(socket)), asio::detached);
    return;
  }
  session = std::make_shared<Session>(shared, listener.shared, std::move(socket));
  {
    const core::Lock lock(mutex);
    sessions.emplace(session.get(), session);
    if (is_stopping) session->drain();
  }
  session->start();
}

/// Says 503 and waits a moment for the client to hang up, lest a reset overtakes the answer.
Task<void> Server::Impl::refuse(Tcp::socket accepted) {
  constexpr auto kPatience = std::chrono::milliseconds(500);
  // Shared with the timer's callback, which may already be queued when this coroutine ends.
  const auto socket = std::make_shared<Tcp::socket>(std::move(accepted));
  asio::steady_timer timer(socket->get_executor(), kPatience);
  timer.async_wait([socket](ErrorCode) {
    ErrorCode ignored;
    socket->close(ignored);
  });
  const auto [write_error, written] = co_await asio::async_write(
      *socket, asio::buffer(kTooManyConnections), asio::as_tuple(asio::use_awaitable));
  ErrorCode error = write_error;
  if (!error) socket->shutdown(Tcp::socket::shutdown_send, error);
  std::array<char, 4096> discarded{};
  while (!error) {
    const auto [read_error, count] = co_await socket->async_read_some(
        asio::buffer(discarded), asio::as_tuple(asio::use_awaitable));
    error = read_error;
  }
  const core::Lock lock(mutex);
  --refusing_count;
  changed.notify_all();
}

void Server::Impl::forget(Session& session) {
  const core::Lock lock(mutex);
  sessions.erase(&session);
  changed.notify_all();
}

std::vector<std::shared_ptr<Session>> Server::Impl::living_sessions() {
  const core::Lock lock(mutex);
  std::vector<std::shared_ptr<Session>> living;
  for (const auto& [address, session] : sessions) {
    if (auto alive = session.lock()) living.push_back(std::move(alive));
  }
  return living;
}

bool Server::Impl::wait_for_sessions(std::chrono::steady_clock::time_point until) {
  core::Lock lock(mutex);
  const auto is_over = [&]() GANTRY_REQUIRES(mutex) {
    return accepting_count == 0 && refusing_count == 0 && sessions.empty();
  };
  while (!is_over()) {
    if (changed.wait_until(lock, until) == std::cv_status::timeout) return is_over();
  }
  return true;
}

void Server::Impl::stop(DurationMs grace) {
  {
    core::Lock lock(mutex);
    if (is_stopping) {
      while (!is_stopped) changed.wait(lock);
      return;
    }
    is_stopping = true;
  }
  for (const auto& listener : listeners) {
    asio::post(listener->acceptor.get_executor(), [&acceptor = listener->acceptor] {
      ErrorCode ignored;
      acceptor.close(ignored);
    });
  }
  for (const auto& session : living_sessions()) session->drain();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(grace.count);
  if (!wait_for_sessions(deadline)) {
    const auto left = living_sessions();
    if (!left.empty()) {
      log::info("open connections cut", {{"connections", left.size()}, {"grace_ms", grace.count}});
    }
    for (const auto& session : left) session->abort();
  }
  constexpr auto kReport = std::chrono::seconds(10);
  while (!wait_for_sessions(std::chrono::steady_clock::now() + kReport)) {
    log::warn("waiting for handlers to return", {{"connections", living_sessions().size()}});
  }
  // Those that said they have ended may still be on their way out.
  io_threads->settle();
  io_threads.reset();
  const core::Lock lock(mutex);
  is_stopped = true;
  changed.notify_all();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  impl_->stop({0});
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options,
                                              std::vector<ListenerOptions> listeners) {
  auto impl = std::make_unique<Impl>(std::move(options));
  GANTRY_CHECK(impl->compile_cors());
  for (ListenerOptions& listener : listeners) GANTRY_CHECK(impl->add(std::move(listener)));
  impl->start_accepting();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::bound_port(std::string_view listener) const {
  for (const auto& each : impl_->listeners) {
    if (each->options.name == listener) return each->port;
  }
  return 0;
}

Result<void> Server::reload_tls() {
  std::vector<std::pair<Listener*, std::shared_ptr<TlsIdentity>>> loaded;
  for (const auto& listener : impl_->listeners) {
    if (!listener->options.tls) continue;
    GANTRY_TRY(auto identity, load_tls_identity(*listener->options.tls));
    loaded.emplace_back(listener.get(), std::move(identity));
  }
  for (auto& [listener, identity] : loaded) listener->use_tls(std::move(identity));
  return {};
}

void Server::stop(DurationMs grace) {
  impl_->stop(grace);
}

std::size_t Server::connection_count() const {
  const core::Lock lock(impl_->mutex);
  return impl_->sessions.size();
}

}  // namespace gantry::net
