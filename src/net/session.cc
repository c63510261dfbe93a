#include <array>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/log.h"
#include "core/time.h"
#include "net/session_internal.h"
#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

constexpr DurationMs kLingerTimeout{2000};
constexpr DurationMs kLingerTimeoutWhenDraining{250};

std::string address_text(const Tcp::socket& socket) {
  ErrorCode error;
  const Tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return "";
  const asio::ip::address address = peer.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

}  // namespace

Session::Session(SessionShared& shared, ListenerShared& listener, Tcp::socket socket)
    : shared_(shared),
      listener_(listener),
      socket_(std::move(socket)),
      identity_(listener.tls.load(std::memory_order_acquire)),
      peer_address_(address_text(socket_)),
      deadline_timer_(socket_.get_executor()) {
  if (identity_ != nullptr) tls_.emplace(socket_, identity_->context);
  listener_.active_connections->add(1);
  listener_.accepted_connections->add();
}

Session::~Session() {
  listener_.active_connections->add(-1);
  shared_.on_end(*this);
}

void Session::start() {
  asio::co_spawn(socket_.get_executor(), run(shared_from_this()), asio::detached);
}

void Session::drain() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->is_draining_ = true;
    if (self->is_idle_) self->close();
  });
}

void Session::abort() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->is_draining_ = true;
    self->is_cut_by_server_ = true;
    self->exchange_.cancel.cancel();
    self->close();
    self->live_event_.set();
  });
}

Task<void> Session::run([[maybe_unused]] std::shared_ptr<Session> self) {
  ErrorCode error;
  socket_.set_option(Tcp::no_delay(true), error);
  watch_deadline();
  if (tls_) {
    set_deadline(Deadline::Handshake, shared_.options.limits.tls_handshake_timeout);
    const auto [handshake_error] = co_await tls_->async_handshake(
        asio::ssl::stream_base::server, asio::as_tuple(asio::use_awaitable));
    if (handshake_error) {
      shared_.metrics.refuse(HttpRefusal::TlsHandshake);
      log::debug("tls handshake failed",
                 {{"peer", peer_address_}, {"error", handshake_error.message()}});
      close();
      co_return;
    }
  }
  bool keep_alive = true;
  while (keep_alive && !is_draining_ && !is_closed_) keep_alive = co_await serve_one();
  co_await close_gently();
}

/// True when another request may follow.
Task<bool> Session::serve_one() {
  exchange_ = Exchange{};
  exchange_.request.cancel = exchange_.cancel;
  Parser parser;
  const HttpLimits& limits = shared_.options.limits;
  parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes_max));
  parser.body_limit(boost::none);  // known once the route is: PaddedBody checks it
  parser.eager(false);

  ReadResult read = co_await read_header(parser);
  if (read == ReadResult::Closed) co_return false;
  exchange_.started_ns = monotonic_ns();
  exchange_.metrics = &shared_.metrics.unrouted();
  take_header(parser);
  if (read == ReadResult::Ok) {
    exchange_.has_unread_body = !parser.is_done();
    exchange_.refusal = check_header(parser);
    if (!exchange_.refusal) exchange_.refusal = check_route(parser);
    exchange_.metrics->begin();
    if (!exchange_.refusal && exchange_.has_unread_body) read = co_await read_body(parser);
  } else {
    exchange_.metrics->begin();
  }
  if (read != ReadResult::Closed && !exchange_.refusal) {
    co_await run_handler();
    if (exchange_.response.deferred != nullptr) read = co_await await_head();
  }
  bool is_written = false;
  if (read != ReadResult::Closed) {
    if (exchange_.refusal) render_refusal();
    add_cors();
    // A body that was not read cannot be told from the next request.
    exchange_.keep_alive = exchange_.keep_alive && !exchange_.has_unread_body && !is_draining_;
    is_written = co_await write_answer();
    exchange_.keep_alive = exchange_.keep_alive && is_written;
  } else {
    exchange_.response.status = 499;
    exchange_.keep_alive = false;
  }
  end_live(is_written);
  end_exchange();
  co_return exchange_.keep_alive;
}

void Session::end_exchange() {
  Exchange& exchange = exchange_;
  shared_.held_body_bytes.fetch_sub(exchange.held_body_bytes, std::memory_order_relaxed);
  exchange.held_body_bytes = 0;
  const double seconds = static_cast<double>(monotonic_ns() - exchange.started_ns) * 1e-9;
  exchange.metrics->end(exchange.response.status, exchange.request.method, seconds,
                        exchange.request_body_bytes);
  log::debug("request answered", {{"request_id", exchange.request.request_id},
                                  {"listener", listener_.name},
                                  {"method", method_text(exchange.request.method)},
                                  {"path", exchange.request.raw_path},
                                  {"handler", exchange.metrics->name()},
                                  {"status", exchange.response.status},
                                  {"received_bytes", exchange.request_body_bytes},
                                  {"sent_bytes", exchange.sent_bytes},
                                  {"took_ms", seconds * 1e3},
                                  {"peer", peer_address_}});
}

/// Lets the client read the answer before the connection goes: closing a socket with unread input
/// resets it, and a reset may overtake the answer.
Task<void> Session::close_gently() {
  if (is_closed_) co_return;
  set_deadline(Deadline::Linger, is_draining_ ? kLingerTimeoutWhenDraining : kLingerTimeout);
  if (!read_error_ && tls_) {
    co_await tls_->async_shutdown(asio::as_tuple(asio::use_awaitable));
  } else if (!read_error_) {
    ErrorCode error;
    socket_.shutdown(Tcp::socket::shutdown_send, error);
    while (!error && expired_ == Deadline::None) {
      buffer_.clear();
      error = co_await read_more(16 << 10);
    }
  }
  close();
}

void Session::close() {
  is_closed_ = true;
  clear_deadline();
  deadline_timer_.cancel();
  ErrorCode error;
  socket_.close(error);
}

void Session::set_deadline(Deadline what, DurationMs from_now) {
  deadline_kind_ = what;
  deadline_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(from_now.count);
  // An earlier wake-up finds the new deadline; only a later one has to be moved.
  if (deadline_ < deadline_timer_.expiry()) deadline_timer_.cancel();
}

void Session::clear_deadline() {
  deadline_kind_ = Deadline::None;
  deadline_ = std::chrono::steady_clock::time_point::max();
}

/// Cancels what the session waits for when its deadline passes; runs until the session closes.
void Session::watch_deadline() {
  deadline_timer_.expires_at(deadline_);
  deadline_timer_.async_wait([self = shared_from_this()](ErrorCode) {
    if (self->is_closed_) return;
    if (std::chrono::steady_clock::now() >= self->deadline_) {
      self->expired_ = self->deadline_kind_;
      self->clear_deadline();
      ErrorCode error;
      self->socket_.cancel(error);
    }
    self->watch_deadline();
  });
}

}  // namespace gantry::net
