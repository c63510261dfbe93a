#include "access/secrets/keyring.h"

#include <string>

#include <gtest/gtest.h>

#include "access/secret_key.h"

namespace gantry::access {
namespace {

// Of 32 bytes: zeros, and zeros that end in one.
#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define ONE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="

TEST(KeyringTest, ReadsActiveAndOlderKeys) {
  const auto keyring =
      Keyring::parse(R"({"active":"k2","keys":{"k1":")" ZEROS R"(","k2":")" ONE R"("}})");
  ASSERT_TRUE(keyring) << keyring.error().message;
  EXPECT_EQ(keyring->active().id, "k2");
  EXPECT_EQ(keyring->active().bytes.view(), std::string(31, '\0') + '\1');
  ASSERT_NE(keyring->find("k1"), nullptr);
  EXPECT_EQ(keyring->find("k1")->bytes.view(), std::string(32, '\0'));
  EXPECT_EQ(keyring->find("k3"), nullptr);
  EXPECT_EQ(keyring->format().view(),
            R"({"active":"k2","keys":{"k1":")" ZEROS R"(","k2":")" ONE "\"}}\n");
}

TEST(KeyringTest, ReadsBackWhatItFormats) {
  const Keyring grown = Keyring::make("k1").with_new_key("k2").with_new_key("k10");
  const auto again = Keyring::parse(grown.format().view());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->active().id, "k10");
  ASSERT_EQ(again->keys().size(), 3U);
  for (const KeyringKey& key : grown.keys())
    EXPECT_EQ(again->find(key.id)->bytes.view(), key.bytes.view()) << key.id;
}

TEST(KeyringTest, FreshKeysDiffer) {
  const Keyring one = Keyring::make("k1");
  EXPECT_NE(one.active().bytes.view(), Keyring::make("k1").active().bytes.view());
  const Keyring grown = one.with_new_key("k2");
  EXPECT_EQ(grown.find("k1")->bytes.view(), one.active().bytes.view());
  EXPECT_NE(grown.active().bytes.view(), one.active().bytes.view());
}

TEST(KeyringTest, ReadsAsManyKeysAsItTakes) {
  Keyring keyring = Keyring::make("k0");
  for (std::size_t i = 1; i < kKeyringKeysMax; ++i)
    keyring = keyring.with_new_key("a-key-with-a-long-name-" + std::to_string(i));
  EXPECT_TRUE(Keyring::parse(keyring.format().view()));
  const auto more = Keyring::parse(keyring.with_new_key("more").format().view());
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "more than 100 keys");
}

TEST(KeyringTest, TakesOneKeyByItself) {
  const auto keyring = Keyring::of_one_key(ONE);
  ASSERT_TRUE(keyring);
  EXPECT_EQ(keyring->active().id, "env");
  const auto bad = Keyring::of_one_key("hunter2");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "not the base64 of 32 bytes");
}

struct BadKeyring {
  std::string_view name;
  std::string_view text;
  std::string_view error;
};

class BadKeyringTest : public testing::TestWithParam<BadKeyring> {};

TEST_P(BadKeyringTest, IsRefusedWithWhatIsWrong) {
  ASSERT_TRUE(prepare_cryptography());
  const auto keyring = Keyring::parse(GetParam().text);
  ASSERT_FALSE(keyring);
  EXPECT_EQ(keyring.error().code, Code::InvalidArgument);
  EXPECT_EQ(keyring.error().message, GetParam().error);
}

constexpr std::string_view kNoActive = "\"active\" is not the id of a key";

INSTANTIATE_TEST_SUITE_P(
    Parse, BadKeyringTest,
    testing::Values(
        BadKeyring{"empty", "", "not a JSON object"},
        BadKeyring{"array", "[1]", "not a JSON object"},
        BadKeyring{"no_active", R"({"keys":{"k1":")" ZEROS R"("}})", kNoActive},
        BadKeyring{"active_number", R"({"active":1,"keys":{"k1":")" ZEROS R"("}})", kNoActive},
        BadKeyring{"active_unknown", R"({"active":"k2","keys":{"k1":")" ZEROS R"("}})", kNoActive},
        BadKeyring{"no_keys", R"({"active":"k1"})", "\"keys\" is not an object with keys"},
        BadKeyring{"keys_empty", R"({"active":"k1","keys":{}})",
                   "\"keys\" is not an object with keys"},
        BadKeyring{"keys_array", R"({"active":"k1","keys":["k1"]})",
                   "\"keys\" is not an object with keys"},
        BadKeyring{"short_key", R"({"active":"k1","keys":{"k1":"AAAA"}})",
                   "key \"k1\" is not the base64 of 32 bytes"},
        BadKeyring{"long_key", R"({"active":"k1","keys":{"k1":"AAAA)" ZEROS R"("}})",
                   "key \"k1\" is not the base64 of 32 bytes"},
        BadKeyring{"key_number", R"({"active":"k1","keys":{"k1":32}})",
                   "key \"k1\" is not the base64 of 32 bytes"},
        BadKeyring{"key_nested", R"({"active":"k1","keys":{"k1":{"k":"v"}}})",
                   "key \"k1\" is not the base64 of 32 bytes"},
        BadKeyring{"bad_id", R"({"active":"K.1","keys":{"K.1":")" ZEROS R"("}})",
                   "the id of a key is not 1 to 32 of a-z, 0-9, - and _, beginning with a-z0-9"},
        BadKeyring{"twice", R"({"active":"k1","keys":{"k1":")" ZEROS R"(","k1":")" ONE R"("}})",
                   "a member that comes twice"},
        BadKeyring{"other_member", R"({"active":"k1","keys":{"k1":")" ZEROS R"("},"hmac":1})",
                   "a member other than \"active\" and \"keys\""}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(KeyringTest, ALargeTextIsRefusedUnread) {
  const auto keyring = Keyring::parse(std::string(65 * 1024, ' '));
  ASSERT_FALSE(keyring);
  EXPECT_EQ(keyring.error().message, "larger than 64 KiB");
}

}  // namespace
}  // namespace gantry::access
