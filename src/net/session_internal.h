#pragma once

// One HTTP connection: the loop of reading a request, running its handler and writing the answer.
// All of a session runs on its strand, except the handler.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>

#include "core/metrics.h"
#include "net/answer_stream_internal.h"
#include "net/content_coding_internal.h"
#include "net/coroutine_internal.h"
#include "net/http.h"
#include "net/http_metrics_internal.h"
#include "net/padded_body_internal.h"
#include "net/router.h"
#include "net/server.h"
#include "net/tls_internal.h"

namespace re2 {
class RE2;
}

namespace gantry::net {

class Session;

/// What all sessions of a server share; outlives them.
struct SessionShared {
  const ServerOptions& options;
  std::shared_ptr<asio::io_context> io;
  HttpMetrics& metrics;
  const re2::RE2* cors_origin = nullptr;  ///< nullptr: any.
  std::atomic<std::uint64_t> held_body_bytes{0};
  std::atomic<std::size_t> stream_count{0};
  std::function<void(Session&)> on_end;  ///< From the destructor of each session.
};

/// What the sessions of one listener share; outlives them.
struct ListenerShared {
  std::string name;
  std::shared_ptr<const Router> router;
  std::optional<TlsOptions> tls_options;
  std::atomic<std::shared_ptr<TlsIdentity>> tls;  ///< nullptr: plain.
  std::unordered_map<const Route*, HandlerMetrics*> handlers;
  core::Gauge* active_connections = nullptr;
  core::Counter* accepted_connections = nullptr;
  core::Gauge* tls_expiry = nullptr;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  /// The socket's executor is the session's strand.
  Session(SessionShared& shared, ListenerShared& listener, Tcp::socket socket);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Starts the loop, which keeps the session alive until the connection ends.
  void start();

  /// Any thread: the request in flight is the last one; an idle connection is closed.
  void drain();

  /// Any thread: cancels the request in flight and cuts the connection.
  void abort();

 private:
  enum class Deadline : std::uint8_t { None, Handshake, Header, Body, Write, KeepAlive, Linger };
  enum class ReadResult : std::uint8_t { Ok, Closed, Refused };
  using Parser = boost::beast::http::request_parser<PaddedBody>;

  /// What the server itself has to say about a request.
  struct Refusal {
    int status = 400;
    std::string message;
    std::optional<HttpRefusal> reason;
    bool has_retry_after = false;
  };

  /// A request and its answer.
  struct Exchange {
    Request request;
    CancelToken cancel;  ///< The request's; a copy, since a handler may replace that one.
    RouteMatch match;
    Response response;
    std::optional<Refusal> refusal;
    HandlerMetrics* metrics = nullptr;
    std::unique_ptr<Compressor> compressor;  ///< Of a streamed answer.
    std::shared_ptr<LiveAnswer> live;        ///< Of a deferred answer, from attach to end.
    bool has_live_body = false;
    std::int64_t started_ns = 0;
    std::uint64_t request_body_bytes = 0;
    std::uint64_t held_body_bytes = 0;
    std::uint64_t sent_bytes = 0;
    bool is_http_1_0 = false;
    bool keep_alive = false;
    bool is_chunked = false;
    bool has_unread_body = false;
  };

  Task<void> run(std::shared_ptr<Session> self);
  Task<bool> serve_one();
  void end_exchange();

  // session_read.cc
  Task<ReadResult> read_header(Parser& parser);
  Task<ErrorCode> read_more(std::size_t bytes);
  void start_read(std::size_t bytes);
  void skip_blank_lines();
  void take_header(const Parser& parser);
  std::optional<Refusal> check_header(const Parser& parser);
  std::optional<Refusal> check_route(const Parser& parser);
  Task<ReadResult> read_body(Parser& parser);
  std::optional<Refusal> put_body(Parser& parser);
  std::optional<Refusal> hold_body_bytes(std::uint64_t size);
  Task<ErrorCode> read_body_piece(std::int64_t started_ns, std::uint64_t received_bytes);
  Refusal header_refusal(const Parser& parser, ErrorCode error) const;
  Refusal body_too_large() const;

  // session_answer.cc
  Task<void> run_handler();
  [[nodiscard]] core::WorkerPool& pool() const;
  [[nodiscard]] bool runs_here() noexcept;
  void call_handler() noexcept;
  void render_refusal();
  /// Identity: it goes out as it is.
  [[nodiscard]] ContentCoding answer_coding() const;
  Result<void> compress_answer();
  [[nodiscard]] bool has_body() const;
  void add_cors();
  [[nodiscard]] std::string answer_head() const;
  Task<bool> write_answer();
  Task<bool> write_stream();
  /// The next piece of a streamed body, compressed; nullopt when producing it failed.
  [[nodiscard]] std::optional<std::string> produce_piece(bool& is_last) noexcept;
  Task<bool> write_all(std::string_view head, std::string_view body);
  Task<bool> on_worker(core::WorkerPool& pool, std::function<void()> work);

  // session_live.cc
  Task<ReadResult> await_head();
  Task<void> take_whole_answer();
  Task<bool> write_live();
  Task<bool> write_live_bytes(std::string bytes);
  void watch_client();
  void wake_live();
  void end_live(bool is_written);
  [[nodiscard]] DurationMs write_timeout() const;

  Task<void> close_gently();
  void close();
  void set_deadline(Deadline what, DurationMs from_now);
  void clear_deadline();
  void watch_deadline();

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return tls_ ? tls_->async_read_some(buffers, std::forward<Token>(token))
                : socket_.async_read_some(buffers, std::forward<Token>(token));
  }

  SessionShared& shared_;
  ListenerShared& listener_;
  Tcp::socket socket_;
  std::shared_ptr<TlsIdentity> identity_;  // the context must outlive the stream
  std::optional<asio::ssl::stream<Tcp::socket&>> tls_;
  std::string peer_address_;
  boost::beast::flat_buffer buffer_;
  Exchange exchange_;

  // The read that runs beside a handler: it notices that the client left, or takes what it sent
  // early.
  bool has_background_read_ = false;
  ErrorCode read_error_;
  Event read_done_;
  Event work_done_;
  Event live_event_;  // something happened to the deferred answer, or to its client

  asio::steady_timer deadline_timer_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
  Deadline deadline_kind_ = Deadline::None;
  Deadline expired_ = Deadline::None;

  bool is_first_ = true;
  bool is_idle_ = false;
  bool is_draining_ = false;
  bool is_closed_ = false;
  bool is_cut_by_server_ = false;
};

}  // namespace gantry::net
