#include <array>
#include <exception>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>
#include <re2/re2.h>

#include "core/log.h"
#include "net/session_internal.h"
#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

constexpr std::size_t kCompressBytesMin = 1024;
constexpr std::size_t kWriteBytes = 256 << 10;
constexpr std::string_view kRetryAfterSeconds = "1";

/// The server says these itself.
bool is_framing_field(std::string_view name) {
  return equals_without_case(name, "Content-Length") ||
         equals_without_case(name, "Transfer-Encoding") ||
         equals_without_case(name, "Connection") || equals_without_case(name, "Date") ||
         equals_without_case(name, "Server") || equals_without_case(name, "X-Request-Id");
}

}  // namespace

/// False when the pool refused the work.
Task<bool> Session::on_worker(core::WorkerPool& pool, std::function<void()> work) {
  // The io_context comes along: this thread may still hold the executor when the session, and with
  // it the server, has already ended elsewhere.
  const auto submitted =
      pool.submit([io = shared_.io, self = shared_from_this(), work = std::move(work)]() mutable {
        work();
        const auto executor = self->socket_.get_executor();
        asio::post(executor, [self = std::move(self)] { self->work_done_.set(); });
      });
  if (!submitted) co_return false;
  co_await work_done_.wait();
  co_return true;
}

core::WorkerPool& Session::pool() const {
  return exchange_.match.route->options.runs_on == RunsOn::IngestPool ? shared_.options.ingest_pool
                                                                      : shared_.options.query_pool;
}

Task<void> Session::run_handler() {
  if (exchange_.match.route == nullptr) {
    exchange_.response = Response{.status = exchange_.match.status};
    exchange_.response.headers.add("Allow", exchange_.match.allow);
    co_return;
  }
  std::string& body = exchange_.request.body;
  if (body.empty()) body.reserve(kBodyPaddingBytes);
  if (runs_here()) {
    call_handler();
    co_return;
  }
  constexpr std::size_t kEarlyReadBytes = 16 << 10;
  if (buffer_.size() == 0 && !has_background_read_ && !read_error_) start_read(kEarlyReadBytes);
  if (!co_await on_worker(pool(), [this] { call_handler(); })) {
    exchange_.refusal = Refusal{.status = 503,
                                .message = "the server is busy: its queue is full; try again",
                                .reason = HttpRefusal::QueueFull,
                                .has_retry_after = true};
  }
}

bool Session::runs_here() noexcept {
  const RouteOptions& options = exchange_.match.route->options;
  if (options.runs_on == RunsOn::IoThread) return true;
  try {
    return options.is_quick && options.is_quick(exchange_.request);
  } catch (const std::exception&) {
    return false;  // the handler will say what is wrong
  }
}

/// On a worker, or here.
void Session::call_handler() noexcept {
  std::string failure;
  try {
    exchange_.response = exchange_.match.route->handler(exchange_.request);
    if (exchange_.response.deferred != nullptr) return;
    const auto compressed = compress_answer();
    if (compressed) return;
    failure = compressed.error().message;
  } catch (const std::exception& error) {
    failure = error.what();
  }
  log::error("request failed", {{"request_id", exchange_.request.request_id},
                                {"handler", exchange_.match.route->options.name},
                                {"error", failure}});
  exchange_.refusal = Refusal{.status = 500, .message = "internal error; the log has the details"};
}

ContentCoding Session::answer_coding() const {
  const Response& response = exchange_.response;
  const bool is_large = response.stream != nullptr || response.body.size() > kCompressBytesMin;
  const bool may_compress = response.may_compress && !response.headers.contains("Content-Encoding");
  if (!is_large || !may_compress) return ContentCoding::Identity;
  return choose_content_coding(exchange_.request.headers.find("Accept-Encoding"));
}

Result<void> Session::compress_answer() {
  Response& response = exchange_.response;
  const ContentCoding coding = answer_coding();
  if (response.may_compress && !response.headers.contains("Content-Encoding"))
    response.headers.add("Vary", "Accept-Encoding");
  if (coding == ContentCoding::Identity) return {};
  GANTRY_TRY(auto compressor, make_compressor(coding));
  std::string compressed;
  GANTRY_CHECK(compressor->append(response.body, compressed));
  if (response.stream) {
    exchange_.compressor = std::move(compressor);
  } else {
    GANTRY_CHECK(compressor->finish(compressed));
  }
  response.body = std::move(compressed);
  response.headers.add("Content-Encoding", std::string(content_coding_name(coding)));
  return {};
}

void Session::render_refusal() {
  const Refusal& refusal = *exchange_.refusal;
  if (refusal.reason) shared_.metrics.refuse(*refusal.reason);
  const Route* const route =
      exchange_.match.route != nullptr ? exchange_.match.route : exchange_.match.sibling;
  const ErrorRenderer& render = route != nullptr && route->options.render_error
                                    ? route->options.render_error
                                    : listener_.router->error_renderer();
  try {
    exchange_.response = render(exchange_.request, refusal.status, refusal.message);
  } catch (const std::exception& error) {
    log::error("error renderer failed", {{"error", error.what()}});
    exchange_.response = text_response(refusal.status, refusal.message);
  }
  exchange_.compressor = nullptr;
  exchange_.has_live_body = false;
  Headers& headers = exchange_.response.headers;
  if (!exchange_.match.allow.empty()) headers.set("Allow", exchange_.match.allow);
  if (refusal.has_retry_after) headers.set("Retry-After", std::string(kRetryAfterSeconds));
}

void Session::add_cors() {
  const Route* const route =
      exchange_.match.route != nullptr ? exchange_.match.route : exchange_.match.sibling;
  if (route == nullptr || route->options.cors == Cors::No) return;
  Headers& headers = exchange_.response.headers;
  headers.add("Vary", "Origin");
  const std::string origin(exchange_.request.headers.find("Origin"));
  if (origin.empty()) return;
  if (shared_.cors_origin != nullptr && !RE2::FullMatch(origin, *shared_.cors_origin)) return;
  headers.set("Access-Control-Allow-Origin", shared_.cors_origin == nullptr ? "*" : origin);
  headers.set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin");
  headers.set("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  headers.set("Access-Control-Expose-Headers", "Date");
}

bool Session::has_body() const {
  const int status = exchange_.response.status;
  return exchange_.request.method != Method::Head && status != 204 && status != 304;
}

std::string Session::answer_head() const {
  const Response& response = exchange_.response;
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, status_text(response.status));
  append_field(head, "Date", http_date());
  append_field(head, "Server", "gantry");
  append_field(head, "X-Request-Id", exchange_.request.request_id);
  for (const auto& [name, value] : response.headers.fields()) {
    if (!is_framing_field(name)) append_field(head, name, value);
  }
  if (exchange_.is_chunked) {
    append_field(head, "Transfer-Encoding", "chunked");
  } else if (!response.stream && !exchange_.has_live_body && response.status != 204 &&
             response.status != 304) {
    append_field(head, "Content-Length", std::to_string(response.body.size()));
  }
  if (!exchange_.keep_alive) {
    append_field(head, "Connection", "close");
  } else if (exchange_.is_http_1_0) {
    append_field(head, "Connection", "keep-alive");
  }
  head += "\r\n";
  return head;
}

/// True when the whole answer was handed to the kernel.
Task<bool> Session::write_answer() {
  const bool is_streamed =
      (exchange_.response.stream != nullptr || exchange_.has_live_body) && has_body();
  exchange_.is_chunked = is_streamed && !exchange_.is_http_1_0;
  // HTTP/1.0 knows the end of such a body by the end of the connection.
  if (is_streamed && exchange_.is_http_1_0) exchange_.keep_alive = false;
  expired_ = Deadline::None;
  const std::string head = answer_head();
  if (is_streamed) {
    // Not `a && co_await b`, here and below: g++ 12 awaits the second in any case.
    if (!co_await write_all(head, {})) co_return false;
    if (exchange_.has_live_body) co_return co_await write_live();
    co_return co_await write_stream();
  }
  co_return co_await write_all(head, has_body() ? std::string_view(exchange_.response.body) : "");
}

std::optional<std::string> Session::produce_piece(bool& is_last) noexcept {
  try {
    const std::string raw = exchange_.response.stream();
    is_last = raw.empty();
    if (exchange_.compressor == nullptr) return raw;
    std::string piece;
    if (!exchange_.compressor->append(raw, piece)) return std::nullopt;
    if (is_last && !exchange_.compressor->finish(piece)) return std::nullopt;
    return piece;
  } catch (const std::exception& error) {
    log::error("answer stream failed", {{"request_id", exchange_.request.request_id},
                                        {"handler", exchange_.match.route->options.name},
                                        {"error", error.what()}});
    return std::nullopt;
  }
}

/// A stream that fails is cut without its last chunk, so that the client can tell.
Task<bool> Session::write_stream() {
  constexpr auto kBusyWait = std::chrono::milliseconds(5);
  std::optional<std::string> piece = std::move(exchange_.response.body);
  bool is_last = false;
  for (;;) {
    if (!piece) co_return false;
    if (!piece->empty()) {
      const std::string head =
          exchange_.is_chunked ? fmt::format("{:x}\r\n", piece->size()) : std::string();
      if (exchange_.is_chunked) *piece += "\r\n";
      if (!co_await write_all(head, *piece)) co_return false;
    }
    if (is_last) break;
    asio::steady_timer pause(socket_.get_executor());
    while (!co_await on_worker(pool(), [&] { piece = produce_piece(is_last); })) {
      if (is_closed_) co_return false;
      pause.expires_after(kBusyWait);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (is_closed_) co_return false;
  }
  if (!exchange_.is_chunked) co_return true;
  co_return co_await write_all("0\r\n\r\n", {});
}

/// In slices, each with its own deadline: a client that reads too slowly is cut, a large answer is
/// not.
Task<bool> Session::write_all(std::string_view head, std::string_view body) {
  while (!head.empty() || !body.empty()) {
    if (is_closed_) co_return false;
    const std::string_view slice = body.substr(0, kWriteBytes);
    const std::array buffers{asio::buffer(head), asio::buffer(slice)};
    set_deadline(Deadline::Write, write_timeout());
    const auto [error, count] =
        tls_ ? co_await asio::async_write(*tls_, buffers, asio::as_tuple(asio::use_awaitable))
             : co_await asio::async_write(socket_, buffers, asio::as_tuple(asio::use_awaitable));
    clear_deadline();
    exchange_.sent_bytes += count;
    if (expired_ == Deadline::Write) shared_.metrics.refuse(HttpRefusal::WriteTimeout);
    if (error || expired_ == Deadline::Write) {
      close();  // half an answer: nothing more can be said on this connection
      co_return false;
    }
    head = {};
    body.remove_prefix(slice.size());
  }
  co_return true;
}

}  // namespace gantry::net
