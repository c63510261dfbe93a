#include "promql/histogram/arithmetic.h"
#include "promql/histogram/buckets_internal.h"
#include "promql/histogram/combine_internal.h"
#include "telemetry/bucket_bound.h"

namespace gantry::promql::histogram {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;

/// The buckets of one side outside of a zero bucket, as they would be in a schema that is coarser.
class CoarseCursor {
 public:
  CoarseCursor(const FloatHistogram& histogram, Side side, const FloatHistogram& like)
      : cursor_(view(histogram, side)),
        levels_(histogram.schema - like.schema),
        has_next_(cursor_.next()) {
    if (like.uses_custom_buckets()) return;
    while (has_next_ &&
           telemetry::exponential_bound(histogram.schema, cursor_.index()) <= like.zero_threshold) {
      has_next_ = cursor_.next();
    }
  }

  bool next() {
    if (!has_next_) return false;
    index_ = coarser_index(cursor_.index(), levels_);
    count_ = 0;
    while (has_next_ && coarser_index(cursor_.index(), levels_) == index_) {
      count_ += cursor_.count();
      has_next_ = cursor_.next();
    }
    return true;
  }

  [[nodiscard]] std::int64_t index() const { return index_; }

  [[nodiscard]] double count() const { return count_; }

 private:
  BucketCursor cursor_;
  std::int32_t levels_;
  bool has_next_;
  std::int64_t index_ = 0;
  double count_ = 0;
};

/// A bucket that was populated is gone or holds less.
bool has_decrease(const FloatHistogram& current, const FloatHistogram& previous, Side side) {
  CoarseCursor now(current, side, current);
  CoarseCursor before(previous, side, current);
  bool has_now = now.next();
  while (before.next()) {
    while (has_now && now.index() < before.index()) has_now = now.next();
    if (has_now && now.index() == before.index()) {
      if (now.count() < before.count()) return true;
    } else if (before.count() != 0) {
      return true;
    }
  }
  return false;
}

bool has_decrease_in_common_buckets(const FloatHistogram& current, const FloatHistogram& previous) {
  const std::vector<double> bounds = common_bounds(current.custom_values, previous.custom_values);
  FoldedBuckets now(bounds);
  FoldedBuckets before(bounds);
  now.add(current, {}, 1);
  before.add(previous, {}, 1);
  for (std::size_t i = 0; i < now.counts().size(); ++i) {
    if (now.counts()[i] < before.counts()[i]) return true;
  }
  return false;
}

}  // namespace

bool is_counter_reset(const FloatHistogram& current, const FloatHistogram& previous) {
  if (current.hint == CounterResetHint::Reset) return true;
  if (current.hint == CounterResetHint::NotReset) return false;
  if (current.count < previous.count) return true;
  if (current.uses_custom_buckets() != previous.uses_custom_buckets()) return true;
  if (current.uses_custom_buckets()) {
    if (current.custom_values != previous.custom_values) {
      return has_decrease_in_common_buckets(current, previous);
    }
    return has_decrease(current, previous, Side::Positive);
  }
  // Neither a finer schema nor a narrower zero bucket comes about without a new start.
  if (current.schema > previous.schema || current.zero_threshold < previous.zero_threshold) {
    return true;
  }
  const ZeroBucket before = widened_zero_bucket(previous, nullptr, current.zero_threshold);
  if (before.threshold != current.zero_threshold || current.zero_count < before.count) return true;
  return has_decrease(current, previous, Side::Positive) ||
         has_decrease(current, previous, Side::Negative);
}

}  // namespace gantry::promql::histogram
