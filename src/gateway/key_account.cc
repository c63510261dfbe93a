#include <algorithm>

#include "gateway/key_account_internal.h"

namespace gantry::gateway {
namespace {

std::optional<LimitRefusal> check_rate(RateWindow& window, LimitRefusal::Reason reason,
                                       std::optional<std::int64_t> limit, std::int64_t amount,
                                       TimestampMs now) {
  if (!limit) return std::nullopt;
  const auto wait = window.wait_for(now, amount, *limit);
  if (wait && wait->count == 0) return std::nullopt;
  LimitRefusal refusal{.reason = reason,
                       .limit = *limit,
                       .remaining = std::max<std::int64_t>(0, *limit - window.charged(now)),
                       .reset_at = {}};
  if (wait) refusal.reset_at = now + *wait;
  return refusal;
}

/// Whether the call counts against the limit at all.
bool needs_budget(const GatewayKeySettings& settings, const CallEstimate& estimate) {
  return settings.limit && estimate.cost && estimate.cost->value > 0 &&
         (!estimate.is_byok || settings.includes_byok);
}

}  // namespace

std::optional<LimitRefusal> KeyAccount::check_rates(const GatewayKeySettings& settings,
                                                    const CallEstimate& estimate, TimestampMs now) {
  using Reason = LimitRefusal::Reason;
  if (settings.max_concurrent && in_flight_ >= *settings.max_concurrent)
    return LimitRefusal{.reason = Reason::Concurrency,
                        .limit = *settings.max_concurrent,
                        .remaining = 0,
                        .reset_at = {}};
  if (auto refusal = check_rate(requests_, Reason::RequestRate, settings.rpm, 1, now))
    return refusal;
  return check_rate(tokens_, Reason::TokenRate, settings.tpm, estimate.tokens, now);
}

PicoUsd KeyAccount::in_use_locked(const GatewayKeySettings& settings) const {
  return add_usd(reserved_,
                 add_usd(settled_.against_limit(settings), flushing_.against_limit(settings)));
}

std::variant<KeyAccount::Budget, LimitRefusal> KeyAccount::take(const GatewayKeySettings& settings,
                                                                const CallEstimate& estimate,
                                                                bool needs_lease, PicoUsd& reserved,
                                                                TimestampMs now) {
  const core::Lock lock(mutex_);
  includes_byok_ = settings.includes_byok;
  if (auto refusal = check_rates(settings, estimate, now)) return *refusal;
  reserved = {};
  if (needs_budget(settings, estimate)) {
    if (!spend_) return Budget::Unknown;
    spend_->roll(now);
    const PicoUsd used = add_usd(spend_->against_limit(settings), in_use_locked(settings));
    if (add_usd(used, *estimate.cost) > *settings.limit)
      return LimitRefusal{
          .reason = LimitRefusal::Reason::Budget,
          .limit = settings.limit->value,
          .remaining = std::max<std::int64_t>(0, settings.limit->value - used.value),
          .reset_at = next_reset(settings.limit_reset, now)};
    if (needs_lease &&
        (now >= lease_until_ || add_usd(in_use_locked(settings), *estimate.cost) > lease_))
      return Budget::LeaseUsedUp;
    reserved = *estimate.cost;
    reserved_ = add_usd(reserved_, reserved);
  }
  ++in_flight_;
  used_at_ = now;
  requests_.charge(now, 1);
  tokens_.charge(now, estimate.tokens);
  return Budget::Reserved;
}

void KeyAccount::end(const CallEstimate& estimate, PicoUsd reserved, TimestampMs admitted_at,
                     const CallOutcome& outcome) {
  const TimestampMs now = clock_.now();
  const core::Lock lock(mutex_);
  GANTRY_ASSERT(in_flight_ > 0 && reserved_ >= reserved, "a reservation ends once");
  --in_flight_;
  used_at_ = now;
  reserved_.value -= reserved.value;
  tokens_.correct(now, admitted_at, outcome.tokens - estimate.tokens);
  if (!outcome.cost) return;
  if (outcome.is_byok)
    settled_.byok = add_usd(settled_.byok, *outcome.cost);
  else
    settled_.own = add_usd(settled_.own, *outcome.cost);
}

bool KeyAccount::is_known() const {
  const core::Lock lock(mutex_);
  return spend_.has_value();
}

void KeyAccount::learn(const KeySpend& written,
                       std::optional<std::pair<PicoUsd, TimestampMs>> lease) {
  const core::Lock lock(mutex_);
  spend_ = written;
  if (!lease) return;
  lease_ = lease->first;
  lease_until_ = lease->second;
}

PicoUsd KeyAccount::in_use(const GatewayKeySettings& settings) const {
  const core::Lock lock(mutex_);
  return in_use_locked(settings);
}

PicoUsd KeyAccount::lease(TimestampMs now) const {
  const core::Lock lock(mutex_);
  return now < lease_until_ ? lease_ : PicoUsd{};
}

std::optional<KeyAccount::Flush> KeyAccount::begin_flush(TimestampMs now, DurationMs lease_for,
                                                         DurationMs idle_for) {
  const core::Lock lock(mutex_);
  const bool has_lease = lease_.value > 0;
  const bool returns_lease =
      has_lease && in_flight_ == 0 && settled_.is_zero() && now - used_at_ >= idle_for;
  const bool renews_lease =
      has_lease && now < lease_until_ && (lease_until_ - now).count < lease_for.count / 2;
  if (settled_.is_zero() && !returns_lease && !renews_lease) return std::nullopt;
  Flush flush{.costs = settled_, .lease = {}};
  flushing_ = settled_;
  settled_ = {};
  if (returns_lease) {
    // Before the row goes, so that nobody spends of it meanwhile.
    lease_ = {};
    flush.lease = PicoUsd{};
  } else if (has_lease && now < lease_until_) {
    // What is written counts as spent from then on, and no longer as leased.
    const PicoUsd moved =
        includes_byok_ ? add_usd(flush.costs.own, flush.costs.byok) : flush.costs.own;
    flush.lease = PicoUsd{std::max<std::int64_t>(1, lease_.value - moved.value)};
  }
  return flush;
}

void KeyAccount::written(const Flush& flush, const std::optional<KeySpend>& spend,
                         TimestampMs lease_until) {
  const core::Lock lock(mutex_);
  flushing_ = {};
  if (spend) spend_ = *spend;
  if (!flush.lease || flush.lease->value == 0) return;
  lease_ = *flush.lease;
  lease_until_ = lease_until;
}

void KeyAccount::failed(const Flush& flush) {
  const core::Lock lock(mutex_);
  settled_.add(flush.costs);
  flushing_ = {};
}

bool KeyAccount::is_idle(TimestampMs now, DurationMs idle_for) const {
  const core::Lock lock(mutex_);
  return in_flight_ == 0 && settled_.is_zero() && flushing_.is_zero() && lease_.value == 0 &&
         now - used_at_ >= idle_for;
}

void KeyAccount::add_unwritten(KeySpend& spend) const {
  const core::Lock lock(mutex_);
  spend.add(settled_.own, settled_.byok);
  spend.add(flushing_.own, flushing_.byok);
}

}  // namespace gantry::gateway
