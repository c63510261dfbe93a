#include "telemetry/series_group.h"

#include <cstdint>
#include <initializer_list>

#include <gtest/gtest.h>

#include "telemetry/labels.h"

namespace gantry::telemetry {
namespace {

std::uint64_t group_of(std::initializer_list<LabelView> labels) {
  SeriesGroup group;
  for (const auto& [name, value] : labels) group.add(name, value);
  return group.value();
}

TEST(SeriesGroup, IsThatOfAllSeriesOfAHistogram) {
  const std::uint64_t sum = group_of({{"__name__", "took_sum"}, {"zone", "a"}});
  EXPECT_EQ(group_of({{"__name__", "took_bucket"}, {"le", "0.5"}, {"zone", "a"}}), sum);
  EXPECT_EQ(group_of({{"__name__", "took_bucket"}, {"le", "+Inf"}, {"zone", "a"}}), sum);
  EXPECT_EQ(group_of({{"__name__", "took_count"}, {"zone", "a"}}), sum);
  EXPECT_EQ(group_of({{"__name__", "took"}, {"quantile", "0.9"}, {"zone", "a"}}), sum);
}

TEST(SeriesGroup, TellsOtherLabelsApart) {
  const std::uint64_t sum = group_of({{"__name__", "took_sum"}, {"zone", "a"}});
  EXPECT_NE(group_of({{"__name__", "took_sum"}, {"zone", "b"}}), sum);
  EXPECT_NE(group_of({{"__name__", "took_total"}, {"zone", "a"}}), sum);
  EXPECT_NE(group_of({{"__name__", "took_sum"}}), sum);
}

}  // namespace
}  // namespace gantry::telemetry
