#include "gateway/endpoint_statistics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "gateway/rolling_counts.h"

namespace gantry::gateway {
namespace {

constexpr std::array<std::size_t, kPercentiles.size()> kRanks = {50, 75, 90, 99};

struct Sample {
  TimestampMs time;
  double value = 0;
};

/// The newest samples, the oldest of which gives way to the next.
class Samples {
 public:
  void add(Sample sample) {
    if (!(std::isfinite(sample.value) && sample.value >= 0)) return;
    if (samples_.size() < EndpointStatistics::kSamplesMax) {
      samples_.push_back(sample);
      return;
    }
    samples_[next_] = sample;
    next_ = (next_ + 1) % samples_.size();
  }

  /// `is_better` orders the best first.
  template <class Better>
  [[nodiscard]] std::optional<Percentiles> percentiles(TimestampMs now, Better is_better) const {
    std::vector<double> values;
    for (const Sample& sample : samples_) {
      if (now - sample.time < EndpointStatistics::kWindow) values.push_back(sample.value);
    }
    if (values.empty()) return std::nullopt;
    std::ranges::sort(values, is_better);
    Percentiles result;
    for (std::size_t i = 0; i < kRanks.size(); ++i) {
      const std::size_t rank = (kRanks.at(i) * values.size() + 99) / 100;
      result.values.at(i) = values[rank - 1];
    }
    return result;
  }

 private:
  std::vector<Sample> samples_;
  std::size_t next_ = 0;
};

}  // namespace

class EndpointStatistics::Record {
 public:
  void add(TimestampMs now, const CallMeasurement& call) {
    const core::Lock lock(mutex_);
    if (call.outcome != AttemptOutcome::Neither) {
      const bool is_failure = call.outcome == AttemptOutcome::Failure;
      counts_.add(now, {.calls = 1, .failures = is_failure ? 1U : 0U});
    }
    if (call.latency_s) latencies_.add({.time = now, .value = *call.latency_s});
    if (call.tokens_per_second) throughputs_.add({.time = now, .value = *call.tokens_per_second});
  }

  EndpointPace pace(TimestampMs now) {
    const core::Lock lock(mutex_);
    const bool is_fresh = computed_at_ && now >= *computed_at_ && now - *computed_at_ < kPaceAgeMax;
    if (!is_fresh) {
      pace_ = {.latency_s = latencies_.percentiles(now, std::less<>()),
               .tokens_per_second = throughputs_.percentiles(now, std::greater<>())};
      computed_at_ = now;
    }
    return pace_;
  }

  bool has_significant_failures(TimestampMs now) {
    constexpr std::uint64_t kSignificantShare = 10;
    const core::Lock lock(mutex_);
    const CallCounts recent = counts_.total(now);
    return recent.failures > 0 && recent.failures * kSignificantShare >= recent.calls;
  }

 private:
  core::Mutex mutex_;
  Samples latencies_ GANTRY_GUARDED_BY(mutex_);
  Samples throughputs_ GANTRY_GUARDED_BY(mutex_);
  RollingCounts counts_ GANTRY_GUARDED_BY(mutex_);
  EndpointPace pace_ GANTRY_GUARDED_BY(mutex_);
  std::optional<TimestampMs> computed_at_ GANTRY_GUARDED_BY(mutex_);
};

EndpointStatistics::EndpointStatistics(const Clock& clock) : clock_(clock) {}

EndpointStatistics::~EndpointStatistics() = default;

std::shared_ptr<EndpointStatistics::Record> EndpointStatistics::find(EndpointId endpoint) const {
  const core::ReadLock lock(mutex_);
  const auto found = records_.find(endpoint);
  return found == records_.end() ? nullptr : found->second;
}

void EndpointStatistics::record(EndpointId endpoint, const CallMeasurement& call) {
  auto record = find(endpoint);
  if (!record) {
    record = std::make_shared<Record>();
    const core::WriteLock lock(mutex_);
    record = records_.try_emplace(endpoint, record).first->second;
  }
  record->add(clock_.now(), call);
}

EndpointPace EndpointStatistics::pace(EndpointId endpoint) const {
  const auto record = find(endpoint);
  return record ? record->pace(clock_.now()) : EndpointPace{};
}

bool EndpointStatistics::has_significant_failures(EndpointId endpoint) const {
  const auto record = find(endpoint);
  return record && record->has_significant_failures(clock_.now());
}

void EndpointStatistics::retain(std::span<const EndpointId> endpoints) {
  const std::set<EndpointId> kept(endpoints.begin(), endpoints.end());
  const core::WriteLock lock(mutex_);
  std::erase_if(records_, [&](const auto& entry) { return !kept.contains(entry.first); });
}

}  // namespace gantry::gateway
