#include "access/token.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sodium.h>

namespace gantry::access {
namespace {

constexpr TokenSubject kSubject{
    .org = OrgId(1), .policy_name = "write", .token_name = "first-write", .zone = "local"};

std::string encode(std::string_view payload) {
  std::string text(sodium_base64_encoded_len(payload.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(),
                    reinterpret_cast<const unsigned char*>(payload.data()), payload.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();
  return "glc_" + text;
}

TEST(TokenTest, SaysWhomItWasIssuedTo) {
  const auto hint = parse_access_token(issue_access_token(kSubject));
  ASSERT_TRUE(hint) << hint.error().message;
  EXPECT_EQ(hint->org, "1");
  EXPECT_EQ(hint->name, "write-first-write");
  EXPECT_EQ(hint->zone, "local");
}

TEST(TokenTest, TwoAreNeverTheSame) {
  std::set<std::string> tokens;
  for (int i = 0; i < 50; ++i) tokens.insert(issue_access_token(kSubject));
  EXPECT_EQ(tokens.size(), 50U);
}

TEST(TokenTest, NeedsNoQuotingAndFitsTheScannersPattern) {
  for (const std::size_t length : {1U, 2U, 3U, 64U, 255U}) {
    const std::string name(length, 'z');
    const std::string token = issue_access_token({.org = OrgId(9'000'000'000),
                                                  .policy_name = name,
                                                  .token_name = name,
                                                  .zone = "prod-us-east-0"});
    EXPECT_TRUE(std::ranges::all_of(token.substr(4), [](unsigned char c) { return isalnum(c); }))
        << token;
    EXPECT_GE(token.size(), 4U + 32U);
    EXPECT_LE(token.size(), 4U + 400U);
    EXPECT_TRUE(parse_access_token(token)) << token;
  }
}

TEST(TokenTest, AMistypedSecretIsRecognised) {
  // The secret's characters are somewhere in the middle of the base64: change one of the payload.
  const std::string payload =
      R"({"o":"1","n":"write-first-write","k":"0000000000000000000000000000000000000000001)";
  const std::string token = issue_access_token(kSubject);
  const auto hint = parse_access_token(encode(payload + R"(000000","m":{"r":"local"}})"));
  EXPECT_FALSE(hint);
  EXPECT_TRUE(parse_access_token(token));
}

TEST(TokenTest, ACutTokenIsRecognisedAsCut) {
  const std::string token = issue_access_token(kSubject);
  for (std::size_t length = 0; length < token.size(); ++length)
    EXPECT_FALSE(parse_access_token(token.substr(0, length)));
}

struct BadToken {
  std::string_view name;
  std::string token;
  std::string_view error;
};

TEST(TokenTest, BadOnesSayWhy) {
  const std::string secret(49, '0');
  for (const auto& [name, token, error] : {
           BadToken{"empty", "", "not an access policy token"},
           BadToken{"other kind", "cqm_00", "not an access policy token"},
           BadToken{"too long", "glc_" + std::string(1100, 'A'), "token is longer than 1024 bytes"},
           BadToken{"not base64", "glc_%%%%", "token is not base64"},
           BadToken{"not JSON", encode("abc"), "token payload is not JSON"},
           BadToken{"array", encode("[1]"), "token payload is not JSON"},
           BadToken{"duplicate key", encode(R"({"o":"1","o":"2","n":"x","k":")" + secret + "\"}"),
                    "token payload is not JSON"},
           BadToken{"wrong types", encode(R"({"o":1,"n":[],"k":{},"m":3})"),
                    "token checksum does not match: cut or mistyped"},
           BadToken{"wrong checksum", encode(R"({"o":"1","n":"x","k":")" + secret + "\"}"),
                    "token checksum does not match: cut or mistyped"},
       }) {
    const auto parsed = parse_access_token(token);
    ASSERT_FALSE(parsed) << name;
    EXPECT_EQ(parsed.error().message, error) << name;
  }
}

RC_GTEST_PROP(TokenProperty, ParsingNeverCrashes, (const std::string& bytes)) {
  static_cast<void>(parse_access_token(bytes));
  static_cast<void>(parse_access_token("glc_" + bytes));
  static_cast<void>(parse_access_token(encode(bytes)));
}

TEST(TokenHasherTest, DependsOnThePepper) {
  const TokenHasher one(SecretKey{.peppers = {Pepper{.id = 1, .bytes = {1}}}});
  const TokenHasher two(
      SecretKey{.peppers = {Pepper{.id = 2, .bytes = {2}}, Pepper{.id = 1, .bytes = {1}}}});
  EXPECT_NE(one.hash("token"), two.hash("token"));
  ASSERT_EQ(two.hashes("token").size(), 2U);
  EXPECT_EQ(two.hashes("token")[1], one.hash("token")) << "the previous pepper still counts";
  EXPECT_EQ(two.current_pepper_id(), 2);
}

TEST(TokenHasherTest, AnApiKeyHasTheHashOfItsDigestToo) {
  const TokenHasher hasher(
      SecretKey{.peppers = {Pepper{.id = 2, .bytes = {2}}, Pepper{.id = 1, .bytes = {1}}}});
  const std::string key = issue_legacy_key(OrgId(1), "old");
  Sha256 digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(key.data()), key.size());
  const std::vector<TokenHash> hashes = hasher.hashes(key);
  ASSERT_EQ(hashes.size(), 4U);
  EXPECT_EQ(hashes[0], hasher.hash(key));
  EXPECT_EQ(hashes[2], hasher.imported_hash(digest));
  EXPECT_NE(hashes[2], hashes[3]);
  EXPECT_NE(hashes[2], hasher.hash(std::string(digest.begin(), digest.end())));
}

TEST(TokenHasherTest, IsHmacSha256) {
  // RFC 4231, test case 2 has a key of 4 bytes; HMAC pads keys with zeros, so 32 bytes are the
  // same.
  const TokenHasher hasher(SecretKey{.peppers = {Pepper{.id = 1, .bytes = {'J', 'e', 'f', 'e'}}}});
  const TokenHash hash = hasher.hash("what do ya want for nothing?");
  std::string hex(2 * hash.size() + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
  EXPECT_STREQ(hex.c_str(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(TokenNameTest, IsStrict) {
  for (const std::string_view good : {"a", "0", "main", "prod-us-east-0"})
    EXPECT_TRUE(is_token_name(good));
  for (const std::string_view bad : {"", "-a", "A", "a b", "a_b", "ä", "a~b", "a?b"})
    EXPECT_FALSE(is_token_name(bad)) << bad;
  EXPECT_FALSE(is_token_name(std::string(256, 'a')));
}

TEST(TokenDisplayTest, ShowsPrefixAndEnd) {
  EXPECT_EQ(token_display_hint("cqm_abcdefgh"), "cqm_…efgh");
  EXPECT_EQ(token_display_hint("glc_abcdefgh"), "glc_…efgh") << "no token of ours";
  EXPECT_EQ(token_display_hint("ab"), "…ab");
}

TEST(TokenDisplayTest, ShowsCharactersOfTheSecretWhereAllTokensEndAlike) {
  for (const auto& [kind, issue] :
       {std::pair("glc", std::function([] { return issue_access_token(kSubject); })),
        std::pair("legacy", std::function([] { return issue_legacy_key(OrgId(1), "n"); }))}) {
    std::set<std::string> hints;
    for (int i = 0; i < 50; ++i) {
      const std::string token = issue();
      const std::string hint = token_display_hint(token);
      const std::string shown = hint.substr(hint.size() - 4);
      EXPECT_NE(token.find(shown), std::string::npos) << "it can be looked for";
      EXPECT_FALSE(token.ends_with(shown));
      hints.insert(hint);
    }
    // 4 characters are 3 random ones of base 62, or of base 16.
    EXPECT_GT(hints.size(), 40U) << kind;
  }
}

TEST(TokenDisplayTest, NeverShowsMoreThanFourCharacters) {
  for (const std::string_view payload :
       {R"({"k":"abcdef"})", R"({"k":"a"})", R"({"k":"","n":"x"})", R"({"k":"abc)", "{}", ""}) {
    const std::string hint = token_display_hint(encode(std::string(payload)));
    EXPECT_LE(hint.size(), std::string_view("glc_…abcd").size()) << payload;
  }
}

TEST(UuidTest, IsVersionFour) {
  const std::string uuid = make_uuid();
  ASSERT_EQ(uuid.size(), 36U);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string_view("89ab").find(uuid[19]), std::string_view::npos);
  EXPECT_NE(uuid, make_uuid());
}

TEST(SecretComparisonTest, ComparesAllBytes) {
  const std::array<unsigned char, 3> a{1, 2, 3};
  const std::array<unsigned char, 3> b{1, 2, 4};
  EXPECT_TRUE(is_equal_secret(a, a));
  EXPECT_FALSE(is_equal_secret(a, b));
  EXPECT_FALSE(is_equal_secret(a, std::span(a).first(2)));
}

}  // namespace
}  // namespace gantry::access
