#include "gateway/breaker.h"

#include <algorithm>
#include <set>

#include "core/error.h"

namespace gantry::gateway {

Breaker::Permit::~Permit() {
  if (breaker_) end(AttemptOutcome::Neither);
}

void Breaker::Permit::end(AttemptOutcome outcome) {
  GANTRY_ASSERT(breaker_ != nullptr, "a call ends once");
  const std::shared_ptr<Breaker> breaker = std::move(breaker_);
  breaker->end(kind_, epoch_, outcome);
}

std::optional<Breaker::Permit> Breaker::try_begin() {
  const core::Lock lock(mutex_);
  if (!is_open_) return Permit(shared_from_this(), Permit::Kind::Normal, epoch_);
  if (has_probe_ || clock_.now() < open_until_) return std::nullopt;
  has_probe_ = true;
  return Permit(shared_from_this(), Permit::Kind::Probe, epoch_);
}

Breaker::Permit Breaker::begin_anyway() {
  if (auto permit = try_begin()) return *std::move(permit);
  const core::Lock lock(mutex_);
  return {shared_from_this(), is_open_ ? Permit::Kind::Forced : Permit::Kind::Normal, epoch_};
}

BreakerStatus Breaker::status() const {
  const core::Lock lock(mutex_);
  if (!is_open_) return {};
  const bool is_over = clock_.now() >= open_until_;
  return {.state = is_over ? BreakerState::HalfOpen : BreakerState::Open,
          .admits = is_over && !has_probe_,
          .open_until = open_until_};
}

void Breaker::end(Permit::Kind kind, std::uint64_t epoch, AttemptOutcome outcome) {
  const core::Lock lock(mutex_);
  if (epoch != epoch_) return;
  const TimestampMs now = clock_.now();
  switch (kind) {
    case Permit::Kind::Normal:
      if (outcome != AttemptOutcome::Neither) count(now, outcome == AttemptOutcome::Failure);
      return;
    case Permit::Kind::Probe:
      has_probe_ = false;
      if (outcome == AttemptOutcome::Failure) {
        open(now, std::min(DurationMs{open_time_.count * 2}, options_.open_time_max));
      }
      break;
    case Permit::Kind::Forced:
      break;
  }
  if (outcome == AttemptOutcome::Success) close();
}

void Breaker::count(TimestampMs now, bool is_failure) {
  counts_.add(now, {.calls = 1, .failures = is_failure ? 1U : 0U});
  failures_in_row_ = is_failure ? failures_in_row_ + 1 : 0;
  if (!is_failure) return;
  const CallCounts recent = counts_.total(now);
  const bool is_bad_share = recent.calls >= options_.calls_min &&
                            std::uint64_t{recent.failures} * 100 >=
                                std::uint64_t{recent.calls} * options_.failure_percent;
  if (is_bad_share || failures_in_row_ >= options_.consecutive_failures) {
    open(now, options_.open_time);
  }
}

void Breaker::open(TimestampMs now, DurationMs time) {
  ++epoch_;
  is_open_ = true;
  open_time_ = time;
  open_until_ = now + time;
}

void Breaker::close() {
  ++epoch_;
  is_open_ = false;
  has_probe_ = false;
  failures_in_row_ = 0;
  counts_.clear();
}

std::shared_ptr<Breaker> Breakers::of(EndpointId endpoint) {
  {
    const core::ReadLock lock(mutex_);
    if (const auto found = breakers_.find(endpoint); found != breakers_.end()) {
      return found->second;
    }
  }
  auto breaker = std::make_shared<Breaker>(clock_, options_);
  const core::WriteLock lock(mutex_);
  return breakers_.try_emplace(endpoint, std::move(breaker)).first->second;
}

BreakerStatus Breakers::status(EndpointId endpoint) const {
  const core::ReadLock lock(mutex_);
  const auto found = breakers_.find(endpoint);
  return found == breakers_.end() ? BreakerStatus{} : found->second->status();
}

std::vector<std::pair<EndpointId, BreakerStatus>> Breakers::statuses() const {
  std::vector<std::pair<EndpointId, BreakerStatus>> all;
  const core::ReadLock lock(mutex_);
  for (const auto& [endpoint, breaker] : breakers_) all.emplace_back(endpoint, breaker->status());
  return all;
}

void Breakers::retain(std::span<const EndpointId> endpoints) {
  const std::set<EndpointId> kept(endpoints.begin(), endpoints.end());
  const core::WriteLock lock(mutex_);
  std::erase_if(breakers_, [&](const auto& entry) { return !kept.contains(entry.first); });
}

}  // namespace gantry::gateway
