#pragma once

// What one rule of a stream aggregation has seen: its groups, the window that is open, and what
// becomes of both when the window ends. Not thread-safe.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "core/time.h"
#include "pipeline/aggregation_rule_internal.h"
#include "telemetry/labels.h"
#include "telemetry/native_histogram.h"

namespace gantry::pipeline {

/// One sample to be handed on.
struct FinishedSample {
  std::string metric;
  telemetry::Labels labels;  ///< Without the name.
  TimestampMs at;
  AggregationOutput output = AggregationOutput::Total;
  double value = 0;
  std::optional<telemetry::FloatHistogram> histogram;  ///< Instead of the value.
};

/// Samples of a group, or of several, in one window.
struct WindowSums {
  std::uint64_t samples = 0;
  std::uint64_t series = 0;
  double sum = 0;
  double min = 0;
  double max = 0;
  double last = 0;
  std::int64_t last_at_ms = 0;
  double increase = 0;
  std::optional<telemetry::FloatHistogram> histogram_sum;
  std::optional<telemetry::FloatHistogram> histogram_increase;

  void add(double value, std::int64_t at_ms);
  void add(const telemetry::FloatHistogram& histogram);
  void add_increase(const telemetry::FloatHistogram& histogram);

  /// Of another group.
  void merge(const WindowSums& other);

  /// Null where there is nothing to say: no samples, or a total.
  [[nodiscard]] std::optional<double> value(AggregationOutput output) const;
};

/// Series that a rule makes one of. Kept by its members, too, after it has ended.
struct AggregationGroup {
  std::string name;  ///< As AggregationRule::group_name.
  telemetry::Labels labels;
  core::Hash128 key;
  bool is_active = false;
  bool has_histograms = false;
  std::int64_t last_window = 0;  ///< Of the last sample.
  WindowSums window;
  double ever = 0;  ///< All increases: what totals are ranked by.
};

/// What a rule remembers of a series of the input.
struct AggregationMember {
  std::shared_ptr<AggregationGroup> group;
  std::int64_t last_window = 0;
  std::int64_t last_at_ms = 0;
  bool has_last = false;
  double last_value = 0;
  std::unique_ptr<telemetry::FloatHistogram> last_histogram;
};

struct Hash128Hash {
  std::size_t operator()(const core::Hash128& key) const { return key.low; }  // a hash already
};

class AggregationState {
 public:
  AggregationState(const AggregationRule& rule, TimestampMs started_at, std::size_t groups_max);

  enum class Taken : std::uint8_t { Yes, Late, NoRoom, OtherType, NotForHistograms };

  /// The group of a series that matches. Not active until it gets a sample.
  [[nodiscard]] std::shared_ptr<AggregationGroup> find_group(const telemetry::Labels& series);

  /// `start_ms`: when the series began, 0: unknown. Windows up to `now` have been ended.
  Taken take(AggregationMember& member, double value, std::int64_t at_ms, std::int64_t start_ms,
             TimestampMs now);
  Taken take(AggregationMember& member, const telemetry::FloatHistogram& histogram,
             std::int64_t at_ms, std::int64_t start_ms, TimestampMs now);

  /// Ends the windows that are over at `now`. Appends to `out`.
  void end_windows(TimestampMs now, std::vector<FinishedSample>& out);

  /// Ends the open window at `now`, which is inside it.
  void flush(TimestampMs now, std::vector<FinishedSample>& out);

  /// Series under which outputs are written, not counting those that have ended.
  [[nodiscard]] std::size_t series_count() const { return series_.size(); }

  /// What part of the ranked output went under `other` in the last window.
  [[nodiscard]] double other_ratio() const { return other_ratio_; }

  /// Groups that could not go under `other`, which already had samples of the other type; counted
  /// anew from there.
  [[nodiscard]] std::uint64_t take_mixed_count() { return std::exchange(mixed_count_, 0); }

  [[nodiscard]] const AggregationRule& rule() const { return rule_; }

 private:
  /// Where outputs are written: a group of its own, or `other`.
  struct Series {
    std::string name;
    telemetry::Labels labels;
    bool has_histograms = false;
    bool is_touched = false;  ///< In the window that is being ended.
    std::int64_t last_window = 0;
    WindowSums window;
    double total = 0;
    std::optional<telemetry::FloatHistogram> histogram_total;
    std::array<bool, kAggregationOutputCount> is_shown{};
  };

  [[nodiscard]] std::int64_t window_of(TimestampMs at) const;
  [[nodiscard]] bool is_late(std::int64_t at_ms, TimestampMs now) const;
  [[nodiscard]] bool is_new_since_start(std::int64_t start_ms, TimestampMs now) const;
  Taken enter(AggregationMember& member, bool is_histogram);
  void end_window(TimestampMs at, std::vector<FinishedSample>& out);
  void end_idle_groups();
  void rank_groups();
  [[nodiscard]] telemetry::Labels labels_of(const AggregationGroup& group) const;
  void gather();
  void write(Series& series, TimestampMs at, std::vector<FinishedSample>& out) const;
  void write_stale(Series& series, TimestampMs at, std::vector<FinishedSample>& out) const;

  const AggregationRule& rule_;
  const TimestampMs started_at_;
  const std::size_t groups_max_;
  std::int64_t window_ = 0;  ///< The open one: its end is (window_ + 1) * interval.
  std::unordered_map<core::Hash128, std::shared_ptr<AggregationGroup>, Hash128Hash> groups_;
  std::unordered_map<core::Hash128, Series, Hash128Hash> series_;
  /// By group name: the values of the top label that stay apart in the window that is being ended.
  std::map<std::string, std::vector<std::string>, std::less<>> top_values_;
  double other_ratio_ = 0;
  std::uint64_t mixed_count_ = 0;
};

}  // namespace gantry::pipeline
