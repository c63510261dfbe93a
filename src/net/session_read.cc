#include <algorithm>
#include <memory>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <fmt/format.h>

#include "core/time.h"
#include "net/client_address.h"
#include "net/session_internal.h"
#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kHeaderReadBytes = 16 << 10;
constexpr std::size_t kBodyReadBytes = 64 << 10;

Method method_from(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::Get;
    case http::verb::head:
      return Method::Head;
    case http::verb::post:
      return Method::Post;
    case http::verb::put:
      return Method::Put;
    case http::verb::delete_:
      return Method::Delete;
    case http::verb::options:
      return Method::Options;
    case http::verb::patch:
      return Method::Patch;
    default:
      return Method::Other;
  }
}

/// The path and query of an absolute-form target ("http://host/path"), which a proxy may send.
std::string_view strip_authority(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const std::size_t path = target.find_first_of("/?", scheme.size());
    return path == std::string_view::npos ? "/" : target.substr(path);
  }
  return target;
}

}  // namespace

/// Appends what arrives to buffer_. Waits for the background read when there is one.
Task<ErrorCode> Session::read_more(std::size_t bytes) {
  if (has_background_read_) {
    co_await read_done_.wait();
    co_return read_error_;
  }
  if (read_error_) co_return read_error_;
  if (expired_ != Deadline::None) co_return asio::error::timed_out;
  const auto [error, count] =
      co_await async_read_some(buffer_.prepare(bytes), asio::as_tuple(asio::use_awaitable));
  buffer_.commit(count);
  if (error) read_error_ = error;
  co_return error;
}

/// Reads beside the handler: an end of the stream means that nobody waits for the answer. Into
/// memory of its own, since buffer_ moves its bytes while the next request is taken from it.
void Session::start_read(std::size_t bytes) {
  has_background_read_ = true;
  read_done_.reset();
  auto memory = std::make_unique_for_overwrite<char[]>(bytes);
  const asio::mutable_buffer target(memory.get(), bytes);
  async_read_some(target, [self = shared_from_this(), memory = std::move(memory)](
                              ErrorCode error, std::size_t count) {
    // Here, not where somebody waits: nobody does when the next request is already whole, and its
    // handler needs a read of its own.
    self->has_background_read_ = false;
    self->buffer_.commit(
        asio::buffer_copy(self->buffer_.prepare(count), asio::const_buffer(memory.get(), count)));
    self->read_error_ = error;
    if (error) self->exchange_.cancel.cancel();
    if (self->exchange_.live != nullptr) {
      self->watch_client();
    } else {
      self->read_done_.set();
    }
  });
}

/// RFC 9112 2.2: empty lines before a request line are ignored.
void Session::skip_blank_lines() {
  const auto* const data = static_cast<const char*>(buffer_.data().data());
  std::size_t count = 0;
  while (count < buffer_.size() && (data[count] == '\r' || data[count] == '\n')) ++count;
  buffer_.consume(count);
}

Task<Session::ReadResult> Session::read_header(Parser& parser) {
  const HttpLimits& limits = shared_.options.limits;
  const bool is_first = std::exchange(is_first_, false);
  skip_blank_lines();
  if (buffer_.size() == 0) {
    if (buffer_.capacity() > kHeaderReadBytes) buffer_.shrink_to_fit();
    set_deadline(is_first ? Deadline::Header : Deadline::KeepAlive,
                 is_first ? limits.header_timeout : limits.keep_alive_timeout);
    is_idle_ = true;
    while (buffer_.size() == 0) {
      const ErrorCode error = co_await read_more(kHeaderReadBytes);
      if (error || is_closed_) co_return ReadResult::Closed;
      skip_blank_lines();
    }
    is_idle_ = false;
  }
  bool has_deadline = is_first;
  for (;;) {
    ErrorCode error;
    buffer_.consume(parser.put(buffer_.data(), error));
    if (parser.is_header_done() && !error) break;
    if (error && error != http::error::need_more) {
      exchange_.refusal = header_refusal(parser, error);
      co_return ReadResult::Refused;
    }
    if (!has_deadline) set_deadline(Deadline::Header, limits.header_timeout);
    has_deadline = true;
    error = co_await read_more(kHeaderReadBytes);
    if (error && expired_ != Deadline::Header) co_return ReadResult::Closed;
    if (error) {
      exchange_.refusal =
          Refusal{.status = 408,
                  .message = fmt::format("the request header did not arrive within {} ms "
                                         "(http.header_timeout)",
                                         limits.header_timeout.count),
                  .reason = HttpRefusal::HeaderTimeout};
      co_return ReadResult::Refused;
    }
  }
  clear_deadline();
  co_return ReadResult::Ok;
}

Session::Refusal Session::header_refusal(const Parser& parser, ErrorCode error) const {
  const HttpLimits& limits = shared_.options.limits;
  if (error == http::error::bad_version) {
    return {.status = 505,
            .message = "only HTTP/1.0 and HTTP/1.1 are spoken here",
            .reason = HttpRefusal::BadRequest};
  }
  if (error != http::error::header_limit) {
    return {.status = 400,
            .message = fmt::format("malformed HTTP request: {}", error.message()),
            .reason = HttpRefusal::BadRequest};
  }
  if (parser.get().target().empty()) {  // not even the request line ended
    return {.status = 414,
            .message = fmt::format("the request target is longer than {} bytes "
                                   "(http.target_bytes_max)",
                                   limits.target_bytes_max),
            .reason = HttpRefusal::TargetTooLong};
  }
  return {.status = 431,
          .message = fmt::format("the request header is larger than {} bytes "
                                 "(http.header_bytes_max)",
                                 limits.header_bytes_max),
          .reason = HttpRefusal::HeaderTooLarge};
}

/// Also after a broken header, as far as that was understood: for the log and the answer.
void Session::take_header(const Parser& parser) {
  const auto& message = parser.get();
  Request& request = exchange_.request;
  request.method = method_from(message.method());
  for (const auto& field : message) {
    request.headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  const std::string_view target =
      strip_authority({message.target().data(), message.target().size()});
  const std::size_t query = std::min(target.find('?'), target.size());
  request.raw_path = target.substr(0, query);
  request.raw_query = target.substr(std::min(query + 1, target.size()));
  request.peer_address =
      client_address(peer_address_, request.headers, shared_.options.trusted_proxies);
  request.is_tls = tls_.has_value();
  request.request_id = request_id_from(request.headers.find("X-Request-Id"));
}

std::optional<Session::Refusal> Session::check_header(const Parser& parser) {
  const HttpLimits& limits = shared_.options.limits;
  const auto bad_request = [](std::string message, int status = 400) {
    return Refusal{
        .status = status, .message = std::move(message), .reason = HttpRefusal::BadRequest};
  };
  const auto& message = parser.get();
  const Headers& headers = exchange_.request.headers;
  exchange_.is_http_1_0 = message.version() == 10;
  exchange_.keep_alive = parser.keep_alive();
  if (message.target().size() > limits.target_bytes_max) {
    return Refusal{.status = 414,
                   .message = fmt::format("the request target is {} bytes long, the limit is {} "
                                          "(http.target_bytes_max)",
                                          message.target().size(), limits.target_bytes_max),
                   .reason = HttpRefusal::TargetTooLong};
  }
  if (headers.fields().size() > limits.header_fields_max) {
    return Refusal{.status = 431,
                   .message = fmt::format("the request has {} header fields, the limit is {} "
                                          "(http.header_fields_max)",
                                          headers.fields().size(), limits.header_fields_max),
                   .reason = HttpRefusal::HeaderTooLarge};
  }
  const std::size_t host_count = headers.count("Host");
  if (host_count > 1 || (host_count == 0 && !exchange_.is_http_1_0)) {
    return bad_request("a request has exactly one Host header");
  }
  if (headers.contains("Transfer-Encoding")) {
    if (exchange_.is_http_1_0) return bad_request("Transfer-Encoding in an HTTP/1.0 request");
    if (headers.count("Transfer-Encoding") != 1 ||
        !equals_without_case(headers.find("Transfer-Encoding"), "chunked")) {
      return bad_request("the only Transfer-Encoding spoken here is \"chunked\"", 501);
    }
  }
  if (headers.contains("Expect") && !equals_without_case(headers.find("Expect"), "100-continue")) {
    return bad_request("the only expectation known here is \"100-continue\"", 417);
  }
  auto path = normalise_path(exchange_.request.raw_path);
  if (!path) return bad_request(std::move(path.error().message));
  exchange_.request.path = *std::move(path);
  return std::nullopt;
}

std::optional<Session::Refusal> Session::check_route(const Parser& parser) {
  Request& request = exchange_.request;
  exchange_.match = listener_.router->find(request.method, request.path);
  const RouteMatch& match = exchange_.match;
  if (match.status == 404) {
    return Refusal{.status = 404, .message = fmt::format("no such path: {}", request.path)};
  }
  if (match.status == 405) {
    return Refusal{.status = 405,
                   .message = fmt::format("method {} is not allowed for {}, allowed: {}",
                                          std::string_view(parser.get().method_string()),
                                          request.path, match.allow)};
  }
  if (match.route == nullptr) return std::nullopt;  // a CORS preflight
  request.path_parameters = std::move(exchange_.match.path_parameters);
  exchange_.metrics = listener_.handlers.at(match.route);
  const auto length = parser.content_length();
  if (length && *length > match.route->options.body_bytes_max) return body_too_large();
  return std::nullopt;
}

Session::Refusal Session::body_too_large() const {
  const RouteOptions& options = exchange_.match.route->options;
  return {.status = 413,
          .message = fmt::format("the request body is larger than {} bytes ({})",
                                 options.body_bytes_max, options.body_setting),
          .reason = HttpRefusal::BodyTooLarge};
}

/// Counts the body against what all requests together may hold.
std::optional<Session::Refusal> Session::hold_body_bytes(std::uint64_t size) {
  const std::uint64_t added = size - exchange_.held_body_bytes;
  const std::uint64_t held =
      shared_.held_body_bytes.fetch_add(added, std::memory_order_relaxed) + added;
  exchange_.held_body_bytes = size;
  if (held <= shared_.options.limits.bodies_bytes_max) return std::nullopt;
  return Refusal{.status = 503,
                 .message = fmt::format("the bodies of the requests in flight pass {} bytes "
                                        "(http.bodies_bytes_max); try again",
                                        shared_.options.limits.bodies_bytes_max),
                 .reason = HttpRefusal::BodyMemory,
                 .has_retry_after = true};
}

/// Feeds what is in buffer_ to the parser.
std::optional<Session::Refusal> Session::put_body(Parser& parser) {
  // Beast 1.81 fails an assertion on less than "0\r\n\r\n" after a broken off header of a chunk,
  // and at least that is still to come.
  constexpr std::size_t kChunkedEndBytes = 5;
  if (parser.chunked() && buffer_.size() < kChunkedEndBytes) return std::nullopt;
  ErrorCode error;
  buffer_.consume(parser.put(buffer_.data(), error));
  const std::uint64_t size = parser.get().body().bytes.size();
  exchange_.request_body_bytes = size;
  if (error == http::error::body_limit) return body_too_large();
  if (error && error != http::error::need_more) {
    return Refusal{.status = 400,
                   .message = fmt::format("malformed request body: {}", error.message()),
                   .reason = HttpRefusal::BadRequest};
  }
  // What the parser leaves is a chunk's header or the trailer, not data.
  if (error && buffer_.size() > shared_.options.limits.header_bytes_max) {
    return Refusal{.status = 431,
                   .message = fmt::format("a chunk header or the trailer is larger than {} bytes "
                                          "(http.header_bytes_max)",
                                          shared_.options.limits.header_bytes_max),
                   .reason = HttpRefusal::HeaderTooLarge};
  }
  return hold_body_bytes(size);
}

Task<ErrorCode> Session::read_body_piece(std::int64_t started_ns, std::uint64_t received_bytes) {
  const HttpLimits& limits = shared_.options.limits;
  const std::int64_t elapsed_ms = (monotonic_ns() - started_ns) / 1'000'000;
  const auto earned_ms = static_cast<std::int64_t>(
      received_bytes * 1000 / std::max<std::uint64_t>(limits.body_bytes_per_second_min, 1));
  const std::int64_t left_ms = limits.body_idle_timeout.count + earned_ms - elapsed_ms;
  set_deadline(Deadline::Body,
               {std::clamp<std::int64_t>(left_ms, 1, limits.body_idle_timeout.count)});
  co_return co_await read_more(kBodyReadBytes);
}

/// Leaves the body in the request, or a refusal in the exchange.
Task<Session::ReadResult> Session::read_body(Parser& parser) {
  parser.get().body().bytes_max = exchange_.match.route->options.body_bytes_max;
  if (exchange_.request.headers.contains("Expect") && buffer_.size() == 0) {
    if (!co_await write_all("HTTP/1.1 100 Continue\r\n\r\n", {})) co_return ReadResult::Closed;
  }
  parser.eager(true);
  const std::int64_t started_ns = monotonic_ns();
  while (!parser.is_done()) {
    if (buffer_.size() > 0) {
      exchange_.refusal = put_body(parser);
      if (exchange_.refusal) co_return ReadResult::Refused;
      if (parser.is_done()) break;
    }
    const ErrorCode error = co_await read_body_piece(started_ns, exchange_.request_body_bytes);
    if (error && expired_ != Deadline::Body) co_return ReadResult::Closed;
    if (error) {
      exchange_.refusal =
          Refusal{.status = 408,
                  .message = fmt::format("the request body came too slowly: {} bytes so far "
                                         "(http.body_idle_timeout, http.body_bytes_per_second_min)",
                                         exchange_.request_body_bytes),
                  .reason = HttpRefusal::BodyTimeout};
      co_return ReadResult::Refused;
    }
  }
  clear_deadline();
  exchange_.has_unread_body = false;
  exchange_.request.body = std::move(parser.get().body().bytes);
  exchange_.request.body.reserve(exchange_.request.body.size() + kBodyPaddingBytes);
  co_return ReadResult::Ok;
}

}  // namespace gantry::net
