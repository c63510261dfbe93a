#include "core/gauge_share.h"

#include <memory>

#include <gtest/gtest.h>

namespace gantry::core {
namespace {

TEST(GaugeShare, AddsUpAndLeavesWithItsOwner) {
  MetricRegistry registry;
  Gauge& gauge = registry.gauge("bytes", "Bytes.");
  GaugeShare first(gauge);
  auto second = std::make_unique<GaugeShare>(gauge);
  first.set(5);
  second->set(7);
  EXPECT_EQ(gauge.value(), 12);
  first.set(1);
  EXPECT_EQ(gauge.value(), 8);
  second.reset();
  EXPECT_EQ(gauge.value(), 1);
}

}  // namespace
}  // namespace gantry::core
