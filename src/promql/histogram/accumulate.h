#pragma once

// Sums and means of many native histograms, compensated (Kahan–Babuška–Neumaier) bucket by bucket,
// with the results of Prometheus's sum, avg, sum_over_time and avg_over_time to the bit when
// histograms are added in Prometheus's order.
//
//   Total total;
//   for (const auto& h : window) total.add(*h);
//   if (total.notes().is_possible) use(total.result());
//
// Not thread-safe; movable.

#include <cstdint>
#include <optional>

#include "promql/histogram/arithmetic.h"
#include "promql/histogram/size.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

/// Adds histograms up.
class Total {
 public:
  /// Once an addition was impossible, the total stays impossible.
  void add(const telemetry::FloatHistogram& histogram);

  /// What `other` has added, after what this one has.
  void merge(const Total& other);

  [[nodiscard]] bool is_empty() const { return count_ == 0; }

  [[nodiscard]] std::uint64_t count() const { return count_; }

  /// Of all additions so far. A hint conflict: both `reset` and `not_reset` were among the
  /// histograms.
  [[nodiscard]] const Combination& notes() const { return notes_; }

  /// Compacted. At least one histogram must have been added, and all additions possible.
  [[nodiscard]] telemetry::FloatHistogram result() const;

  /// The memory behind it.
  [[nodiscard]] std::uint64_t heap_bytes() const {
    return size_bytes(sum_) + (compensation_ ? size_bytes(*compensation_) : 0);
  }

 private:
  telemetry::FloatHistogram sum_;
  std::optional<telemetry::FloatHistogram> compensation_;  ///< Of sum_'s layout; absent: zero.
  std::uint64_t count_ = 0;
  bool has_reset_ = false;
  bool has_not_reset_ = false;
  Combination notes_;
};

/// The mean: a total until that would overflow, then an incremental mean.
class Mean {
 public:
  void add(const telemetry::FloatHistogram& histogram);
  void merge(const Mean& other);

  [[nodiscard]] bool is_empty() const { return count_ == 0; }

  [[nodiscard]] std::uint64_t count() const { return count_; }

  [[nodiscard]] const Combination& notes() const { return notes_; }

  [[nodiscard]] telemetry::FloatHistogram result() const;

  /// The memory behind it.
  [[nodiscard]] std::uint64_t heap_bytes() const {
    return size_bytes(sum_) + (compensation_ ? size_bytes(*compensation_) : 0);
  }

 private:
  telemetry::FloatHistogram sum_;  ///< The mean once is_incremental_.
  std::optional<telemetry::FloatHistogram> compensation_;
  std::uint64_t count_ = 0;
  bool is_incremental_ = false;
  bool has_reset_ = false;
  bool has_not_reset_ = false;
  Combination notes_;
};

}  // namespace gantry::promql::histogram
