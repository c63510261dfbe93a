#pragma once

// What appends, queries and maintenance of one store share. Series sets hold it, so that it
// outlives the store for as long as somebody reads.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "metrics/annotations/exemplar_storage.h"
#include "metrics/annotations/metadata_storage.h"
#include "metrics/head/head.h"
#include "metrics/index/series_cache.h"
#include "metrics/index/series_registry.h"
#include "metrics/part/frame_cache.h"
#include "metrics/partition/part_view.h"
#include "metrics/query/matching.h"

namespace gantry::metrics {

/// Lock order: registry, then one head shard, then everything below. Thread-safe.
struct StoreState {
  explicit StoreState(std::size_t exemplars_max) : exemplars(exemplars_max) {}

  SeriesRegistry registry;
  SeriesCache series_cache;
  Head head{registry};
  FrameCache frames{std::size_t{64} << 20};
  RegexCache regexes;
  ExemplarStorage exemplars;
  MetadataStorage metadata;

  /// Counts how often flushed samples began to be dropped from the head. The view with their parts
  /// is published before. Who has read the head must find this unchanged, or read a newer view.
  std::atomic<std::uint64_t> head_drops{0};

  [[nodiscard]] std::shared_ptr<const PartView> view() const {
    const core::Lock lock(mutex_);
    return view_;
  }

  void publish(std::shared_ptr<const PartView> view) {
    const core::Lock lock(mutex_);
    view_.swap(view);
  }

  /// Queries that are being answered: merges give way to them.
  std::atomic<std::uint32_t> queries_running{0};

  /// A part has failed its checksums: maintenance will set it aside.
  void report_damage(std::uint64_t part_number) {
    {
      const core::Lock lock(mutex_);
      damaged_parts_.push_back(part_number);
    }
    has_damage.store(true, std::memory_order_release);
  }

  [[nodiscard]] std::vector<std::uint64_t> take_damaged() {
    has_damage.store(false, std::memory_order_release);
    const core::Lock lock(mutex_);
    return std::exchange(damaged_parts_, {});
  }

  std::atomic<bool> has_damage{false};

 private:
  mutable core::Mutex mutex_;
  std::shared_ptr<const PartView> view_ GANTRY_GUARDED_BY(mutex_) =
      std::make_shared<const PartView>();
  std::vector<std::uint64_t> damaged_parts_ GANTRY_GUARDED_BY(mutex_);
};

/// A query that runs as long as this lives, and that need not be of one moment; `state` lives
/// longer.
class RunningQuery {
 public:
  explicit RunningQuery(StoreState& state) : running_(&state.queries_running) {
    running_->fetch_add(1, std::memory_order_relaxed);
  }

  ~RunningQuery() {
    if (running_ != nullptr) running_->fetch_sub(1, std::memory_order_relaxed);
  }

  RunningQuery(RunningQuery&& other) noexcept : running_(std::exchange(other.running_, nullptr)) {}

  RunningQuery(const RunningQuery&) = delete;
  RunningQuery& operator=(const RunningQuery&) = delete;
  RunningQuery& operator=(RunningQuery&&) = delete;

 private:
  std::atomic<std::uint32_t>* running_;
};

/// A query of one moment; `state` lives longer.
class QueryMoment {
 public:
  explicit QueryMoment(StoreState& state) : running_(state), moment_(state.head) {}

  [[nodiscard]] std::uint64_t mark() const { return moment_.mark(); }

 private:
  RunningQuery running_;
  Head::Moment moment_;
};

}  // namespace gantry::metrics
