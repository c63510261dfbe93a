#include "gateway/attempt_plan.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace gantry::gateway {
namespace {

constexpr DurationMs kKeyPause{30'000};
constexpr std::int64_t kMsPerSecond = 1000;
constexpr std::int64_t kWaitMaxS = 86'400;  ///< Bounds what is multiplied.

enum class Remedy : std::uint8_t {
  None,        ///< The request is to blame: it fails everywhere.
  OtherModel,  ///< Another model may take it.
  Elsewhere,   ///< Another endpoint may serve; this one will not.
  Any,         ///< This endpoint may serve the next time.
};

Remedy remedy_for(const AttemptFailure& failure) {
  // The provider refuses the gateway's key, or its own model: no matter when.
  const bool is_refused = failure.status == 401 || failure.status == 402 || failure.status == 403;
  switch (failure.error.type) {
    case ErrorType::ContextLengthExceeded:
    case ErrorType::MaxTokensExceeded:
    case ErrorType::TokenLimitExceeded:
    case ErrorType::ContentPolicyViolation:
    case ErrorType::Refusal:
      return Remedy::OtherModel;
    case ErrorType::NotFound:
      return Remedy::Elsewhere;
    case ErrorType::RateLimitExceeded:
    case ErrorType::Server:
    case ErrorType::Unmapped:
    case ErrorType::ProviderOverloaded:
    case ErrorType::Timeout:
      return Remedy::Any;
    case ErrorType::ProviderUnavailable:
    case ErrorType::Authentication:
    case ErrorType::PaymentRequired:
    case ErrorType::PermissionDenied:
      return is_refused && failure.other_key == OtherKey::None ? Remedy::Elsewhere : Remedy::Any;
    case ErrorType::InvalidRequest:
    case ErrorType::InvalidPrompt:
    case ErrorType::StringTooLong:
    case ErrorType::InvalidImage:
    case ErrorType::ImageTooLarge:
    case ErrorType::ImageTooSmall:
    case ErrorType::UnsupportedImageFormat:
    case ErrorType::ImageDownloadFailed:
    case ErrorType::ImageNotFound:
    case ErrorType::PreconditionFailed:
    case ErrorType::PayloadTooLarge:
    case ErrorType::Unprocessable:
    case ErrorType::ClientDisconnected:
      return Remedy::None;
  }
  return Remedy::None;
}

std::optional<DurationMs> asked_wait(const AttemptFailure& failure) {
  if (!failure.error.retry_after_s) return std::nullopt;
  return DurationMs{std::clamp<std::int64_t>(*failure.error.retry_after_s, 0, kWaitMaxS) *
                    kMsPerSecond};
}

template <class Names>
void add_once(Names& names, const std::string& name) {
  if (std::ranges::count(names, name) == 0) names.push_back(name);
}

}  // namespace

AttemptOutcome outcome_of(const AttemptFailure& failure) {
  if (failure.error.type == ErrorType::ClientDisconnected) return AttemptOutcome::Neither;
  if (failure.error.type == ErrorType::RateLimitExceeded && failure.error.retry_after_s) {
    return AttemptOutcome::Neither;
  }
  const Remedy remedy = remedy_for(failure);
  const bool is_endpoints = remedy == Remedy::Any || remedy == Remedy::Elsewhere;
  return is_endpoints ? AttemptOutcome::Failure : AttemptOutcome::Success;
}

std::optional<DurationMs> key_pause(const AttemptFailure& failure) {
  if (failure.status != 401 && failure.status != 429) return std::nullopt;
  return asked_wait(failure).value_or(kKeyPause);
}

AttemptPlan::AttemptPlan(Route route, TimestampMs deadline, RandomSource& random,
                         AttemptPlanOptions options)
    : route_(std::move(route)), deadline_(deadline), random_(random), options_(options) {
  GANTRY_ASSERT(!route_.candidates.empty(), "a route has a candidate");
}

AttemptStep AttemptPlan::first(TimestampMs now) {
  return attempt(now, DurationMs{0});
}

AttemptStep AttemptPlan::after_failure(const AttemptFailure& failure, TimestampMs now) {
  failed_.push_back({.provider_name = route_.candidates[current_].endpoint->provider->name,
                     .error = failure.error,
                     .status = failure.status});
  if (failure.client_output == ClientOutput::Begun) return last_error();
  const Remedy remedy = remedy_for(failure);
  if (remedy == Remedy::None) return last_error();
  if (remedy == Remedy::OtherModel) {
    const auto other = find_other_model();
    if (!other) return last_error();
    current_ = *other;
    return attempt(now, DurationMs{0});
  }
  if (current_ + 1 < route_.candidates.size()) {
    ++current_;
    return attempt(now, DurationMs{0});
  }
  const auto delay = remedy == Remedy::Any ? retry_delay(failure) : std::nullopt;
  if (!delay) return combined_error();
  ++retries_;
  return attempt(now, *delay);
}

AttemptStep AttemptPlan::after_refusal(TimestampMs now) {
  if (current_ + 1 < route_.candidates.size()) {
    ++current_;
    return attempt(now, DurationMs{0});
  }
  if (!failed_.empty()) return combined_error();
  route_.is_forced = true;
  return attempt(now, DurationMs{0});
}

AttemptStep AttemptPlan::attempt(TimestampMs now, DurationMs delay) const {
  const DurationMs left = deadline_ - (now + delay);
  if (left.count <= 0) {
    if (!failed_.empty()) return combined_error();
    return TypedError{.type = ErrorType::Timeout,
                      .message = "No provider could be asked before the request's deadline"};
  }
  const Candidate& candidate = route_.candidates[current_];
  const ProviderTimeouts& timeouts = candidate.endpoint->provider->timeouts;
  return NextAttempt{.candidate = candidate,
                     .delay = delay,
                     .timeouts = {.connect = std::min(timeouts.connect, left),
                                  .headers = std::min(timeouts.headers, left),
                                  .idle = std::min(timeouts.idle, left),
                                  .total = std::min(timeouts.total, left)},
                     .is_forced = route_.is_forced};
}

std::optional<std::size_t> AttemptPlan::find_other_model() const {
  const auto& model = route_.candidates[current_].model;
  for (std::size_t i = current_ + 1; i < route_.candidates.size(); ++i) {
    if (route_.candidates[i].model->config.id != model->config.id) return i;
  }
  return std::nullopt;
}

std::optional<DurationMs> AttemptPlan::retry_delay(const AttemptFailure& failure) const {
  if (retries_ >= options_.max_retries) return std::nullopt;
  // What the provider asks for concerns the key of the attempt.
  if (const auto wait = asked_wait(failure); wait && failure.other_key == OtherKey::None) {
    if (*wait > options_.retry_after_max) return std::nullopt;
    return wait;
  }
  constexpr std::uint32_t kDoublingsMax = 16;
  const std::int64_t whole =
      std::min(options_.retry_delay.count << std::min(retries_, kDoublingsMax),
               options_.retry_after_max.count);
  const double share = (1 + random_.unit()) / 2;
  return DurationMs{static_cast<std::int64_t>(static_cast<double>(whole) * share)};
}

TypedError AttemptPlan::last_error() const {
  TypedError error = failed_.back().error;
  for (std::size_t i = 0; i + 1 < failed_.size(); ++i) {
    error.previous_errors.push_back({.provider = failed_[i].provider_name,
                                     .code = std::string(error_word(failed_[i].error.type)),
                                     .status = failed_[i].status});
  }
  return error;
}

TypedError AttemptPlan::combined_error() const {
  TypedError error = combine_attempts(failed_);
  const bool is_rate = error.type == ErrorType::RateLimitExceeded;
  if (!is_rate && error.type != ErrorType::ProviderOverloaded) return error;
  Availability availability{.code = is_rate ? "capacity_exhausted" : "temporarily_unavailable",
                            .is_retryable = true};
  for (const Candidate& candidate : route_.candidates) {
    add_once(availability.requested_models, candidate.model->config.id);
    add_once(availability.affected_providers, candidate.endpoint->provider->slug);
  }
  error.availability = std::move(availability);
  return error;
}

}  // namespace gantry::gateway
