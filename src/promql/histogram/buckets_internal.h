#pragma once

// The buckets of one side of a histogram, as arithmetic, sums and statistics walk and change them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "promql/histogram/compensated.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

enum class Side : std::uint8_t { Negative, Positive };

/// One side, to read.
struct BucketsView {
  std::span<const telemetry::BucketSpan> spans;
  std::span<const double> counts;
};

/// One side, to change. `compensation` is null, or of the length of `counts`.
struct MutableBuckets {
  std::vector<telemetry::BucketSpan>& spans;
  std::vector<double>& counts;
  std::vector<double>* compensation;
};

[[nodiscard]] BucketsView view(const telemetry::FloatHistogram& histogram, Side side);

/// `compensation` may be null.
[[nodiscard]] MutableBuckets edit(telemetry::FloatHistogram& histogram, Compensation* compensation,
                                  Side side);

/// From the bucket next to zero (custom buckets: the lowest) outwards. Indexes are wider than in
/// spans: offsets from outside may add up to more.
class BucketCursor {
 public:
  explicit BucketCursor(BucketsView buckets) : buckets_(buckets) {}

  /// Steps to the first bucket, then to the next. False behind the last, and from then on.
  bool next() {
    if (!is_started_) {
      is_started_ = true;
      enter_span();
    } else if (span_ < buckets_.spans.size()) {
      ++index_;
      ++position_;
      if (++in_span_ == buckets_.spans[span_].length) {
        ++span_;
        enter_span();
      }
    }
    return span_ < buckets_.spans.size() && position_ < buckets_.counts.size();
  }

  [[nodiscard]] std::int64_t index() const { return index_; }

  /// Among the counts.
  [[nodiscard]] std::size_t position() const { return position_; }

  [[nodiscard]] double count() const { return buckets_.counts[position_]; }

 private:
  void enter_span() {
    in_span_ = 0;
    while (span_ < buckets_.spans.size()) {
      index_ += buckets_.spans[span_].offset;
      if (buckets_.spans[span_].length > 0) return;
      ++span_;
    }
  }

  BucketsView buckets_;
  std::size_t span_ = 0;
  std::uint32_t in_span_ = 0;
  std::int64_t index_ = 0;
  std::size_t position_ = 0;
  bool is_started_ = false;
};

/// The same from the outermost bucket inwards.
class ReverseBucketCursor {
 public:
  explicit ReverseBucketCursor(BucketsView buckets);

  bool next() {
    if (position_ == 0) return false;
    --position_;
    --index_;
    while (in_span_ == 0) {
      if (span_ == 0) return false;
      index_ -= buckets_.spans[span_].offset;
      --span_;
      in_span_ = buckets_.spans[span_].length;
    }
    --in_span_;
    return true;
  }

  [[nodiscard]] std::int64_t index() const { return index_; }

  [[nodiscard]] double count() const { return buckets_.counts[position_]; }

 private:
  BucketsView buckets_;
  std::size_t span_ = 0;
  std::uint32_t in_span_ = 0;  ///< Buckets of the span that are still to come.
  std::int64_t index_ = 0;
  std::size_t position_ = 0;
};

struct Bounds {
  double lower = 0;
  double upper = 0;
};

/// Of the histogram's own bucket `index`, whatever the zero bucket covers of it.
[[nodiscard]] Bounds bounds_of(const telemetry::FloatHistogram& histogram, Side side,
                               std::int64_t index);

/// Appends bucket `index` to spans whose last bucket is `last` (unspecified while there is none).
void append_bucket(std::vector<telemetry::BucketSpan>& spans, std::int64_t last,
                   std::int64_t index);

/// In a schema coarser by `levels`.
[[nodiscard]] constexpr std::int64_t coarser_index(std::int64_t index, std::int32_t levels) {
  return ((index - 1) >> levels) + 1;
}

/// Merges buckets into those of a schema coarser by `levels`.
void coarsen(MutableBuckets buckets, std::int32_t levels);

/// Drops buckets that hold nothing, not even a compensation; joins adjacent spans.
void compact(MutableBuckets buckets);

/// What one histogram adds to another. `compensation` may be empty.
struct Addend {
  BucketsView buckets;
  std::span<const double> compensation;
  double sign = 1;  ///< -1 subtracts.
};

/// Adds bucket by bucket, compensated if `into` is. The first `skipped` buckets of `addend` are
/// left out.
void add_buckets(MutableBuckets into, const Addend& addend, std::size_t skipped);

}  // namespace gantry::promql::histogram
