#pragma once

// The store behind store.h. Its parts: append (store_append.cc), opening and replay (store.cc),
// flush and deletion (store_maintenance.cc), merging and retention (store_merge.cc).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "metrics/append/append_plan.h"
#include "metrics/append/day_bytes.h"
#include "metrics/index/label_order.h"
#include "metrics/metrics.h"
#include "metrics/partition/catalog.h"
#include "metrics/query/store_source.h"
#include "metrics/store.h"
#include "metrics/store_state.h"
#include "storage/append_gate.h"
#include "storage/merge_pacer.h"
#include "storage/write_ahead_log.h"

namespace gantry::metrics {

/// Whether a store flushes, merges and drops by itself. Tests that count files do without.
enum class Background : bool { Off, On };

/// For histograms of durations.
inline double seconds_since(std::int64_t started_ns) {
  return static_cast<double>(monotonic_ns() - started_ns) * 1e-9;
}

/// Lock order: merge_mutex_, flush_mutex_, gate_, overwrite_mutex_, then what StoreState says.
class StoreImpl final : public Store {
 public:
  StoreImpl(std::filesystem::path directory, StoreOptions options, StoreEnvironment environment);
  ~StoreImpl() override;

  static Result<std::unique_ptr<StoreImpl>> open(std::filesystem::path directory,
                                                 StoreOptions options, StoreEnvironment environment,
                                                 Background background);

  Result<telemetry::AppendResult> append(const telemetry::MetricBatch& batch,
                                         const AppendOptions& append_options) override;

  [[nodiscard]] const promql::SeriesSource& source() const override { return source_; }

  Result<void> delete_series(std::span<const promql::Matcher> matchers, std::int64_t start_ms,
                             std::int64_t end_ms) override;
  Result<void> clean_tombstones() override;
  [[nodiscard]] std::vector<std::pair<std::string, std::vector<MetadataEntry>>> metadata(
      std::string_view family) const override;
  [[nodiscard]] CardinalityStatistics cardinality(std::size_t limit) const override;
  [[nodiscard]] std::vector<PartStatistics> parts() const override;
  Result<void> flush() override;
  Result<void> merge_all() override;
  void reconfigure(const StoreOptions& options) override;
  Result<void> close() override;

  /// What the background thread does once; `now` decides what is due.
  void maintain();

  /// Refreshes the gauges.
  void update_gauges();

 private:
  using Parts = std::vector<std::shared_ptr<const Part>>;

  Result<void> start();
  Result<void> replay_log();
  void run(const std::stop_token& stop);
  void stop_thread();
  [[nodiscard]] std::shared_ptr<const StoreOptions> options() const;

  [[nodiscard]] telemetry::AppendResult refuse_for_today(const telemetry::MetricBatch& batch,
                                                         std::uint64_t taken_bytes,
                                                         std::uint64_t bytes_max,
                                                         TimestampMs now) const;
  Result<void> log_plan(AppendPlan& plan, std::vector<storage::LogTicket>& tickets);
  Result<storage::LogTicket> enqueue_batch(AppendPlan& plan);
  void define_series(AppendPlan& plan, std::uint32_t segment_mark);
  Result<void> wait_for(std::span<const storage::LogTicket> tickets);
  [[nodiscard]] Error log_error(const Error& error) const;
  void store_plan(AppendPlan& plan);
  void forget_newest(const BatchRecord& record);
  void count_result(const telemetry::AppendResult& result, std::size_t created_series);

  Result<void> flush_locked() GANTRY_REQUIRES(flush_mutex_);
  Result<void> write_annotations(std::span<const std::byte> bytes, std::uint64_t number);
  void drop_flushed(std::span<const std::uint32_t> series, std::uint32_t generation);
  Result<void> erase_from_head(std::span<const std::uint32_t> series, std::int64_t start_ms,
                               std::int64_t end_ms);
  void collect_series() GANTRY_REQUIRES(merge_mutex_, flush_mutex_);

  void flush_if_due();
  [[nodiscard]] std::filesystem::path day_bytes_path() const;
  Result<void> load_day_bytes();
  Result<void> save_day_bytes() GANTRY_REQUIRES(flush_mutex_);
  void save_day_bytes_if_due();

  /// Whether a merge keeps its budget and lets queries go first.
  enum class Pace : bool { Full, GivesWay };

  void give_way(storage::MergePacer& pacer, std::uint64_t bytes_written, std::int64_t& tended_ns);
  Result<void> merge_parts_once(std::int64_t day, std::span<const std::shared_ptr<const Part>> in,
                                Pace pace) GANTRY_REQUIRES(merge_mutex_);

  /// The deletions that a rewrite takes into account.
  struct Deletions {
    std::uint64_t sequence = 0;
    std::shared_ptr<const PartView> view;
  };

  [[nodiscard]] Deletions deletions_now() const;
  Result<void> rewrite(std::span<const std::shared_ptr<const Part>> inputs,
                       const Deletions& deletions, Pace pace) GANTRY_REQUIRES(merge_mutex_);
  Result<bool> merge_one() GANTRY_REQUIRES(merge_mutex_);
  Result<bool> apply_retention() GANTRY_REQUIRES(merge_mutex_);
  void quarantine_damaged();

  const std::filesystem::path directory_;
  StoreEnvironment environment_;
  std::shared_ptr<StoreState> state_;
  StoreSource source_;
  StoreMetrics metrics_;
  Catalog catalog_;
  std::unique_ptr<storage::WriteAheadLog> log_;
  storage::AppendGate gate_;
  SeriesBudget budget_;
  DayBytes day_bytes_;
  CancelToken cancel_;

  mutable core::Mutex options_mutex_;
  std::shared_ptr<const StoreOptions> options_ GANTRY_GUARDED_BY(options_mutex_);

  core::Mutex merge_mutex_;
  core::Mutex flush_mutex_;
  core::Mutex overwrite_mutex_;
  LabelOrder label_order_ GANTRY_GUARDED_BY(flush_mutex_);
  std::int64_t last_flush_ms_ GANTRY_GUARDED_BY(flush_mutex_) = 0;
  std::int64_t retry_flush_ms_ GANTRY_GUARDED_BY(flush_mutex_) = 0;
  bool must_collect_ GANTRY_GUARDED_BY(flush_mutex_) = false;
  DayBytes::Count saved_day_bytes_ GANTRY_GUARDED_BY(flush_mutex_);
  std::int64_t day_bytes_due_ms_ GANTRY_GUARDED_BY(flush_mutex_) = 0;
  std::int64_t retry_merge_ms_ GANTRY_GUARDED_BY(merge_mutex_) = 0;

  core::Mutex close_mutex_;
  bool is_closed_ GANTRY_GUARDED_BY(close_mutex_) = false;
  core::Mutex wake_mutex_;
  core::ConditionVariable wake_;
  std::jthread thread_;
};

}  // namespace gantry::metrics
