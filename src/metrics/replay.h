#pragma once

// Brings the head back from the log.

#include <cstdint>
#include <functional>
#include <vector>

#include "core/error.h"
#include "core/worker_pool.h"
#include "metrics/log/log_record.h"
#include "metrics/store_state.h"
#include "storage/write_ahead_log.h"

namespace gantry::metrics {

/// One thread, before the store takes appends.
class Replay {
 public:
  /// Applies a delete record to the head.
  using Erase = std::function<Result<void>(const DeleteRecord&)>;

  /// `workers` may be null: then everything is done on the calling thread.
  Replay(StoreState& state, storage::LogPosition start, Erase erase, core::WorkerPool* workers)
      : state_(state), start_(start), erase_(std::move(erase)), workers_(workers) {}

  /// Records before `start` are in parts and skipped. Errors: DataLoss (a record that passed its
  /// checksum and is not ours).
  Result<void> visit(const storage::LogRecord& record);

  /// After the last record.
  void finish() { store_pending(); }

  /// Samples of series whose definition was lost with a damaged part of the log.
  [[nodiscard]] std::uint64_t lost_count() const { return lost_count_; }

  [[nodiscard]] std::uint64_t sample_count() const { return sample_count_; }

 private:
  static constexpr std::uint32_t kNone = SeriesRegistry::kNone;

  Result<void> visit_batch(std::span<const std::byte> payload);
  void define(std::span<const SeriesDefinition> definitions);
  void store_pending();

  [[nodiscard]] std::uint32_t series_of(std::uint32_t logged) const {
    return logged < series_.size() ? series_[logged] : kNone;
  }

  StoreState& state_;
  const storage::LogPosition start_;
  Erase erase_;
  core::WorkerPool* workers_;
  std::uint32_t segment_ = 0;
  bool has_segment_ = false;
  std::vector<std::uint32_t> series_;  ///< By the id in the log; of this segment.
  DecodedBatch batch_;
  /// Floats of several records in the log's order, to be stored by several threads at once.
  std::vector<PlannedFloat> pending_;
  std::uint64_t lost_count_ = 0;
  std::uint64_t sample_count_ = 0;
};

}  // namespace gantry::metrics
