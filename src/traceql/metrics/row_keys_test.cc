#include "traceql/metrics/row_keys.h"

#include <map>
#include <utility>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::traceql::metrics {
namespace {

TEST(RowKeys, WithoutColumnsIsOneSlot) {
  EXPECT_EQ(RowKeys(3).slot_count(), 1U);
  EXPECT_EQ(RowKeys(0).slot_count(), 0U);
}

TEST(RowKeys, NumbersCombinationsByFirstOccurrence) {
  RowKeys keys(4);
  keys.add(std::vector<std::uint32_t>{7, 2, 7, 2}, 8);
  EXPECT_EQ(std::vector(keys.slots().begin(), keys.slots().end()),
            (std::vector<std::uint32_t>{0, 1, 0, 1}));
  keys.add(std::vector<std::uint32_t>{0, 0, 1, 0}, 2);
  EXPECT_EQ(std::vector(keys.slots().begin(), keys.slots().end()),
            (std::vector<std::uint32_t>{0, 1, 2, 1}));
  EXPECT_EQ(keys.slot_count(), 3U);
  EXPECT_EQ(std::vector(keys.parents().begin(), keys.parents().end()),
            (std::vector<std::uint32_t>{0, 1, 0}));
  EXPECT_EQ(std::vector(keys.ids().begin(), keys.ids().end()),
            (std::vector<std::uint32_t>{0, 0, 1}));
}

/// The table and the hash map number alike; a plain map is their twin.
RC_GTEST_PROP(RowKeys, AgreesWithAMapOfPairs, ()) {
  const auto rows = *rc::gen::container<std::vector<std::pair<std::uint32_t, std::uint32_t>>>(
      rc::gen::pair(rc::gen::inRange<std::uint32_t>(0, 5), rc::gen::inRange<std::uint32_t>(0, 5)));
  const auto id_count = *rc::gen::element<std::size_t>(5, 100'000'000);
  std::vector<std::uint32_t> first;
  std::vector<std::uint32_t> second;
  for (const auto& [a, b] : rows) {
    first.push_back(a);
    second.push_back(b);
  }
  RowKeys keys(rows.size());
  keys.add(first, id_count);
  keys.add(second, id_count);
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> twin;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto slot = twin.try_emplace(rows[i], twin.size()).first->second;
    RC_ASSERT(keys.slots()[i] == slot);
    RC_ASSERT(keys.ids()[slot] == rows[i].second);
  }
  RC_ASSERT(keys.slot_count() == twin.size());
}

}  // namespace
}  // namespace gantry::traceql::metrics
