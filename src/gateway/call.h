#pragma once

// One inference call, from its admission to its record. It waits in no thread: answers of
// providers, places, timers and the client's end call it back, one after the other.
//
//   begin → a place among all calls → attempt, and the next one if that failed → answer → end
//
// The client may leave at any time. Whoever moves the call on then finds out; when nobody does, the
// one who tells of it takes over.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/mutex.h"
#include "gateway/attempt.h"
#include "gateway/attempt_plan.h"
#include "gateway/breaker.h"
#include "gateway/call_admission.h"
#include "gateway/call_parts.h"
#include "gateway/call_slots.h"
#include "gateway/client_stream.h"
#include "gateway/stream_pump.h"
#include "gateway/token_estimate.h"
#include "gateway/upstream_echo.h"
#include "gateway/usage_reader.h"
#include "net/answer_stream.h"

namespace gantry::gateway {

/// Thread-safe. Goes on without a handle.
class Call : public std::enable_shared_from_this<Call> {
 public:
  /// What the handler returns; the answer follows. `parts` lives until the call is over, as
  /// LiveCalls tells.
  static net::Response start(CallParts& parts, AdmittedCall admitted);

  Call(CallParts& parts, AdmittedCall admitted);

  /// Cuts the client's answer, and with it everything else.
  void cancel();

 private:
  /// Who moves the call on.
  enum class Phase : std::uint8_t {
    Moving,     ///< A thread, right now.
    Waiting,    ///< Nobody, until a place or the time has come.
    Calling,    ///< The attempt's outcome will.
    Streaming,  ///< The pump, which also learns of the client's end.
    Answered,   ///< The client's end will.
    Over,
  };

  /// The attempt under way, or the one that serves.
  struct Serving {
    Candidate candidate;
    ServedProvider& provider;
    std::optional<std::size_t> key_index;
    CallSlots::Slot slot;
    Breaker::Permit permit;
    AnswerShape shape;
    UpstreamTimeouts timeouts;
  };

  net::Response open();
  void begin();
  void advance(AttemptStep step);
  void attempt(const NextAttempt& next, CallSlots::Slot slot, Breaker::Permit permit);
  [[nodiscard]] std::optional<Breaker::Permit> ask_breaker(const NextAttempt& next);

  void take(AttemptResult outcome);
  void take_failure(Attempt record, const FailedOutcome& failed);
  void take_whole(Attempt record, WholeOutcome whole);
  void take_stream(Attempt record, StreamOutcome stream);
  void end_stream(StreamResult result);

  using Continue = std::move_only_function<void()>;

  void start_timer(std::uint64_t wait, DurationMs time, Continue on_due);
  void wait_for_time(DurationMs time, Continue then);
  void wait_for_slot(const std::shared_ptr<CallSlots>& slots, CallSlots::OnSlot then);
  [[nodiscard]] bool begin_wait(std::shared_ptr<CallSlots> slots, std::uint64_t& wait);
  [[nodiscard]] bool end_wait(std::uint64_t wait);

  void fail(const TypedError& error);
  void answer(Continue give);
  void client_ended(const net::AnswerEnd& how);
  void complete();
  void settle(const TextCounting& counting);

  void record_session();
  [[nodiscard]] net::Headers detail_headers() const;
  [[nodiscard]] std::int64_t created_unix_s() const;
  [[nodiscard]] AnswerShape shape_for(const Candidate& candidate) const;
  [[nodiscard]] Pricing pricing_of(const Candidate& candidate) const;

  [[nodiscard]] TimestampMs now() const { return parts_.steady_clock.now(); }

  CallParts& parts_;
  const std::shared_ptr<const GatewayKey> key_;
  const std::shared_ptr<const InferenceRequest> request_;
  const std::shared_ptr<const ServedCatalogue> catalogue_;
  const std::string session_;
  const Stopwatch stopwatch_;

  // One of the two, by what the request asked for.
  std::shared_ptr<ClientStream> stream_;
  std::shared_ptr<net::AnswerStream> whole_;

  // What follows belongs to whoever moves the call on.
  Reservation reservation_;
  AttemptPlan plan_;
  Generation generation_;
  std::optional<CallSlots::Slot> slot_;  ///< Among all calls.
  std::optional<Serving> serving_;
  UpstreamEcho echo_;
  net::Headers failure_headers_;  ///< What the client may see of the last answer that failed.
  std::optional<std::string> answer_body_;  ///< The provider's, of an answer in one piece.
  ReportedUsage reported_;                  ///< By that.
  std::optional<StreamedAnswer> streamed_;  ///< Of a stream, when it is over.

  core::Mutex mutex_;
  Phase phase_ GANTRY_GUARDED_BY(mutex_) = Phase::Moving;
  std::optional<net::AnswerEnd> client_end_ GANTRY_GUARDED_BY(mutex_);
  std::shared_ptr<RunningAttempt> running_ GANTRY_GUARDED_BY(mutex_);
  std::shared_ptr<CallSlots> awaited_ GANTRY_GUARDED_BY(mutex_);  ///< While Waiting for a place.
  std::shared_ptr<net::Timer> timer_ GANTRY_GUARDED_BY(mutex_);
  std::uint64_t wait_ GANTRY_GUARDED_BY(mutex_) = 0;  ///< Counts waits: a late callback's is over.
  double waiting_since_ms_ GANTRY_GUARDED_BY(mutex_) = 0;
};

/// An error as the API says it, with its status and Retry-After. `request_id`: as error_body's.
[[nodiscard]] net::Response error_answer(Api api, const TypedError& error,
                                         const std::string& request_id);

}  // namespace gantry::gateway
