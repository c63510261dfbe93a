// Answers that are given over time: the session's side of AnswerStream.

#include <boost/asio/defer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "core/log.h"
#include "net/session_internal.h"

namespace gantry::net {
namespace {

constexpr std::size_t kBatchBytes = 256 << 10;
constexpr std::size_t kWatchReadBytes = 4 << 10;

/// Of requests that come before the answer to this one has ended. With more, only a reset is
/// noticed.
constexpr std::size_t kEarlyBytesMax = 64 << 10;

}  // namespace

DurationMs Session::write_timeout() const {
  const bool has_own = exchange_.live != nullptr && exchange_.live->write_timeout().count > 0;
  return has_own ? exchange_.live->write_timeout() : shared_.options.limits.write_timeout;
}

/// Keeps a read under way while an answer is being given, so that the client's going is noticed
/// when nothing is written, too.
void Session::watch_client() {
  if (exchange_.live == nullptr) return;
  if (read_error_) {
    close();
    live_event_.set();
  } else if (!has_background_read_ && buffer_.size() < kEarlyBytesMax) {
    start_read(kWatchReadBytes);
  }
}

void Session::wake_live() {
  if (exchange_.live != nullptr && exchange_.live->is_cut() && !is_closed_) {
    // Without chunks, only a reset tells a cut body from a whole one.
    ErrorCode ignored;
    if (!exchange_.is_chunked) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    close();
  }
  live_event_.set();
}

/// Waits until the writer says what to answer. Leaves that, or a refusal, in the exchange.
Task<Session::ReadResult> Session::await_head() {
  const auto live = exchange_.response.deferred->take();
  exchange_.response.deferred = nullptr;
  const std::size_t streams_max = shared_.options.limits.streams_max;
  if (shared_.stream_count.fetch_add(1, std::memory_order_relaxed) >= streams_max) {
    shared_.stream_count.fetch_sub(1, std::memory_order_relaxed);
    live->end({.reason = AnswerEnd::Reason::Refused});
    exchange_.refusal = Refusal{.status = 503,
                                .message = fmt::format("{} answers are being streamed already "
                                                       "(http.streams_max); try again",
                                                       streams_max),
                                .reason = HttpRefusal::Streams,
                                .has_retry_after = true};
    co_return ReadResult::Refused;
  }
  shared_.metrics.streams().add(1);
  exchange_.live = live;
  live_event_.reset();
  live->attach([this] {
    // Deferred: the thread that wrote the piece, if it is one of ours, sends it next. A post would
    // wake another for that.
    asio::defer(socket_.get_executor(), [self = shared_from_this()] { self->wake_live(); });
  });
  watch_client();
  while (!is_closed_) {
    LiveAnswer::Work work = live->take(kBatchBytes);
    if (work.ready) work.ready();
    if (work.head) {
      const Headers added = std::move(exchange_.response.headers);
      exchange_.response = *std::move(work.head);
      for (const auto& [name, value] : added.fields()) exchange_.response.headers.add(name, value);
      exchange_.has_live_body = !work.is_whole;
      if (work.is_whole) co_await take_whole_answer();
      co_return is_closed_ ? ReadResult::Closed : ReadResult::Ok;
    }
    if (work.is_aborted) {
      exchange_.refusal = Refusal{.status = 500, .message = "internal error: no answer was given"};
      co_return ReadResult::Refused;
    }
    if (work.is_nothing()) co_await live_event_.wait();
  }
  co_return ReadResult::Closed;
}

/// Compresses a whole answer as call_handler does for those that are given at once. When the pool
/// is full it goes out as it is.
Task<void> Session::take_whole_answer() {
  Result<void> compressed;
  if (answer_coding() == ContentCoding::Identity) {
    compressed = compress_answer();
  } else {
    co_await on_worker(pool(), [&] { compressed = compress_answer(); });
  }
  if (compressed) co_return;
  log::error("request failed", {{"request_id", exchange_.request.request_id},
                                {"handler", exchange_.match.route->options.name},
                                {"error", compressed.error().message}});
  exchange_.refusal = Refusal{.status = 500, .message = "internal error; the log has the details"};
}

Task<bool> Session::write_live_bytes(std::string bytes) {
  const std::size_t count = bytes.size();
  const std::string head = exchange_.is_chunked ? fmt::format("{:x}\r\n", count) : std::string();
  if (exchange_.is_chunked) bytes += "\r\n";
  const bool is_written = co_await write_all(head, bytes);
  if (is_written) exchange_.live->sent(count);
  co_return is_written;
}

/// True when the whole body was handed to the kernel.
Task<bool> Session::write_live() {
  while (!is_closed_) {
    LiveAnswer::Work work = exchange_.live->take(kBatchBytes);
    if (work.is_aborted) {
      wake_live();
      co_return false;
    }
    if (work.is_nothing()) {
      co_await live_event_.wait();
      continue;
    }
    if (work.ready) work.ready();
    if (!work.bytes.empty()) {
      if (!co_await write_live_bytes(std::move(work.bytes))) co_return false;
    }
    if (work.is_finished) {
      if (!exchange_.is_chunked) co_return true;
      co_return co_await write_all("0\r\n\r\n", {});
    }
  }
  co_return false;
}

void Session::end_live(bool is_written) {
  const auto live = std::exchange(exchange_.live, nullptr);
  if (live == nullptr) return;
  using enum AnswerEnd::Reason;
  AnswerEnd end{.reason = ClientLeft, .sent_bytes = exchange_.sent_bytes};
  if (is_cut_by_server_) {
    end.reason = ServerStopped;
  } else if (live->is_aborted()) {
    end.reason = Aborted;
  } else if (is_written) {
    end.reason = exchange_.has_live_body && !has_body() ? NotWanted : Finished;
  } else if (expired_ == Deadline::Write) {
    end.reason = WriteTimeout;
  }
  shared_.stream_count.fetch_sub(1, std::memory_order_relaxed);
  shared_.metrics.streams().add(-1);
  live->end(end);
}

}  // namespace gantry::net
