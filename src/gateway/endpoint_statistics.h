#pragma once

// How fast endpoints answered in the last 5 minutes, and which of them failed in the last 30 s.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "core/mutex.h"
#include "core/time.h"
#include "gateway/breaker.h"
#include "gateway/catalogue.h"

namespace gantry::gateway {

enum class Percentile : std::uint8_t { P50, P75, P90, P99 };

inline constexpr std::array kPercentiles = {Percentile::P50, Percentile::P75, Percentile::P90,
                                            Percentile::P99};

/// By Percentile. 75 % of the calls were at least as good as the P75: as quick in latency, as fast
/// in throughput. By nearest rank.
struct Percentiles {
  std::array<double, kPercentiles.size()> values = {};

  [[nodiscard]] double at(Percentile percentile) const {
    return values.at(static_cast<std::size_t>(percentile));
  }
};

struct CallMeasurement {
  AttemptOutcome outcome = AttemptOutcome::Success;
  std::optional<double> latency_s;          ///< To the first token; else to the answer.
  std::optional<double> tokens_per_second;  ///< Of output, once it had begun.
};

struct EndpointPace {
  std::optional<Percentiles> latency_s;  ///< Nothing: not measured in the last 5 minutes.
  std::optional<Percentiles> tokens_per_second;
};

/// Thread-safe. Per endpoint, the last kSamplesMax measurements of each kind are kept, 32 KiB.
class EndpointStatistics {
 public:
  static constexpr std::size_t kSamplesMax = 1024;
  static constexpr DurationMs kWindow{300'000};
  /// Percentiles are computed anew after this time: routing asks more often than they change.
  static constexpr DurationMs kPaceAgeMax{1'000};

  /// `clock` outlives this. Only differences of its times count; best one that never steps.
  explicit EndpointStatistics(const Clock& clock);
  ~EndpointStatistics();

  /// Measurements that are negative or not finite are not taken.
  void record(EndpointId endpoint, const CallMeasurement& call);

  /// At most kPaceAgeMax old.
  [[nodiscard]] EndpointPace pace(EndpointId endpoint) const;

  /// At least a tenth of the calls that ended in the last 30 s failed.
  [[nodiscard]] bool has_significant_failures(EndpointId endpoint) const;

  /// Forgets all others: for a new catalogue.
  void retain(std::span<const EndpointId> endpoints);

 private:
  class Record;

  [[nodiscard]] std::shared_ptr<Record> find(EndpointId endpoint) const;

  const Clock& clock_;
  mutable core::SharedMutex mutex_;
  std::map<EndpointId, std::shared_ptr<Record>> records_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::gateway
