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

#include "promql/histogram/arithmetic.h"
#include "promql/histogram/compensated.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

/// Which counter reset hints were among the histograms.
struct SeenHints {
  bool has_reset = false;
  bool has_not_reset = false;

  void see(telemetry::CounterResetHint hint) {
    has_reset = has_reset || hint == telemetry::CounterResetHint::Reset;
    has_not_reset = has_not_reset || hint == telemetry::CounterResetHint::NotReset;
  }

  void see(const SeenHints& other) {
    has_reset = has_reset || other.has_reset;
    has_not_reset = has_not_reset || other.has_not_reset;
  }
};

/// What totals and means hold.
class Accumulation {
 public:
  [[nodiscard]] bool is_empty() const { return count_ == 0; }

  /// How many histograms were added.
  [[nodiscard]] std::uint64_t count() const { return count_; }

  /// Of all additions so far. A hint conflict: both `reset` and `not_reset` were among the
  /// histograms. Once an addition was impossible, it stays so.
  [[nodiscard]] const Combination& notes() const { return notes_; }

  /// The memory behind it.
  [[nodiscard]] std::uint64_t heap_bytes() const { return sum_.size_bytes(); }

 protected:
  Accumulation() = default;

  /// Notes what an addition, after the hints were seen, had to do.
  void note(const Combination& addition);

  CompensatedHistogram sum_;
  std::uint64_t count_ = 0;
  SeenHints hints_;
  Combination notes_;
};

/// Adds histograms up.
class Total final : public Accumulation {
 public:
  void add(const telemetry::FloatHistogram& histogram);

  /// What `other` has added, after what this one has.
  void merge(const Total& other);

  /// Compacted. At least one histogram must have been added, and all additions possible.
  [[nodiscard]] telemetry::FloatHistogram result() const;
};

/// The mean: a total until that would overflow, then an incremental mean. Used as a total is.
class Mean final : public Accumulation {
 public:
  void add(const telemetry::FloatHistogram& histogram);
  void merge(const Mean& other);

  [[nodiscard]] telemetry::FloatHistogram result() const;

 private:
  /// Sums up, or returns false if that would overflow.
  template <class Addend>
  [[nodiscard]] bool add_directly(const Addend& addend, double magnitude);
  void make_incremental();

  double magnitude_ = 0;         ///< No number of the sum is larger, nor any sum of its buckets.
  bool is_incremental_ = false;  ///< The sum is the mean.
};

}  // namespace gantry::promql::histogram
