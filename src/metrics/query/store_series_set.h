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
  StoreSeriesSet(std::shared_ptr<StoreState> state, RunningQuery running, TimedSeries timed,
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
  /// Where parts are read from; replaced when what the head had has moved to a newer part.
  struct Sources {
    std::uint64_t head_drops = 0;
    std::shared_ptr<const PartView> view;
    std::vector<PartColumn> parts;
    bool is_original = true;
  };

  /// For one reading thread at a time; kept for the next one.
  struct Scratch {
    std::shared_ptr<const Sources> sources;
    std::vector<PartScratch> parts;
  };

  [[nodiscard]] std::unique_ptr<Scratch> take_scratch() const;
  void give_back(std::unique_ptr<Scratch> scratch) const;
  void renew_sources(std::uint64_t seen_drops) const;
  Result<void> read_parts(std::size_t series, TimeRange range, Scratch& scratch,
                          ColumnMerge<promql::SampleColumns>& merge,
                          promql::SampleColumns& out) const;

  std::shared_ptr<StoreState> state_;
  RunningQuery running_;
  std::shared_ptr<Epoch> epoch_;
  TimeRange range_;
  bool is_truncated_ = false;
  std::vector<std::uint32_t> series_;
  std::vector<std::int64_t> head_ends_;
  std::vector<std::span<const promql::LabelSymbols>> labels_;

  mutable core::Mutex mutex_;
  mutable std::shared_ptr<const Sources> sources_ GANTRY_GUARDED_BY(mutex_);
  mutable std::vector<std::unique_ptr<Scratch>> scratches_ GANTRY_GUARDED_BY(mutex_);
  mutable std::vector<std::string> warnings_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::metrics
