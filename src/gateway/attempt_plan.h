#pragma once

// What to do after an attempt at a provider failed. The only place that decides on a second one.
//
//   AttemptPlan plan(route, deadline, random);
//   AttemptStep step = plan.first(clock.now());
//   while (const auto* attempt = std::get_if<NextAttempt>(&step)) {
//     … wait attempt->delay, ask the endpoint's breaker; if it lets nothing through:
//     step = plan.after_refusal(clock.now()); continue;
//     … call; if that failed:
//     step = plan.after_failure(failure, clock.now());
//   }
//   … tell the client std::get<TypedError>(step) …

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/time.h"
#include "gateway/breaker.h"
#include "gateway/catalogue.h"
#include "gateway/error_answer.h"
#include "gateway/random_source.h"
#include "gateway/routing.h"

namespace gantry::gateway {

enum class ClientOutput : bool { Nothing, Begun };
enum class OtherKey : bool { None, Free };

/// An attempt that did not serve.
struct AttemptFailure {
  TypedError error;           ///< By classify_upstream(), provider_timeout(), …
  std::optional<int> status;  ///< Nothing: no answer came.
  ClientOutput client_output = ClientOutput::Nothing;
  /// Whether the provider has a key left that was not put aside, after this failure's was.
  OtherKey other_key = OtherKey::None;
};

/// For the endpoint's breaker and statistics. An answer that blames the request shows that the
/// endpoint works; one that asks to wait, or a client that left, shows nothing.
[[nodiscard]] AttemptOutcome outcome_of(const AttemptFailure& failure);

/// How long to put the key of the attempt aside; nothing: the key is not to blame.
[[nodiscard]] std::optional<DurationMs> key_pause(const AttemptFailure& failure);

struct AttemptPlanOptions {
  std::uint32_t max_retries = 1;      ///< At the last candidate.
  DurationMs retry_after_max{5'000};  ///< A provider that asks for more is not tried again.
  DurationMs retry_delay{250};        ///< Doubled each time; between half and all of it is waited.
};

struct NextAttempt {
  Candidate candidate;
  DurationMs delay;           ///< Before it.
  ProviderTimeouts timeouts;  ///< The provider's, none longer than what is left of the request.
  /// The breaker is to be passed by begin_anyway(): no other endpoint is left.
  bool is_forced = false;
};

/// TypedError: it is over, and this is what the client is told.
using AttemptStep = std::variant<NextAttempt, TypedError>;

/// One request's attempts. Not thread-safe.
class AttemptPlan {
 public:
  /// `random` outlives this. `deadline` and the times given later are of one clock.
  AttemptPlan(Route route, TimestampMs deadline, RandomSource& random,
              AttemptPlanOptions options = {});

  [[nodiscard]] AttemptStep first(TimestampMs now);

  /// The attempt of the last step failed.
  [[nodiscard]] AttemptStep after_failure(const AttemptFailure& failure, TimestampMs now);

  /// The attempt of the last step was not made, because its breaker let nothing through (any
  /// more). Without any attempt made at all, the last candidate's is forced.
  [[nodiscard]] AttemptStep after_refusal(TimestampMs now);

 private:
  [[nodiscard]] AttemptStep attempt(TimestampMs now, DurationMs delay) const;
  [[nodiscard]] std::optional<std::size_t> find_other_model() const;
  [[nodiscard]] std::optional<DurationMs> retry_delay(const AttemptFailure& failure) const;
  [[nodiscard]] TypedError last_error() const;
  [[nodiscard]] TypedError combined_error() const;

  Route route_;
  TimestampMs deadline_;
  RandomSource& random_;
  AttemptPlanOptions options_;
  std::size_t current_ = 0;
  std::uint32_t retries_ = 0;
  std::vector<FailedAttempt> failed_;
};

}  // namespace gantry::gateway
