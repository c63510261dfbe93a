#pragma once

// Arithmetic on exponential buckets that several wire formats need.

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "telemetry/native_histogram.h"

namespace gantry::codec {

/// Appends buckets with rising indices to spans and counts. Gaps of up to `kGapFilled` empty
/// buckets are written as zeros, as Prometheus does: a span costs more than they do.
template <class Count>
class BucketAppender {
 public:
  static constexpr std::int64_t kGapFilled = 2;

  BucketAppender(std::vector<telemetry::BucketSpan>& spans, std::vector<Count>& counts)
      : spans_(spans), counts_(counts) {}

  /// `index` must not be below the one before; an equal one adds to that bucket. False when the
  /// index or the gap does not fit 32 bits.
  bool add(std::int64_t index, Count count) {
    if (counts_.empty()) return start(index, index, count);
    if (index == last_) {
      counts_.back() += count;
      return true;
    }
    const std::int64_t gap = index - last_ - 1;
    if (gap > kGapFilled) return start(index, gap, count);
    for (std::int64_t i = 0; i < gap; ++i) append(Count{});
    append(count);
    last_ = index;
    return true;
  }

 private:
  bool start(std::int64_t index, std::int64_t offset, Count count) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    constexpr std::int64_t kLeast = std::numeric_limits<std::int32_t>::min();
    if (index > kMost || index < kLeast || offset > kMost || offset < kLeast) return false;
    spans_.push_back({.offset = static_cast<std::int32_t>(offset), .length = 0});
    append(count);
    last_ = index;
    return true;
  }

  void append(Count count) {
    counts_.push_back(count);
    ++spans_.back().length;
  }

  std::vector<telemetry::BucketSpan>& spans_;
  std::vector<Count>& counts_;
  std::int64_t last_ = 0;
};

/// The bucket at schema n - `levels` that holds bucket `index` of schema n (upper-bound indexing).
[[nodiscard]] constexpr std::int64_t coarser_bucket(std::int64_t index, int levels) {
  return ((index - 1) >> levels) + 1;
}

/// Merges exponential buckets to a schema `levels` lower. The lengths of `spans` must add up to the
/// number of counts. False when an index leaves 32 bits.
template <class Count>
[[nodiscard]] bool reduce_resolution(std::vector<telemetry::BucketSpan>& spans,
                                     std::vector<Count>& counts, int levels) {
  std::vector<telemetry::BucketSpan> new_spans;
  std::vector<Count> new_counts;
  BucketAppender<Count> appender(new_spans, new_counts);
  std::int64_t index = 0;
  std::size_t position = 0;
  for (const telemetry::BucketSpan& span : spans) {
    index += span.offset;
    for (std::uint32_t i = 0; i < span.length; ++i, ++index, ++position) {
      if (!appender.add(coarser_bucket(index, levels), counts[position])) return false;
    }
  }
  spans = std::move(new_spans);
  counts = std::move(new_counts);
  return true;
}

}  // namespace gantry::codec
