#include "access/secret_key.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace gantry::access {
namespace {

class SecretKeyTest : public testing::Test {
 protected:
  SecretKeyTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gantry-key-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }

  ~SecretKeyTest() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
};

TEST_F(SecretKeyTest, ReadsBackWhatItMade) {
  const auto made = create_secret_key(directory_ / "secret.key");
  ASSERT_TRUE(made) << made.error().message;
  const auto read = read_secret_key(directory_ / "secret.key");
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->peppers.size(), 1U);
  EXPECT_EQ(read->peppers[0].id, 1);
  EXPECT_EQ(read->peppers[0].bytes, made->peppers[0].bytes);
  struct stat status{};
  ASSERT_EQ(stat((directory_ / "secret.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(SecretKeyTest, AnExistingOneIsNeverReplaced) {
  const auto first = create_secret_key(directory_ / "secret.key");
  const auto second = create_secret_key(directory_ / "secret.key");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::AlreadyExists);
  EXPECT_EQ(read_secret_key(directory_ / "secret.key")->peppers[0].bytes, first->peppers[0].bytes);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "secret.key.tmp"));
}

TEST_F(SecretKeyTest, AMissingOneIsNotFound) {
  const auto read = read_secret_key(directory_ / "secret.key");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::NotFound);
}

TEST(SecretKeyFormatTest, SeveralPeppersKeepTheirOrder) {
  const SecretKey key{
      .peppers = {Pepper{.id = 2, .bytes = {0xab}}, Pepper{.id = 1, .bytes = {0xcd}}}};
  const auto parsed = parse_secret_key(format_secret_key(key));
  ASSERT_TRUE(parsed) << parsed.error().message;
  ASSERT_EQ(parsed->peppers.size(), 2U);
  EXPECT_EQ(parsed->peppers[0].id, 2);
  EXPECT_EQ(parsed->peppers[1].bytes[0], 0xcd);
}

TEST(SecretKeyFormatTest, AnyChangedByteIsNoticed) {
  const std::string text = format_secret_key({.peppers = {Pepper{.id = 1, .bytes = {7}}}});
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(parse_secret_key(changed)) << changed;
    EXPECT_FALSE(parse_secret_key(text.substr(0, i))) << i;
  }
  EXPECT_FALSE(parse_secret_key(text + "x"));
}

TEST(SecretKeyFormatTest, ANewerVersionIsNamed) {
  const auto parsed = parse_secret_key("gantry-secret-key 2\nwhatever\n");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Code::FailedPrecondition);
  EXPECT_EQ(parsed.error().message,
            "written by a newer gantry: secret key version 2, this program knows version 1");
}

}  // namespace
}  // namespace gantry::access
