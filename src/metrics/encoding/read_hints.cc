#include "metrics/encoding/read_hints.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "telemetry/sample.h"

namespace gantry::metrics {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

/// The buckets of one side, by ascending index.
class BucketWalk {
 public:
  BucketWalk(std::span<const telemetry::BucketSpan> spans, std::span<const double> counts)
      : spans_(spans), counts_(counts) {
    enter_span();
  }

  [[nodiscard]] bool is_at_end() const { return position_ == counts_.size(); }

  [[nodiscard]] std::int64_t index() const { return index_; }

  [[nodiscard]] double count() const { return counts_[position_]; }

  void next() {
    ++position_;
    ++index_;
    if (--left_ == 0) {
      ++span_;
      enter_span();
    }
  }

 private:
  /// Skips spans without buckets.
  void enter_span() {
    for (; span_ < spans_.size(); ++span_) {
      index_ += spans_[span_].offset;
      left_ = spans_[span_].length;
      if (left_ > 0) return;
    }
  }

  std::span<const telemetry::BucketSpan> spans_;
  std::span<const double> counts_;
  std::size_t span_ = 0;
  std::size_t position_ = 0;
  std::int64_t index_ = 0;
  std::uint32_t left_ = 0;
};

/// Hot: per bucket. Whether a bucket has less than it had.
bool has_decrease(std::span<const telemetry::BucketSpan> spans_before,
                  std::span<const double> before, std::span<const telemetry::BucketSpan> spans_now,
                  std::span<const double> now) {
  if (std::ranges::equal(spans_before, spans_now)) {
    bool is_less = false;
    for (std::size_t i = 0; i < before.size(); ++i) is_less |= now[i] < before[i];
    return is_less;
  }
  BucketWalk walk(spans_now, now);
  for (BucketWalk old(spans_before, before); !old.is_at_end(); old.next()) {
    while (!walk.is_at_end() && walk.index() < old.index()) walk.next();
    const bool is_there = !walk.is_at_end() && walk.index() == old.index();
    if (old.count() > (is_there ? walk.count() : 0)) return true;
  }
  return false;
}

/// `claim` is the hint that `now` was stored with.
bool goes_on(const FloatHistogram& before, const FloatHistogram& now, CounterResetHint claim) {
  if (claim == CounterResetHint::Reset || before.hint == CounterResetHint::Gauge) return false;
  if (telemetry::is_stale_nan(now.sum)) return true;
  if (telemetry::is_stale_nan(before.sum)) return false;
  if (now.schema != before.schema || now.zero_threshold != before.zero_threshold ||
      now.custom_values != before.custom_values) {
    return false;
  }
  return now.count >= before.count && now.zero_count >= before.zero_count &&
         !has_decrease(before.positive_spans, before.positive_counts, now.positive_spans,
                       now.positive_counts) &&
         !has_decrease(before.negative_spans, before.negative_counts, now.negative_spans,
                       now.negative_counts);
}

}  // namespace

void set_read_hints(std::span<FloatHistogram* const> histograms) {
  const FloatHistogram* before = nullptr;
  for (FloatHistogram* const now : histograms) {
    const CounterResetHint claim = std::exchange(now->hint, CounterResetHint::Unknown);
    if (claim == CounterResetHint::Gauge) {
      now->hint = CounterResetHint::Gauge;
    } else if (before != nullptr && goes_on(*before, *now, claim)) {
      now->hint = CounterResetHint::NotReset;
    }
    before = now;
  }
}

void forget_hint(std::shared_ptr<const FloatHistogram>& histogram) {
  if (histogram->hint != CounterResetHint::NotReset) return;
  auto copy = std::make_shared<FloatHistogram>(*histogram);
  copy->hint = CounterResetHint::Unknown;
  histogram = std::move(copy);
}

}  // namespace gantry::metrics
