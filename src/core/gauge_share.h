#pragma once

// One of several contributors to a gauge: each stack's store has a part in "bytes in memory".

#include "core/metrics.h"

namespace gantry::core {

/// Adds to the gauge what it was last set to, and takes that away when it goes. One thread; the
/// gauge may have other contributors and must outlive it.
class GaugeShare {
 public:
  // Not explicit: a list of gauges reads as one.
  GaugeShare(Gauge& gauge) : gauge_(gauge) {}  // NOLINT(google-explicit-constructor)

  ~GaugeShare() { set(0); }

  GaugeShare(const GaugeShare&) = delete;
  GaugeShare& operator=(const GaugeShare&) = delete;

  void set(double value) {
    gauge_.add(value - value_);
    value_ = value;
  }

 private:
  Gauge& gauge_;
  double value_ = 0;
};

}  // namespace gantry::core
