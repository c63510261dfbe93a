#include "gateway/tool_call_index.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

TEST(ToolCallIndex, KeepsFreeIndexesOfTheProvider) {
  ToolCallIndex calls;
  EXPECT_EQ(calls.place({.index = 2, .id = "a", .name = "f"}).index, 2);
  EXPECT_EQ(calls.place({.id = "b", .name = "f"}).index, 3);
  const ToolCallPlace taken = calls.place({.index = 3, .id = "c", .name = "f"});
  EXPECT_EQ(taken.index, 4);
  EXPECT_TRUE(taken.is_first);
  // The provider goes on calling it 3.
  EXPECT_EQ(calls.place({.index = 3}).index, 4);
}

TEST(ToolCallIndex, BeginsACallWithANameAlone) {
  ToolCallIndex calls;
  EXPECT_TRUE(calls.place({.name = "f"}).is_first);
  EXPECT_FALSE(calls.place({}).is_first);
  EXPECT_EQ(calls.place({.name = "f"}).index, 1);
}

TEST(ToolCallIndex, TakesAnIdThatComesLate) {
  ToolCallIndex calls;
  EXPECT_TRUE(calls.place({.index = 0, .name = "f"}).is_first);
  EXPECT_FALSE(calls.place({.index = 0, .id = "a"}).repeats_id);
  EXPECT_TRUE(calls.place({.index = 0, .id = "a", .name = "f"}).repeats_id);
}

TEST(ToolCallIndex, IsBounded) {
  ToolCallIndex calls;
  for (std::size_t i = 0; i < ToolCallIndex::kCallsMax; ++i) {
    EXPECT_TRUE(calls.place({.id = std::to_string(i), .name = "f"}).is_first);
  }
  const ToolCallPlace beyond = calls.place({.id = "another", .name = "f"});
  EXPECT_FALSE(beyond.is_first);
  EXPECT_EQ(beyond.index, static_cast<std::int64_t>(ToolCallIndex::kCallsMax) - 1);
}

}  // namespace
}  // namespace gantry::gateway
