#pragma once

// A histogram that is a compensated sum: what totals and means are made of.

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "promql/histogram/arithmetic.h"
#include "telemetry/native_histogram.h"

namespace gantry::promql::histogram {

/// The rounding errors that belong to a compensated sum of histograms; the counts are those of the
/// buckets of the sum, in its layout.
struct Compensation {
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  std::vector<double> positive_counts;
  std::vector<double> negative_counts;
};

/// Not thread-safe; a value.
class CompensatedHistogram {
 public:
  CompensatedHistogram() = default;

  explicit CompensatedHistogram(telemetry::FloatHistogram first) : sum_(std::move(first)) {}

  [[nodiscard]] Combination add(const telemetry::FloatHistogram& histogram);
  [[nodiscard]] Combination add(const CompensatedHistogram& other);

  void multiply(double factor);
  void divide(double divisor);

  /// Some number of the sum is infinite.
  [[nodiscard]] bool has_overflow() const;

  [[nodiscard]] std::uint64_t size_bytes() const;

  /// The sum with the compensation added, compacted.
  [[nodiscard]] telemetry::FloatHistogram result() const;

 private:
  telemetry::FloatHistogram sum_;
  std::optional<Compensation> compensation_;  ///< Absent before the first addition.
};

}  // namespace gantry::promql::histogram
