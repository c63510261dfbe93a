#include "access/password.h"

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "access/secret_key.h"

namespace gantry::access {
namespace {

constexpr PasswordHasher::Options kCheap{.memory_bytes = 8 << 20, .passes = 1};

class PasswordTest : public testing::Test {
 protected:
  PasswordTest() { EXPECT_TRUE(prepare_cryptography()); }
};

TEST_F(PasswordTest, OnlyTheRightOneVerifies) {
  PasswordHasher hasher({});
  const auto hash = hasher.hash("correct horse");
  ASSERT_TRUE(hash) << hash.error().message;
  EXPECT_TRUE(hash->starts_with("$argon2id$v=19$m=65536,t=2,p=1$")) << *hash;
  EXPECT_TRUE(*hasher.verify("correct horse", *hash));
  EXPECT_FALSE(*hasher.verify("correct horsf", *hash));
  EXPECT_FALSE(*hasher.verify("correct horse ", *hash)) << "nothing is trimmed";
}

TEST_F(PasswordTest, WhatIsNoHashVerifiesNothing) {
  PasswordHasher hasher(kCheap);
  EXPECT_FALSE(*hasher.verify("", ""));
  EXPECT_FALSE(*hasher.verify("password", "password"));
  EXPECT_FALSE(*hasher.verify(std::string(2000, 'a'), "x"));
}

TEST_F(PasswordTest, LengthIsLimited) {
  PasswordHasher hasher(kCheap);
  const auto too_short = hasher.hash("1234567");
  ASSERT_FALSE(too_short);
  EXPECT_EQ(too_short.error().message, "a password has 8 to 1024 bytes, this one has 7");
  EXPECT_FALSE(hasher.hash(std::string(1025, 'a')));
  EXPECT_TRUE(hasher.hash(std::string(1024, 'a')));
}

TEST_F(PasswordTest, ChangedParametersMakeAHashOutdated) {
  PasswordHasher cheap(kCheap);
  const std::string hash = *cheap.hash("correct horse");
  EXPECT_FALSE(cheap.is_outdated(hash));
  EXPECT_TRUE(PasswordHasher({}).is_outdated(hash));
}

TEST_F(PasswordTest, ALongQueueIsRefused) {
  PasswordHasher hasher({.memory_bytes = 8 << 20, .passes = 3, .at_once_max = 1, .queue_max = 1});
  std::atomic<int> refused = 0;
  std::atomic<int> done = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      const auto hash = hasher.hash("correct horse");
      if (hash)
        ++done;
      else if (hash.error().code == Code::ResourceExhausted)
        ++refused;
    });
  threads.clear();
  EXPECT_EQ(refused + done, 16);
  EXPECT_GT(refused, 0);
  EXPECT_GT(done, 0);
}

TEST_F(PasswordTest, MadeOnesDiffer) {
  EXPECT_EQ(make_password().size(), 24U);
  EXPECT_NE(make_password(), make_password());
}

struct NewPasswordCase {
  std::string_view name, password;
  bool is_good;
};

class NewPasswordTest : public testing::TestWithParam<NewPasswordCase> {};

TEST_P(NewPasswordTest, IsTakenOrRefused) {
  const std::array<std::string, 3> context = {"margarete", "acme-industries", ""};
  EXPECT_EQ(check_new_password(GetParam().password, context).has_value(), GetParam().is_good);
}

INSTANTIATE_TEST_SUITE_P(
    Choices, NewPasswordTest,
    testing::Values(NewPasswordCase{"plain", "correct horse battery", true},
                    NewPasswordCase{"digits_only", "8391047265", true},
                    NewPasswordCase{"short", "x7#Qz1a", false},
                    NewPasswordCase{"common", "password", false},
                    NewPasswordCase{"common_any_case", "PassWord", false},
                    NewPasswordCase{"common_with_tail", "Password123!", false},
                    NewPasswordCase{"common_inside_signs", "!!sunshine1", false},
                    NewPasswordCase{"common_digits", "1234567890", false},
                    NewPasswordCase{"common_word_in_a_phrase", "sunshine on leith", true},
                    NewPasswordCase{"login", "Margarete", false},
                    NewPasswordCase{"login_and_year", "margarete2026", false},
                    NewPasswordCase{"organisation", "acme-industries", false},
                    NewPasswordCase{"program", "gantry42", false},
                    NewPasswordCase{"spaces", "        ", true},
                    NewPasswordCase{"not_ascii", "пароль-который", true}),
    [](const auto& c) { return std::string(c.param.name); });

}  // namespace
}  // namespace gantry::access
