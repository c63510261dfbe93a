#pragma once

// The store behind store.h. Its parts: opening and replay (store.cc), append (store_append.cc),
// seal, deletion and the background thread (store_maintenance.cc), merging and retention
// (store_merge.cc).

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/cancel.h"
#include "core/mutex.h"
#include "storage/append_gate.h"
#include "storage/merge_pacer.h"
#include "storage/write_ahead_log.h"
#include "traces/append/append_limits.h"
#include "traces/metrics.h"
#include "traces/query/store_source.h"
#include "traces/store.h"
#include "traces/store_state.h"

namespace gantry::codec {
class OtlpTracesDecoder;
}  // namespace gantry::codec

namespace gantry::traces {

/// Whether a store seals, merges and drops by itself. Tests that count files do without.
enum class Background : bool { Off, On };

/// For histograms of durations.
inline double seconds_since(std::int64_t started_ns) {
  return static_cast<double>(monotonic_ns() - started_ns) * 1e-9;
}

/// Lock order: merge_mutex_, flush_mutex_, gate_, apply_mutex_, order_mutex_, commit_mutex_, then
/// those of StoreState and its catalog.
class StoreImpl final : public Store {
 public:
  StoreImpl(std::filesystem::path directory, StoreOptions options, StoreEnvironment environment);
  ~StoreImpl() override;

  static Result<std::unique_ptr<StoreImpl>> open(std::filesystem::path directory,
                                                 StoreOptions options, StoreEnvironment environment,
                                                 Background background);

  Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) override;

  [[nodiscard]] const traceql::SpanSource& source() const override { return source_; }

  Result<bool> delete_trace(const telemetry::TraceId& id) override;
  [[nodiscard]] StoreStatistics statistics() const override;
  Result<void> flush() override;
  Result<void> merge_all() override;
  void reconfigure(const StoreOptions& options) override;
  Result<void> close() override;

  /// What the background thread does once; the clock decides what is due.
  void maintain();

  /// Refreshes the gauges.
  void update_gauges();

 private:
  using Blocks = std::vector<std::shared_ptr<const Block>>;

  /// A request between its place in the log and its place in the live segment.
  struct PendingAppend {
    const telemetry::SpanBatch* batch = nullptr;
    std::span<const std::uint32_t> spans;
    const telemetry::SpanBatch* older = nullptr;  ///< To adopt first.
    storage::LogTicket ticket;
    bool is_done = false;
    Result<void> outcome;
    std::uint32_t new_spans = 0;
  };

  Result<void> start();
  Result<void> replay_log();
  Result<void> replay_spans(std::span<const std::byte> payload, codec::OtlpTracesDecoder& decoder,
                            std::string& buffer);
  void run(const std::stop_token& stop);
  void stop_thread();
  [[nodiscard]] std::shared_ptr<const StoreOptions> options() const;

  Result<telemetry::SpanAppendResult> try_append(const telemetry::SpanBatch& batch,
                                                 const StoreOptions& settings);
  Result<void> check_append(const telemetry::SpanBatch& batch, const StoreOptions& settings);
  Result<void> check_room(const StoreOptions& settings) const;
  Result<void> store_spans(const telemetry::SpanBatch& batch, std::span<const std::uint32_t> spans,
                           telemetry::SpanAppendResult& result);
  Result<void> read_older(const telemetry::SpanBatch& batch, std::span<const std::uint32_t> spans,
                          telemetry::SpanBatch& older);
  Result<void> enqueue(std::span<const std::byte> record, PendingAppend& pending);
  void apply_until(PendingAppend& last);
  void apply(PendingAppend& pending, Segment& live) GANTRY_REQUIRES(apply_mutex_);
  [[nodiscard]] Error log_error(const Error& error) const;
  void count_result(const telemetry::SpanAppendResult& result);
  [[nodiscard]] bool take_seal_wanted();
  void ask_for_seal(const StoreOptions& settings);
  [[nodiscard]] DurationMs until_seal(const StoreOptions& settings) const;

  Result<void> seal() GANTRY_REQUIRES(flush_mutex_);
  void begin_seal() GANTRY_REQUIRES(flush_mutex_);
  Result<void> write_sealed() GANTRY_REQUIRES(flush_mutex_);
  Result<std::shared_ptr<const Block>> write_block(Segment& segment);
  void seal_if_due();
  Result<bool> is_in_blocks(const telemetry::TraceId& id) const;

  /// Whether a merge keeps its budget and lets queries go first.
  enum class Pace : bool { Full, GivesWay };

  void give_way(storage::MergePacer& pacer, std::uint64_t bytes_written, std::int64_t& tended_ns);
  Result<void> merge(std::span<const std::shared_ptr<const Block>> inputs, Pace pace)
      GANTRY_REQUIRES(merge_mutex_);
  Result<void> commit_merge(std::span<const std::shared_ptr<const Block>> inputs,
                            std::shared_ptr<const Block> output);
  Result<bool> merge_one() GANTRY_REQUIRES(merge_mutex_);
  Result<bool> apply_retention() GANTRY_REQUIRES(merge_mutex_);
  void quarantine_damaged();

  const std::filesystem::path directory_;
  StoreEnvironment environment_;
  std::shared_ptr<StoreState> state_;
  StoreSource source_;
  StoreMetrics metrics_;
  std::unique_ptr<storage::WriteAheadLog> log_;
  storage::AppendGate gate_;
  TraceBudget budget_;
  ByteRate rate_;
  CancelToken cancel_;

  mutable core::Mutex options_mutex_;
  std::shared_ptr<const StoreOptions> options_ GANTRY_GUARDED_BY(options_mutex_);

  core::Mutex merge_mutex_;
  core::Mutex flush_mutex_;
  core::Mutex apply_mutex_;   ///< The live segment's one writer.
  core::Mutex order_mutex_;   ///< The order of the log is that of pending_.
  core::Mutex commit_mutex_;  ///< No merge is committed between a seal's block and its end_seal.
  std::deque<PendingAppend*> pending_ GANTRY_GUARDED_BY(order_mutex_);
  std::atomic<std::int64_t> last_seal_ms_{0};
  std::atomic<const void*> full_segment_{nullptr};  ///< That a seal was asked for.
  std::int64_t retry_seal_ms_ GANTRY_GUARDED_BY(flush_mutex_) = 0;
  std::int64_t retry_merge_ms_ GANTRY_GUARDED_BY(merge_mutex_) = 0;

  core::Mutex close_mutex_;
  bool is_closed_ GANTRY_GUARDED_BY(close_mutex_) = false;
  core::Mutex wake_mutex_;
  core::ConditionVariable wake_;
  bool is_seal_wanted_ GANTRY_GUARDED_BY(wake_mutex_) = false;
  std::jthread thread_;
};

}  // namespace gantry::traces
