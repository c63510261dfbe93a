#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include "net/client_call_internal.h"

namespace gantry::net {
namespace {

using Clock = std::chrono::steady_clock;

// A stream of small events needs no more; a large body doubles it while it fills the buffer.
constexpr std::size_t kReadBytesMin = 4 << 10;
constexpr std::size_t kReadBytesMax = 64 << 10;

constexpr DurationMs kSettleTimeout{1000};

Code code_of(CallFailure failure) {
  switch (failure) {
    case CallFailure::BadRequest:
      return Code::InvalidArgument;
    case CallFailure::Forbidden:
      return Code::PermissionDenied;
    case CallFailure::Overloaded:
      return Code::ResourceExhausted;
    case CallFailure::Resolve:
    case CallFailure::Connect:
    case CallFailure::TlsVerification:
    case CallFailure::Tls:
    case CallFailure::Reset:
    case CallFailure::Protocol:
      return Code::Unavailable;
    case CallFailure::ConnectTimeout:
    case CallFailure::HeaderTimeout:
    case CallFailure::IdleTimeout:
    case CallFailure::TotalTimeout:
      return Code::DeadlineExceeded;
    case CallFailure::Cancelled:
      return Code::Cancelled;
  }
  return Code::Internal;
}

Clock::time_point after(DurationMs duration) {
  return Clock::now() + std::chrono::milliseconds(duration.count);
}

CallFailure resolve_failure(const Error& error) {
  switch (error.code) {
    case Code::PermissionDenied:
      return CallFailure::Forbidden;
    case Code::ResourceExhausted:
      return CallFailure::Overloaded;
    default:
      return CallFailure::Resolve;
  }
}

}  // namespace

ClientCall::State::State(ClientShared& shared, CallRequest request)
    : io_(shared.io),
      shared_(shared),
      strand_(asio::make_strand(*shared.io)),
      request_(std::move(request)),
      read_bytes_(kReadBytesMin),
      timer_(strand_),
      total_deadline_(Clock::time_point::max()),
      deadline_(Clock::time_point::max()) {}

void ClientCall::State::start(OnHead on_head) {
  auto prepared = admit();
  {
    const core::Lock lock(mutex_);
    GANTRY_ASSERT(!on_head_ && !takes_work_, "a call is started once");
    takes_work_ = true;
  }
  on_head_ = std::move(on_head);
  total_deadline_ = after(request_.total_timeout);
  asio::co_spawn(strand_, run(shared_from_this(), std::move(prepared)), asio::detached);
}

/// Counts the call; checks the request.
ClientCall::State::Expected<ClientCall::State::Prepared> ClientCall::State::admit() {
  {
    const core::Lock lock(shared_.mutex);
    const bool is_one_too_many = shared_.calls.size() >= shared_.options.calls_max;
    shared_.calls.emplace(this, weak_from_this());
    if (is_one_too_many) {
      return std::unexpected(CallError{
          .failure = CallFailure::Overloaded,
          .error = {.code = Code::ResourceExhausted,
                    .message =
                        fmt::format("{} calls are under way already", shared_.options.calls_max)}});
    }
  }
  return prepare_call(request_, shared_.options.egress);
}

void ClientCall::State::on_strand(std::move_only_function<void()> work) {
  if (strand_.running_in_this_thread()) {
    if (!is_over_) work();
    return;
  }
  // Under the lock, so that the I/O threads are still there: `finish` needs it, too.
  const core::Lock lock(mutex_);
  if (!takes_work_) return;
  // Deferred: an I/O thread that asks does it next, and wakes no other.
  asio::defer(strand_, [self = shared_from_this(), work = std::move(work)]() mutable {
    if (!self->is_over_) work();
  });
}

void ClientCall::State::read(OnPiece given, std::optional<DurationMs> idle_timeout) {
  on_strand([this, idle_timeout, given = std::move(given)]() mutable {
    GANTRY_ASSERT(!on_piece_, "one read at a time");
    idle_timeout_ = idle_timeout.value_or(request_.idle_timeout);
    on_piece_ = std::move(given);
    wake_.set();
  });
}

void ClientCall::State::cancel() {
  on_strand([this] {
    if (is_given_) return;
    is_cancelled_ = true;
    stop(CallFailure::Cancelled);
    wake_.set();
  });
}

Task<void> ClientCall::State::run([[maybe_unused]] std::shared_ptr<State> self,
                                  Expected<Prepared> prepared) {
  watch_deadline();
  auto head = co_await fetch_head(std::move(prepared));
  clear_deadline();
  const bool has_head = head.has_value();
  if (has_head && parser_->is_done()) release_connection();
  std::exchange(on_head_, nullptr)(std::move(head));
  if (has_head) co_await give_body();
  co_await settle();
  finish();
}

Task<ClientCall::State::Expected<AnswerHead>> ClientCall::State::fetch_head(
    Expected<Prepared> prepared) {
  if (!prepared) co_return std::unexpected(std::move(prepared).error());
  prepared_ = *std::move(prepared);
  if (stopped_by_) co_return stopped();
  connection_ = shared_.idle.take(prepared_.url.origin());
  const bool is_reused = connection_ != nullptr;
  if (!is_reused) {
    if (auto connected = co_await connect(); !connected) {
      co_return std::unexpected(std::move(connected).error());
    }
  }
  auto head = co_await exchange();
  const bool is_stale =
      !head && head.error().failure == CallFailure::Reset && is_reused && parser_->is_untouched();
  if (!is_stale || !request_.may_repeat) co_return head;
  shared_.repeated_calls.fetch_add(1, std::memory_order_relaxed);
  connection_->close();
  if (auto connected = co_await connect(); !connected) {
    co_return std::unexpected(std::move(connected).error());
  }
  co_return co_await exchange();
}

Task<ClientCall::State::Expected<void>> ClientCall::State::connect() {
  set_deadline(CallFailure::ConnectTimeout, request_.connect_timeout);
  GANTRY_CO_TRY(const Egress::Destination destination, co_await resolve());
  ErrorCode error;
  std::size_t left = destination.addresses.size();
  for (const core::IpAddress& address : destination.addresses) {
    // A silent address must not use up the time of those behind it.
    const auto now = Clock::now();
    const auto until = left == 1 ? Clock::time_point::max()
                                 : now + (next_deadline() - now) / static_cast<std::int64_t>(left);
    --left;
    error = co_await connect_to(address, until);
    if (stopped_by_) co_return stopped();
    if (!error) break;
  }
  if (error) co_return failed(CallFailure::Connect, error.message());
  shared_.opened_connections.fetch_add(1, std::memory_order_relaxed);
  connection_->socket.set_option(Tcp::no_delay(true), error);
  Expected<void> done;
  if (prepared_.url.scheme == "https") done = co_await shake_hands();
  clear_deadline();
  co_return done;
}

Task<ClientCall::State::Expected<Egress::Destination>> ClientCall::State::resolve() {
  found_.reset();
  shared_.options.egress.find_destination(
      prepared_.url, [self = shared_from_this()](Result<Egress::Destination> found) {
        self->on_strand([state = self.get(), found = std::move(found)]() mutable {
          state->found_ = std::move(found);
          state->wake_.set();
        });
      });
  while (!found_ && !stopped_by_) co_await wake_.wait();
  if (stopped_by_) co_return stopped();
  if (!*found_) {
    const Error& error = found_->error();
    co_return failed(resolve_failure(error), error.code, error.message);
  }
  co_return **std::exchange(found_, std::nullopt);
}

Task<ErrorCode> ClientCall::State::connect_to(const core::IpAddress& address,
                                              Clock::time_point until) {
  const auto connection = std::make_shared<ClientConnection>(*io_);
  connection_ = connection;
  ErrorCode error;
  const asio::ip::address ip = asio::ip::make_address(address.text(), error);
  if (error) co_return error;
  // Shared with the timer's callback, which may already be queued when the connection stands.
  const auto is_connecting = std::make_shared<bool>(true);
  asio::steady_timer timer(strand_, until);
  timer.async_wait([connection, is_connecting](ErrorCode cancelled) {
    if (!cancelled && *is_connecting) connection->close();
  });
  const auto [connect_error] = co_await connection->socket.async_connect(
      Tcp::endpoint(ip, prepared_.url.port), asio::as_tuple(asio::use_awaitable));
  *is_connecting = false;
  co_return connect_error == asio::error::operation_aborted ? asio::error::timed_out
                                                            : connect_error;
}

Task<ClientCall::State::Expected<void>> ClientCall::State::shake_hands() {
  ClientConnection& connection = *connection_;
  connection.tls.emplace(connection.socket, shared_.tls);
  SSL* const tls = connection.tls->native_handle();
  const std::string& host = prepared_.url.host;
  SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  // RFC 6066: no address as a server name.
  const bool is_ready = prepared_.url.address
                            ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host.c_str()) == 1
                            : SSL_set1_host(tls, host.c_str()) == 1 &&
                                  SSL_set_tlsext_host_name(tls, host.c_str()) == 1;
  if (!is_ready) co_return failed(CallFailure::Tls, "the host cannot be verified");
  const auto [error] = co_await connection.tls->async_handshake(
      asio::ssl::stream_base::client, asio::as_tuple(asio::use_awaitable));
  if (stopped_by_) co_return stopped();
  const long verified = SSL_get_verify_result(tls);
  if (error && verified != X509_V_OK) {
    co_return failed(CallFailure::TlsVerification,
                     fmt::format("TLS: {}", X509_verify_cert_error_string(verified)));
  }
  if (error) co_return failed(CallFailure::Tls, fmt::format("TLS: {}", error.message()));
  co_return Expected<void>();
}

/// Sends the request and reads up to the end of the answer's header.
Task<ClientCall::State::Expected<AnswerHead>> ClientCall::State::exchange() {
  parser_.emplace(shared_.options.header_bytes_max, request_.method == "HEAD"
                                                        ? AnswerParser::Asked::Head
                                                        : AnswerParser::Asked::Other);
  start_write();
  set_deadline(CallFailure::HeaderTimeout, request_.header_timeout);
  while (!parser_->has_head()) {
    const ErrorCode error = co_await read_some();
    if (stopped_by_) co_return stopped();
    if (error) co_return failed(CallFailure::Reset, error.message());
    if (auto parsed = parse(); !parsed) co_return std::unexpected(std::move(parsed).error());
  }
  AnswerHead head{.status = parser_->status(),
                  .headers = parser_->headers(),
                  .is_reused_connection = connection_->is_reused};
  if (auto parsed = parse(); !parsed) co_return std::unexpected(std::move(parsed).error());
  co_return head;
}

/// The answer is awaited meanwhile: a peer may give it before it has read everything.
void ClientCall::State::start_write() {
  std::vector<asio::const_buffer> buffers{asio::buffer(prepared_.head)};
  for (const std::string_view piece : request_.body.pieces) buffers.push_back(asio::buffer(piece));
  connection_->is_writing = true;
  auto written = asio::bind_executor(
      strand_, [self = shared_from_this(), connection = connection_](ErrorCode error, std::size_t) {
        connection->is_writing = false;
        connection->has_write_failed = error.failed();
        if (self->connection_ == connection && self->parser_->is_done()) self->release_connection();
        self->wake_.set();
      });
  if (connection_->tls) {
    asio::async_write(*connection_->tls, std::move(buffers), std::move(written));
  } else {
    asio::async_write(connection_->socket, std::move(buffers), std::move(written));
  }
}

Task<ErrorCode> ClientCall::State::read_some() {
  const auto connection = connection_;
  const auto [error, count] = co_await connection->async_read_some(
      connection->buffer.prepare(read_bytes_), asio::as_tuple(asio::use_awaitable));
  connection->buffer.commit(count);
  if (count == read_bytes_) read_bytes_ = std::min(read_bytes_ * 2, kReadBytesMax);
  co_return error;
}

/// Gives what was read to the parser.
ClientCall::State::Expected<void> ClientCall::State::parse() {
  auto& buffer = connection_->buffer;
  const auto bytes = buffer.data();
  if (bytes.size() == 0 || parser_->is_done()) return {};
  const auto count = parser_->put({static_cast<const char*>(bytes.data()), bytes.size()});
  if (!count) return failed(CallFailure::Protocol, count.error().message);
  buffer.consume(*count);
  return {};
}

/// The end of an answer: its connection waits for another call, if it may. The answer may be here
/// before it is known that the request went out: then that comes back here.
void ClientCall::State::release_connection() {
  if (connection_ != nullptr && connection_->is_writing && !stopped_by_) return;
  const auto connection = std::exchange(connection_, nullptr);
  if (connection == nullptr) return;
  const bool is_clean = !connection->has_write_failed && connection->is_empty();
  if (is_clean && parser_->keeps_alive() && !stopped_by_) {
    shared_.idle.put(prepared_.url.origin(), connection);
  } else {
    connection->close();
  }
}

Task<void> ClientCall::State::give_body() {
  for (;;) {
    while (!on_piece_ && !stopped_by_) co_await wake_.wait();
    auto piece = co_await next_piece();
    if (!piece) co_return co_await give_error(std::move(piece).error());
    const bool is_end = piece->empty();
    is_given_ = is_end;  // a handle that goes inside the last callback cancels nothing
    std::exchange(on_piece_, nullptr)(std::move(piece));
    if (is_end) co_return;
  }
}

/// Empty at the end of the body.
Task<ClientCall::State::Expected<std::string>> ClientCall::State::next_piece() {
  if (stopped_by_) co_return stopped();
  std::string piece = parser_->take_piece();
  while (piece.empty() && !parser_->is_done()) {
    set_deadline(CallFailure::IdleTimeout, idle_timeout_);
    const ErrorCode error = co_await read_some();
    clear_deadline();
    if (stopped_by_) co_return stopped();
    if (error == asio::error::eof) {
      if (const auto ended = parser_->put_end(); !ended) {
        co_return failed(CallFailure::Reset, ended.error().message);
      }
    } else if (error) {
      co_return failed(CallFailure::Reset, error.message());
    }
    if (auto parsed = parse(); !parsed) co_return std::unexpected(std::move(parsed).error());
    piece = parser_->take_piece();
  }
  if (parser_->is_done()) release_connection();
  co_return piece;
}

/// Waits with it for the next read, when none is due.
Task<void> ClientCall::State::give_error(CallError error) {
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->close();
  while (!on_piece_ && !is_cancelled_) co_await wake_.wait();
  if (on_piece_) std::exchange(on_piece_, nullptr)(std::unexpected(std::move(error)));
}

/// Waits a moment for the rest of the request to go out, so that the connection can be kept.
Task<void> ClientCall::State::settle() {
  if (connection_ == nullptr || !parser_ || !parser_->is_done()) co_return;
  set_deadline(CallFailure::IdleTimeout, kSettleTimeout);
  while (connection_ != nullptr && !stopped_by_) co_await wake_.wait();
}

void ClientCall::State::finish() {
  is_over_ = true;
  timer_.cancel();
  if (connection_ != nullptr) std::exchange(connection_, nullptr)->close();
  on_piece_ = nullptr;
  {
    const core::Lock lock(mutex_);
    takes_work_ = false;
  }
  const core::Lock lock(shared_.mutex);
  shared_.calls.erase(this);
  shared_.changed.notify_all();
}

std::unexpected<CallError> ClientCall::State::failed(CallFailure failure,
                                                     std::string_view what) const {
  return failed(failure, code_of(failure), what);
}

std::unexpected<CallError> ClientCall::State::failed(CallFailure failure, Code code,
                                                     std::string_view what) const {
  return std::unexpected(CallError{
      .failure = failure,
      .error = {
          .code = code,
          .message = fmt::format("{} {}: {}", request_.method, prepared_.url.origin(), what)}});
}

std::unexpected<CallError> ClientCall::State::stopped() const {
  const auto after_ms = [](DurationMs limit, std::string_view what) {
    return fmt::format("{} within {} ms", what, limit.count);
  };
  switch (*stopped_by_) {
    case CallFailure::ConnectTimeout:
      return failed(*stopped_by_, after_ms(request_.connect_timeout, "no connection"));
    case CallFailure::HeaderTimeout:
      return failed(*stopped_by_, after_ms(request_.header_timeout, "no answer"));
    case CallFailure::IdleTimeout:
      return failed(*stopped_by_, after_ms(idle_timeout_, "no more of the answer"));
    case CallFailure::TotalTimeout:
      return failed(*stopped_by_, after_ms(request_.total_timeout, "no end of the answer"));
    default:
      return failed(*stopped_by_, "cancelled");
  }
}

void ClientCall::State::stop(CallFailure why) {
  if (stopped_by_) return;
  stopped_by_ = why;
  if (connection_ != nullptr) connection_->close();
  wake_.set();
}

void ClientCall::State::set_deadline(CallFailure kind, DurationMs from_now) {
  deadline_kind_ = kind;
  deadline_ = after(from_now);
  // An earlier wake-up finds the new deadline; only a later one has to be moved.
  if (deadline_ < timer_.expiry()) timer_.cancel();
}

void ClientCall::State::clear_deadline() {
  deadline_ = Clock::time_point::max();
}

Clock::time_point ClientCall::State::next_deadline() const {
  return std::min(deadline_, total_deadline_);
}

void ClientCall::State::watch_deadline() {
  timer_.expires_at(next_deadline());
  timer_.async_wait([self = shared_from_this()](ErrorCode) {
    if (self->is_over_ || self->stopped_by_) return;
    const auto now = Clock::now();
    if (now >= self->total_deadline_) return self->stop(CallFailure::TotalTimeout);
    if (now >= self->deadline_) return self->stop(self->deadline_kind_);
    self->watch_deadline();
  });
}

}  // namespace gantry::net
