#include "access/secrets/secret.h"

#include <string>
#include <utility>

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace gantry::access {
namespace {

TEST(SecretTest, IsMaskedWhereItIsFormatted) {
  const Secret secret = Secret::copy_of("hunter2");
  EXPECT_EQ(secret.view(), "hunter2");
  EXPECT_EQ(fmt::format("{}", secret), "****");
}

TEST(SecretTest, MovesAndLeavesNothingBehind) {
  Secret first = Secret::copy_of("hunter2");
  Secret second = std::move(first);
  EXPECT_EQ(second.view(), "hunter2");
  EXPECT_EQ(first.size(), 0U);  // NOLINT(bugprone-use-after-move): what it promises
  EXPECT_EQ(first.view(), "");
  first = std::move(second);
  EXPECT_EQ(first.view(), "hunter2");
}

TEST(SecretTest, BeginsWithZerosOrRandomBytes) {
  EXPECT_EQ(Secret(3).view(), std::string_view("\0\0\0", 3));
  EXPECT_NE(Secret::random(32).view(), Secret::random(32).view());
  EXPECT_EQ(Secret::copy_of("").size(), 0U);
}

TEST(SecretTest, WipesATextInPlace) {
  std::string text = "hunter2";
  wipe(text);
  EXPECT_EQ(text, std::string(7, '\0'));
}

}  // namespace
}  // namespace gantry::access
