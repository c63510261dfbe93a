#include "core/metrics.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <thread>

#include <fmt/format.h>

#include "core/error.h"
#include "core/mutex.h"
#include "core/number_format.h"

namespace gantry::core {
namespace {

std::size_t thread_shard(std::size_t shard_count) {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine % shard_count;
}

std::string float_text(double value) {
  std::string out;
  append_float_general(out, value);
  return out;
}

}  // namespace

void Counter::add(std::uint64_t by) noexcept {
  shards_[thread_shard(kShardCount)].value.fetch_add(by, std::memory_order_relaxed);
}

std::uint64_t Counter::value() const noexcept {
  std::uint64_t sum = 0;
  for (const Shard& shard : shards_) sum += shard.value.load(std::memory_order_relaxed);
  return sum;
}

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {
  GANTRY_ASSERT(std::is_sorted(bounds_.begin(), bounds_.end()), "histogram bounds ascend");
}

void Histogram::observe(double value) noexcept {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot snapshot{.bounds = bounds_, .cumulative_counts = {}, .sum = 0};
  snapshot.sum = sum_.load(std::memory_order_relaxed);
  std::uint64_t cumulative = 0;
  for (const auto& count : counts_) {
    cumulative += count.load(std::memory_order_relaxed);
    snapshot.cumulative_counts.push_back(cumulative);
  }
  return snapshot;
}

std::vector<double> default_duration_bounds() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
}

struct MetricRegistry::Impl {
  struct Member {
    MetricLabels labels;
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<Histogram> histogram;
    std::function<double()> read;
  };

  struct Family {
    std::string help;
    MetricType type = MetricType::Gauge;
    std::deque<Member> members;  // a deque: addresses must not move
  };

  mutable Mutex mutex;
  std::map<std::string, Family, std::less<>> families GANTRY_GUARDED_BY(mutex);

  Member& member(MetricType type, std::string_view name, std::string_view help, MetricLabels labels)
      GANTRY_REQUIRES(mutex) {
    std::sort(labels.begin(), labels.end());
    auto found = families.find(name);
    if (found == families.end()) {
      found = families.emplace(std::string(name), Family{}).first;
      found->second.help = help;
      found->second.type = type;
    }
    Family& family = found->second;
    GANTRY_ASSERT(family.type == type, "a metric family has one type");
    for (Member& existing : family.members) {
      if (existing.labels == labels) return existing;
    }
    family.members.push_back({});
    family.members.back().labels = std::move(labels);
    return family.members.back();
  }
};

MetricRegistry::MetricRegistry() : impl_(std::make_unique<Impl>()) {}

MetricRegistry::~MetricRegistry() = default;

Counter& MetricRegistry::counter(std::string_view name, std::string_view help,
                                 MetricLabels labels) {
  const Lock lock(impl_->mutex);
  auto& member = impl_->member(MetricType::Counter, name, help, std::move(labels));
  if (!member.counter) member.counter = std::make_unique<Counter>();
  return *member.counter;
}

Gauge& MetricRegistry::gauge(std::string_view name, std::string_view help, MetricLabels labels) {
  const Lock lock(impl_->mutex);
  auto& member = impl_->member(MetricType::Gauge, name, help, std::move(labels));
  if (!member.gauge) member.gauge = std::make_unique<Gauge>();
  return *member.gauge;
}

Histogram& MetricRegistry::histogram(std::string_view name, std::string_view help,
                                     std::vector<double> bounds, MetricLabels labels) {
  const Lock lock(impl_->mutex);
  auto& member = impl_->member(MetricType::Histogram, name, help, std::move(labels));
  if (!member.histogram) member.histogram = std::make_unique<Histogram>(std::move(bounds));
  return *member.histogram;
}

void MetricRegistry::callback(MetricType type, std::string_view name, std::string_view help,
                              MetricLabels labels, std::function<double()> read) {
  const Lock lock(impl_->mutex);
  impl_->member(type, name, help, std::move(labels)).read = std::move(read);
}

namespace {

void append_histogram(CollectedFamily& family, const MetricLabels& labels,
                      const Histogram::Snapshot& snapshot) {
  for (std::size_t i = 0; i < snapshot.cumulative_counts.size(); ++i) {
    MetricLabels with_bound = labels;
    with_bound.emplace_back(
        "le", i < snapshot.bounds.size() ? float_text(snapshot.bounds[i]) : std::string("+Inf"));
    std::sort(with_bound.begin(), with_bound.end());
    family.samples.push_back({.name = family.name + "_bucket",
                              .labels = std::move(with_bound),
                              .value = static_cast<double>(snapshot.cumulative_counts[i])});
  }
  family.samples.push_back({.name = family.name + "_sum", .labels = labels, .value = snapshot.sum});
  family.samples.push_back({.name = family.name + "_count",
                            .labels = labels,
                            .value = static_cast<double>(snapshot.cumulative_counts.back())});
}

}  // namespace

std::vector<CollectedFamily> MetricRegistry::collect() const {
  // Callbacks run outside the lock: they may take locks of their own.
  struct Pending {
    std::size_t family;
    std::size_t sample;
    std::function<double()> read;
  };

  std::vector<CollectedFamily> out;
  std::vector<Pending> pending;
  {
    const Lock lock(impl_->mutex);
    for (const auto& [name, family] : impl_->families) {
      CollectedFamily collected{
          .name = name, .help = family.help, .type = family.type, .samples = {}};
      for (const Impl::Member& member : family.members) {
        if (member.histogram) {
          append_histogram(collected, member.labels, member.histogram->snapshot());
          continue;
        }
        double value = 0;
        if (member.counter) value = static_cast<double>(member.counter->value());
        if (member.gauge) value = member.gauge->value();
        // The way of a gauge to end: what it was about is gone.
        if (member.gauge && std::isnan(value)) continue;
        if (member.read) pending.push_back({out.size(), collected.samples.size(), member.read});
        collected.samples.push_back({.name = name, .labels = member.labels, .value = value});
      }
      out.push_back(std::move(collected));
    }
  }
  for (const Pending& item : pending) out[item.family].samples[item.sample].value = item.read();
  return out;
}

}  // namespace gantry::core
