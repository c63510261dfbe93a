#pragma once

// The answer to a selector over the store.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "metrics/query/time_filter.h"
#include "promql/series_source.h"

namespace gantry::metrics {

/// See StoreSource for what it sees of later changes.
class StoreSeriesSet final : public promql::SeriesSet {
 public:
  /// `state`'s registry lock is taken.
  StoreSeriesSet(std::shared_ptr<StoreState> state, QueryMoment moment, TimedSeries timed,
                 TimeRange range, bool is_truncated);

  [[nodiscard]] std::size_t size() const override { return labels_.size(); }

  [[nodiscard]] std::span<const promql::LabelSymbols> labels(std::size_t series) const override {
    return labels_[series];
  }

  [[nodiscard]] std::string_view symbol(std::uint32_t id) const override {
    return state_->registry.text(id);
  }

  Result<void> read(std::size_t series, std::int64_t start_ms, std::int64_t end_ms,
                    promql::SampleColumns& out) const override;

  [[nodiscard]] bool is_truncated() const override { return is_truncated_; }

  [[nodiscard]] std::vector<std::string> warnings() const override;

 private:
  /// Parts to read, and the head that goes with them.
  struct Sources {
    std::uint64_t head_drops = 0;
    std::shared_ptr<const PartView> view;
    std::vector<PartColumn> parts;
  };

  /// For one reading thread at a time; kept for the next one.
  struct Scratch {
    std::vector<PartScratch> parts;
    std::shared_ptr<const Sources> flushed;
    std::vector<PartScratch> flushed_parts;
    std::vector<LateChange> changes;
  };

  [[nodiscard]] std::unique_ptr<Scratch> take_scratch() const;
  void give_back(std::unique_ptr<Scratch> scratch) const;
  static void use_flushed(Scratch& scratch, std::shared_ptr<const Sources> flushed);
  void find_flushed(Scratch& scratch, std::uint64_t seen_drops) const;
  Result<void> read_parts(const Sources& sources, std::size_t series, TimeRange range,
                          std::span<PartScratch> scratch, ColumnMerge<promql::SampleColumns>& merge,
                          promql::SampleColumns& out) const;

  std::shared_ptr<StoreState> state_;
  QueryMoment moment_;
  std::shared_ptr<Epoch> epoch_;
  TimeRange range_;
  bool is_truncated_ = false;
  std::vector<std::uint32_t> series_;
  std::vector<std::int64_t> head_ends_;
  std::vector<std::span<const promql::LabelSymbols>> labels_;

  Sources original_;  ///< As of the moment.

  mutable core::Mutex mutex_;
  /// Null, or where what the head had is since a flush: parts that are not in `original_`.
  mutable std::shared_ptr<const Sources> flushed_ GANTRY_GUARDED_BY(mutex_);
  mutable std::vector<std::unique_ptr<Scratch>> scratches_ GANTRY_GUARDED_BY(mutex_);
  mutable std::vector<std::string> warnings_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::metrics
