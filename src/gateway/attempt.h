#pragma once

// One try at one provider: from the request to an answer in one piece, to the first event of a
// stream, or to a failure. Up to there nothing has reached the client, so that the next candidate
// may be tried.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/time.h"
#include "gateway/answer_shape.h"
#include "gateway/error_answer.h"
#include "gateway/generation.h"
#include "gateway/stopwatch.h"
#include "gateway/upstream_events.h"
#include "gateway/upstream_request.h"
#include "net/streaming_client.h"

namespace gantry::gateway {

/// What kind of failure it was: whoever plans the next attempt asks.
enum class FailureKind : std::uint8_t {
  NotSent,     ///< The gateway's own doing: not spoken by the provider, forbidden, too many calls.
  Connection,  ///< Name, connection, TLS, or broken off before the answer was whole.
  Timeout,
  Status,         ///< Not 2xx.
  ErrorBody,      ///< 2xx, but an error object, or an error as a stream's first event.
  InvalidAnswer,  ///< 2xx, but empty, too large, or not what was asked for.
  Cancelled,
};

struct FailedOutcome {
  FailureKind failure = FailureKind::Connection;
  std::optional<net::CallFailure> call;  ///< When the call itself failed.
  std::optional<int> status;             ///< When there was an answer.
  net::Headers headers;                  ///< Of passed_answer_headers.
  TypedError error;                      ///< Of Cancelled: client_disconnected.
};

struct WholeOutcome {
  /// The provider's; with net::kBodyPaddingBytes readable behind it.
  std::string body;
  /// For the client. Nothing: `body` as it is (Responses and Messages).
  std::optional<std::string> shaped;
  net::Headers headers;  ///< Of passed_answer_headers.
};

/// A stream whose first event has come and is no error.
struct StreamOutcome {
  std::unique_ptr<UpstreamEvents> events;  ///< Its next() gives that event.
  net::Headers headers;                    ///< Of passed_answer_headers.
};

struct AttemptResult {
  Attempt record;  ///< Of a stream: as far as it is known.
  std::variant<FailedOutcome, WholeOutcome, StreamOutcome> result;
};

/// Thread-safe. Goes on without a handle.
class RunningAttempt : public std::enable_shared_from_this<RunningAttempt> {
 public:
  struct Options {
    std::shared_ptr<const InferenceRequest> request;
    Upstream upstream;
    AnswerShape shape;  ///< For an answer in one piece.
    Stopwatch stopwatch;
    std::size_t answer_bytes_max = 64 << 20;
    std::int64_t now_unix_s = 0;  ///< For a Retry-After that is a date.
  };

  using OnOutcome = std::move_only_function<void(AttemptResult)>;

  /// Nothing happens before `start`, so that whoever may cancel has the handle first.
  /// `on_outcome` is called once, on an I/O thread of `client` and never inside a function of this
  /// object, unless nothing could be sent: then by `start`. It must not block. `client` lives until
  /// then.
  static std::shared_ptr<RunningAttempt> make(net::StreamingClient& client, Options options,
                                              OnOutcome on_outcome);

  RunningAttempt(Options options, OnOutcome on_outcome);

  /// Once.
  void start();

  /// Closes the connection at once; the outcome is Cancelled, unless it was on its way. Of a stream
  /// that was given out already, its events are cancelled. Also before `start`, which then sends
  /// nothing or little.
  void cancel();

 private:
  void take_head(std::expected<net::AnswerHead, net::CallError> head);
  void await_first_event();
  void judge_first_event();
  void read_body();
  void take_piece(std::expected<std::string, net::CallError> piece);
  void judge_body();
  void fail(FailedOutcome failed);
  void fail_call(const net::CallError& error);
  void fail_answer(FailureKind failure, std::string_view body);
  void give(std::variant<FailedOutcome, WholeOutcome, StreamOutcome> result);

  Options options_;
  OnOutcome on_outcome_;
  std::shared_ptr<net::ClientCall> call_;  ///< Of `make`. Nothing: the request cannot be made.
  std::atomic<bool> is_cancelled_ = false;
  Attempt record_;
  net::AnswerHead head_;
  std::string body_;
  std::unique_ptr<UpstreamEvents> events_;
};

/// What a failed call means to the client; `timeouts` are those it ran under.
[[nodiscard]] TypedError typed_call_error(net::CallFailure failure,
                                          const UpstreamTimeouts& timeouts);

}  // namespace gantry::gateway
