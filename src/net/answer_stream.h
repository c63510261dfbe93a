#pragma once

// Answers that are given over time: a handler returns at once, and whoever holds the stream says
// status, header fields and the body's pieces when it has them, from any thread. No thread waits.
//
//   Response chat(Request& request) {
//     auto [stream, response] = AnswerStream::open({.on_end = [](const AnswerEnd&) { … }});
//     upstream.call(std::move(request.body), std::move(stream));  // goes on elsewhere
//     return std::move(response);
//   }
//   …
//   stream->start(200, std::move(headers));
//   if (stream->write("data: 1\n\n") == AnswerStream::Next::Wait) stream->on_writable([…] { … });
//   stream->finish();
//
// Threads: every function may be called on any thread, also inside the callbacks, and never blocks.
// Callbacks run one at a time on an I/O thread of the server and never inside one of these calls;
// they must not block or throw. What they refer to must live until `on_end` has returned or the
// server has stopped; all of them are destroyed then.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "core/time.h"
#include "net/http.h"

namespace gantry::net {

class LiveAnswer;

/// How an answer ended.
struct AnswerEnd {
  enum class Reason : std::uint8_t {
    Finished,      ///< Every byte was handed to the kernel.
    ClientLeft,    ///< It closed or reset its side, at whatever moment; also while nothing is sent.
    WriteTimeout,  ///< The client reads too slowly; its connection was cut.
    ServerStopped,  ///< The grace of Server::stop was over.
    Aborted,        ///< By `abort`, or because the last handle went before `finish`.
    NotWanted,      ///< HEAD, 204 or 304: the header is all that is sent.
    Refused,        ///< The server answered something else: http.streams_max, or the Response with
                    ///< this stream never reached it.
  };

  Reason reason = Reason::Finished;
  std::uint64_t sent_bytes = 0;  ///< To the kernel: header, framing and body.
};

/// The writer's handle. When the last copy goes without `finish` or `respond`, the client gets a
/// 500, or a body that is cut so that it can tell.
class AnswerStream {
 public:
  struct Options {
    /// `write` says Wait from here on.
    std::size_t unsent_bytes_max = 256 << 10;

    /// How long a client may take for each 256 KiB, or less when there is less to send. 0: the
    /// server's http.write_timeout.
    DurationMs write_timeout{0};

    /// Called once, when nothing more can be done for the answer. A client that only stops sending
    /// counts as gone: a request that nobody waits for any more looks the same.
    std::move_only_function<void(const AnswerEnd&)> on_end;
  };

  struct Opened;

  /// `response` is what the handler returns.
  static Opened open(Options options);

  ~AnswerStream();
  AnswerStream(const AnswerStream&) = delete;
  AnswerStream& operator=(const AnswerStream&) = delete;

  /// Status and fields go out at once. Body: chunked, or up to the end of the connection for a
  /// client of HTTP/1.0; not compressed. Framing fields among `headers` are left out. Once, and
  /// instead of `respond`.
  void start(int status, Headers headers);

  /// A whole answer, compressed as any other, instead of `start` and what follows.
  void respond(Response response);

  enum class Next : std::uint8_t {
    Go,     ///< More may be written.
    Wait,   ///< The piece was taken, but nothing should follow until `on_writable` says so.
    Ended,  ///< The answer is over; the piece was dropped.
  };

  /// Takes a piece of the body and sends it as soon as the socket takes it: one chunk, or one
  /// together with those that already wait. After `start`; an empty piece does nothing.
  Next write(std::string piece);

  /// `ready` is called once, when at most half of unsent_bytes_max is unsent. It replaces one that
  /// was not called yet, and is dropped when the answer ends first (on_end tells).
  void on_writable(std::move_only_function<void()> ready);

  /// The body is complete: what is unsent follows, and the connection may serve another request.
  void finish();

  /// Cuts the connection at once, without the end of the body; what is unsent is dropped. Before
  /// `start` the client gets a 500.
  void abort();

  /// Taken by `write` and not yet by the kernel.
  [[nodiscard]] std::size_t unsent_bytes() const;

  [[nodiscard]] bool has_ended() const;

 private:
  explicit AnswerStream(std::shared_ptr<LiveAnswer> live);

  std::shared_ptr<LiveAnswer> live_;
};

struct AnswerStream::Opened {
  std::shared_ptr<AnswerStream> stream;
  Response response;
};

}  // namespace gantry::net
