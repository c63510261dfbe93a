#include "access/password.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::access {
namespace {

TEST(PasswordTest, OnlyTheRightOneVerifies) {
  const auto hash = hash_password("correct horse");
  ASSERT_TRUE(hash) << hash.error().message;
  EXPECT_TRUE(hash->starts_with("$argon2id$v=19$m=65536,t=2,p=1$")) << *hash;
  EXPECT_TRUE(verify_password("correct horse", *hash));
  EXPECT_FALSE(verify_password("correct horsf", *hash));
}

TEST(PasswordTest, WhatIsNoHashVerifiesNothing) {
  EXPECT_FALSE(verify_password("", ""));
  EXPECT_FALSE(verify_password("password", "password"));
  EXPECT_FALSE(verify_password(std::string(2000, 'a'), "x"));
}

TEST(PasswordTest, LengthIsLimited) {
  const auto too_short = hash_password("1234567");
  ASSERT_FALSE(too_short);
  EXPECT_EQ(too_short.error().message, "a password has 8 to 1024 bytes, this one has 7");
  EXPECT_FALSE(hash_password(std::string(1025, 'a')));
}

TEST(PasswordTest, MadeOnesDiffer) {
  EXPECT_EQ(make_password().size(), 24U);
  EXPECT_NE(make_password(), make_password());
}

}  // namespace
}  // namespace gantry::access
