#pragma once

// Delta points added up to cumulative ones, for senders that report only what changed.

#include <cstdint>
#include <memory>

#include "codec/otlp_to_prometheus.h"
#include "core/error.h"
#include "core/hash.h"

namespace gantry::codec {

/// Running totals by series. Right only when one process sees all points of a series, in order.
///
/// A series' first point begins its total. A later one is added when its time is after the last
/// one's; a gap before its start does not matter. A series that is not heard of for `stale_ms` is
/// forgotten, so that its next point begins a new total with a new start. After a restart every
/// series begins anew, which queries see as a counter reset.
///
/// Thread-safe: one lock per point.
class DeltaToCumulative {
 public:
  struct Options {
    std::size_t streams_max = 100'000;
    std::int64_t stale_ms = 5 * 60 * 1000;
  };

  explicit DeltaToCumulative(Options options);
  ~DeltaToCumulative();
  DeltaToCumulative(const DeltaToCumulative&) = delete;
  DeltaToCumulative& operator=(const DeltaToCumulative&) = delete;

  /// Adds `point` to the total of `key` and turns it into that total. Errors, with nothing changed:
  /// OutOfRange (not newer than the last point), ResourceExhausted (a new series beyond
  /// streams_max).
  Result<void> add(const core::Hash128& key, OtlpNumberPoint& point, std::int64_t now_ms);

  /// Other bounds than before begin a new total.
  Result<void> add(const core::Hash128& key, OtlpHistogramPoint& point, std::int64_t now_ms);

  /// Scales are brought to the lower one, and lower still when the total would have more than
  /// kBucketsMax buckets on a side.
  Result<void> add(const core::Hash128& key, OtlpExponentialPoint& point, std::int64_t now_ms);

  [[nodiscard]] std::size_t stream_count() const;

  static constexpr std::int64_t kBucketsMax = 1024;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::codec
