#pragma once

// The client's side of a streamed answer: a status is given as late as possible, so that errors can
// have their own, and a client that would have to wait long in silence is told that there is work.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/mutex.h"
#include "core/time.h"
#include "gateway/answer_shape.h"
#include "gateway/error_answer.h"
#include "net/answer_stream.h"
#include "net/streaming_client.h"

namespace gantry::gateway {

/// Thread-safe; nothing blocks. Without `finish` or `fail` the answer is cut when the last handle
/// goes.
class ClientStream : public std::enable_shared_from_this<ClientStream> {
 public:
  struct Options {
    AnswerShape shape;              ///< Of errors.
    net::Headers headers;           ///< Of the answer, whatever it is: X-Generation-Id, say.
    DurationMs keep_alive{10'000};  ///< A comment goes out when nothing did for so long.

    /// How long a client may take for 256 KiB.
    DurationMs write_timeout{60'000};

    /// `write` says Wait from here on: 256 KiB with a write of the usual size on top.
    std::size_t unsent_bytes_max = 240 << 10;
  };

  struct Opened {
    std::shared_ptr<ClientStream> stream;
    net::Response response;  ///< What the handler returns.
  };

  using OnEnd = std::move_only_function<void(const net::AnswerEnd&)>;

  /// `client` lends its timer.
  static Opened open(net::StreamingClient& client, Options options);

  explicit ClientStream(Options options, std::shared_ptr<net::Timer> timer)
      : options_(std::move(options)), timer_(std::move(timer)) {}

  /// Who is told when the answer is over, in place of the one before. When it is over already,
  /// that is returned, and `on_end` dropped.
  std::optional<net::AnswerEnd> set_on_end(OnEnd on_end);

  /// Status 200 and the header go out, `more` among it, unless a comment had to go before.
  void begin(net::Headers more);

  /// Whole events, after `begin`. As AnswerStream::write.
  net::AnswerStream::Next write(std::string events);

  /// As AnswerStream's.
  void on_writable(std::move_only_function<void()> ready);
  void finish();

  /// Ends the answer with an error: with its status and `more` in the header, or as an event if 200
  /// went out already.
  void fail(const TypedError& error, const net::Headers& more = {});

  /// Cuts the answer.
  void abort();

 private:
  void end(const net::AnswerEnd& how);
  void begin_locked(net::Headers more) GANTRY_REQUIRES(mutex_);
  void watch(DurationMs after) GANTRY_REQUIRES(mutex_);
  void keep_alive();
  [[nodiscard]] net::Response error_response(const TypedError& error,
                                             const net::Headers& more) const;

  const Options options_;
  const std::shared_ptr<net::Timer> timer_;
  core::Mutex mutex_;  ///< Before those of stream_ and timer_.
  std::shared_ptr<net::AnswerStream> stream_ GANTRY_GUARDED_BY(mutex_);
  OnEnd on_end_ GANTRY_GUARDED_BY(mutex_);
  std::optional<net::AnswerEnd> end_ GANTRY_GUARDED_BY(mutex_);
  std::int64_t last_output_ns_ GANTRY_GUARDED_BY(mutex_) = 0;
  bool has_begun_ GANTRY_GUARDED_BY(mutex_) = false;
  bool is_finished_ GANTRY_GUARDED_BY(mutex_) = false;
};

}  // namespace gantry::gateway
