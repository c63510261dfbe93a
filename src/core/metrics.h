#pragma once

// Gantry's own metrics: counters, gauges and classic histograms in families, named as Prometheus
// would.
//
//   core::Counter& dropped = registry.counter("gantry_ingest_rejected_samples_total", "Samples
//   refused.",
//                                             {{"reason", "too_old"}});
//   dropped.add(3);
//
// A family is registered once with its help and type; asking again for the same name and labels
// returns the same object, which lives as long as the registry. Recording is lock-free; registering
// and collecting take a lock.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gantry::core {

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// A number that only grows. Sharded by thread, so that two cores do not fight over a cache line.
class Counter {
 public:
  void add(std::uint64_t by = 1) noexcept;
  [[nodiscard]] std::uint64_t value() const noexcept;

 private:
  static constexpr std::size_t kShardCount = 8;

  struct alignas(64) Shard {
    std::atomic<std::uint64_t> value{0};
  };

  std::array<Shard, kShardCount> shards_;
};

class Gauge {
 public:
  void set(double value) noexcept { value_.store(value, std::memory_order_relaxed); }

  void add(double by) noexcept { value_.fetch_add(by, std::memory_order_relaxed); }

  [[nodiscard]] double value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// A classic histogram with fixed upper bounds (ascending; +Inf is implied).
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);

  void observe(double value) noexcept;

  struct Snapshot {
    std::vector<double> bounds;
    std::vector<std::uint64_t> cumulative_counts;  ///< One more than bounds: the last is +Inf.
    double sum = 0;
  };

  [[nodiscard]] Snapshot snapshot() const;

 private:
  std::vector<double> bounds_;
  std::vector<std::atomic<std::uint64_t>> counts_;
  std::atomic<double> sum_{0};
};

/// Bounds in seconds from 1 ms to 60 s: for request and query durations.
[[nodiscard]] std::vector<double> default_duration_bounds();

enum class MetricType : std::uint8_t { Counter, Gauge, Histogram };

/// One sample of a family as it is exposed: histograms are already unrolled into _bucket, _sum and
/// _count.
struct CollectedSample {
  std::string name;
  MetricLabels labels;  ///< Sorted by name.
  double value = 0;
};

struct CollectedFamily {
  std::string name;
  std::string help;
  MetricType type = MetricType::Gauge;
  std::vector<CollectedSample> samples;
};

/// Thread-safe.
class MetricRegistry {
 public:
  MetricRegistry();
  ~MetricRegistry();
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;

  Counter& counter(std::string_view name, std::string_view help, MetricLabels labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, MetricLabels labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds,
                       MetricLabels labels = {});

  /// A gauge or counter whose value is asked for at collection. `read` must stay callable as long
  /// as the registry.
  void callback(MetricType type, std::string_view name, std::string_view help, MetricLabels labels,
                std::function<double()> read);

  /// Families sorted by name, samples in order of registration.
  [[nodiscard]] std::vector<CollectedFamily> collect() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::core
