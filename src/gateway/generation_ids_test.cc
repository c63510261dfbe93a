#include "gateway/generation_ids.h"

#include <algorithm>
#include <cctype>
#include <set>

#include <gtest/gtest.h>

namespace gantry::gateway {
namespace {

TEST(GenerationIds, HaveTheSecondAndTwentyRandomCharacters) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = make_generation_id({1'705'312'800'999});
    ASSERT_TRUE(id.starts_with("gen-1705312800-")) << id;
    const std::string random = id.substr(15);
    EXPECT_EQ(random.size(), 20U);
    EXPECT_TRUE(std::ranges::all_of(random, [](unsigned char c) { return std::isalnum(c) != 0; }));
    EXPECT_TRUE(ids.insert(id).second);
  }
}

}  // namespace
}  // namespace gantry::gateway
