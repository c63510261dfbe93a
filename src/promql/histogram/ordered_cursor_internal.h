#pragma once

#include <cstdint>

#include "promql/histogram/buckets_internal.h"

namespace gantry::promql::histogram {

enum class Order : std::uint8_t { Ascending, Descending };

/// All buckets of a histogram in the order of their values, the zero bucket among them if it is
/// populated. Buckets that overlap with the zero bucket are told to start at its edge.
class OrderedCursor {
 public:
  OrderedCursor(const telemetry::FloatHistogram& histogram, Order order)
      : histogram_(histogram),
        order_(order),
        inwards_(view(histogram, near_side())),
        outwards_(view(histogram, far_side())) {}

  bool next() {
    switch (part_) {
      case Part::Inwards:
        if (inwards_.next()) return true;
        part_ = Part::Zero;
        if (histogram_.zero_count > 0) return true;
        [[fallthrough]];
      case Part::Zero:
        part_ = Part::Outwards;
        [[fallthrough]];
      case Part::Outwards:
        return outwards_.next();
    }
    return false;
  }

  [[nodiscard]] double count() const {
    if (part_ == Part::Zero) return histogram_.zero_count;
    return part_ == Part::Inwards ? inwards_.count() : outwards_.count();
  }

  [[nodiscard]] Bounds bounds() const {
    const double zero = histogram_.zero_threshold;
    if (part_ == Part::Zero) return {.lower = -zero, .upper = zero};
    Bounds bounds = part_ == Part::Inwards ? bounds_of(histogram_, near_side(), inwards_.index())
                                           : bounds_of(histogram_, far_side(), outwards_.index());
    if (bounds.lower > 0 && bounds.lower < zero) bounds.lower = zero;
    if (bounds.upper < 0 && bounds.upper > -zero) bounds.upper = -zero;
    return bounds;
  }

 private:
  enum class Part : std::uint8_t { Inwards, Zero, Outwards };

  /// Where the walk starts.
  [[nodiscard]] Side near_side() const {
    return order_ == Order::Ascending ? Side::Negative : Side::Positive;
  }

  [[nodiscard]] Side far_side() const {
    return order_ == Order::Ascending ? Side::Positive : Side::Negative;
  }

  const telemetry::FloatHistogram& histogram_;
  Order order_;
  ReverseBucketCursor inwards_;
  BucketCursor outwards_;
  Part part_ = Part::Inwards;
};

}  // namespace gantry::promql::histogram
