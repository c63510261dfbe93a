#include "access/secrets/sealed_text.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::access {
namespace {

constexpr std::string_view kPlace = "gantry|v1|destinations|apiKey|d1|7";
constexpr SealAlgorithm kXChaCha = SealAlgorithm::XChaCha20Poly1305;

Secret test_key() {
  return Secret::copy_of("0123456789abcdef0123456789abcdef");
}

SealHeader header_of(SealAlgorithm algorithm) {
  return {.kek = "k1", .data_key = 3, .algorithm = algorithm};
}

std::string seal(SealAlgorithm algorithm, std::string_view clear) {
  const auto sealed = make_sealed(header_of(algorithm), test_key(), kPlace, Secret::copy_of(clear));
  EXPECT_TRUE(sealed);
  return format_sealed(*sealed);
}

/// The clear text, or the error.
std::string open(std::string_view text, std::string_view place = kPlace) {
  const auto sealed = parse_sealed(text);
  if (!sealed) return "error: " + sealed.error().message;
  const auto clear = open_sealed(*sealed, test_key(), place);
  return clear ? std::string(clear->view()) : "error: " + clear.error().message;
}

constexpr std::string_view kNotOpened =
    "error: a sealed value does not open: it was changed, belongs elsewhere, or is of another key";

class AlgorithmTest : public testing::TestWithParam<SealAlgorithm> {};

TEST_P(AlgorithmTest, OpensWhatItSealed) {
  for (const std::string& clear : {std::string(), std::string("hunter2"), std::string("\0\xff", 2),
                                   std::string(kSecretBytesMax, 'x')})
    EXPECT_EQ(open(seal(GetParam(), clear)), clear);
}

TEST_P(AlgorithmTest, SealsTheSameDifferently) {
  EXPECT_NE(seal(GetParam(), "hunter2"), seal(GetParam(), "hunter2"));
}

TEST_P(AlgorithmTest, RefusesEveryFlippedBit) {
  const std::string text = seal(GetParam(), "hunter2");
  for (std::size_t i = 0; i < text.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      EXPECT_TRUE(open(changed).starts_with("error: ")) << changed;
    }
}

TEST_P(AlgorithmTest, RefusesEveryCutAndAddition) {
  const std::string text = seal(GetParam(), "hunter2");
  for (std::size_t i = 0; i < text.size(); ++i)
    EXPECT_TRUE(open(text.substr(0, i)).starts_with("error: ")) << i;
  EXPECT_TRUE(open(text + "A").starts_with("error: "));
  EXPECT_TRUE(open(text + "=").starts_with("error: "));
}

TEST_P(AlgorithmTest, RefusesAnotherPlaceAndAnotherKey) {
  const std::string text = seal(GetParam(), "hunter2");
  EXPECT_EQ(open(text, "gantry|v1|destinations|apiKey|d2|7"), kNotOpened);
  EXPECT_EQ(open(text, ""), kNotOpened);
  EXPECT_FALSE(open_sealed(*parse_sealed(text), Secret::random(kSealKeyBytes), kPlace));
}

TEST_P(AlgorithmTest, BindsWhatItsHeaderSays) {
  const auto sealed = parse_sealed(seal(GetParam(), "hunter2"));
  ASSERT_TRUE(sealed);
  SealedText other_kek = *sealed;
  other_kek.header.kek = "k2";
  EXPECT_EQ(open(format_sealed(other_kek)), kNotOpened);
  SealedText other_key = *sealed;
  other_key.header.data_key = 4;
  EXPECT_EQ(open(format_sealed(other_key)), kNotOpened);
}

INSTANTIATE_TEST_SUITE_P(Both, AlgorithmTest, testing::Values(kXChaCha, SealAlgorithm::Aes256Gcm),
                         [](const auto& each) {
                           return each.param == kXChaCha ? "XChaCha20Poly1305" : "Aes256Gcm";
                         });

struct KnownText {
  std::string_view name;
  std::string_view sealed;
};

class KnownTextTest : public testing::TestWithParam<KnownText> {};

// What some database has kept since version 1 must open for ever.
TEST_P(KnownTextTest, Opens) {
  EXPECT_EQ(open(GetParam().sealed), "hunter2");
}

INSTANTIATE_TEST_SUITE_P(
    Version1, KnownTextTest,
    testing::Values(
        KnownText{
            "xc20p",
            "gsec1.k1.3.xc20p.AAECAwQFBgcICQoLDA0ODxAREhMUFRYX.M17QKXpE4XpfN5tOqvCxnzA9cgdrajk"},
        KnownText{"a256gcm",
                  "gsec1.k1.3.a256gcm.AAECAwQFBgcICQoL.RZDVCLxq4KFU4Mwgy26xB9e8kgaY8_Q"}),
    [](const auto& each) { return std::string(each.param.name); });

struct BadText {
  std::string_view name;
  std::string_view text;
  std::string_view error = "this is no sealed value";
};

class BadTextTest : public testing::TestWithParam<BadText> {};

TEST_P(BadTextTest, IsRefused) {
  const auto sealed = parse_sealed(GetParam().text);
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().message, GetParam().error);
}

// 24 and 12 bytes of nonce; 16 of tag.
INSTANTIATE_TEST_SUITE_P(
    Parse, BadTextTest,
    testing::Values(
        BadText{"empty", ""}, BadText{"in_clear", "glc_eyJrIjoi"},
        BadText{"few_fields", "gsec1.k1.3.xc20p.AAAA"},
        BadText{"many_fields",
                "gsec1.k1.3.xc20p.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA."},
        BadText{"newer", "gsec2.k1.3.xc20p.AAAA.AAAA",
                "sealed by a newer gantry: version 2, this program knows version 1"},
        BadText{"no_version", "gsec.k1.3.xc20p.AAAA.AAAA"},
        BadText{"key_id",
                "gsec1.K1.3.xc20p.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA"},
        BadText{"leading_zero",
                "gsec1.k1.03.xc20p.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA"},
        BadText{"negative",
                "gsec1.k1.-3.xc20p.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA"},
        BadText{"huge_number",
                "gsec1.k1.9223372036854775808.xc20p."
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA"},
        BadText{"algorithm",
                "gsec1.k1.3.rot13.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA"},
        BadText{"short_nonce", "gsec1.k1.3.xc20p.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA"},
        BadText{"long_nonce",
                "gsec1.k1.3.a256gcm.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA"},
        BadText{"no_tag", "gsec1.k1.3.a256gcm.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAA"},
        BadText{"padded", "gsec1.k1.3.a256gcm.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA=="},
        BadText{"spare_bits", "gsec1.k1.3.a256gcm.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAB"},
        BadText{"ordinary_base64", "gsec1.k1.3.a256gcm.AAAAAAAAAAAAAA/+.AAAAAAAAAAAAAAAAAAAAAA"}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(SealedTextTest, RefusesWhatIsTooLarge) {
  const auto sealed =
      make_sealed(header_of(kXChaCha), test_key(), kPlace, Secret(kSecretBytesMax + 1));
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, Code::TooLarge);
  EXPECT_EQ(sealed.error().message, "a secret of 65537 bytes, the limit is 65536");
  EXPECT_FALSE(parse_sealed("gsec1.k1.3.a256gcm.AAAAAAAAAAAAAAAA." + std::string(200'000, 'A')));
}

TEST(SealedTextTest, KeyIdsAreShortAndPlain) {
  for (const std::string_view good : {"k1", "0", "env", "2030-01_a"}) EXPECT_TRUE(is_key_id(good));
  for (const std::string_view bad : {"", "K1", "-k", "_k", "k.1", "k|1", "ké"})
    EXPECT_FALSE(is_key_id(bad)) << bad;
  EXPECT_TRUE(is_key_id(std::string(32, 'k')));
  EXPECT_FALSE(is_key_id(std::string(33, 'k')));
}

RC_GTEST_PROP(SealedTextProperty, WhatIsSealedParsesFormatsAndOpens,
              (const std::string& clear, const std::string& place)) {
  const auto algorithm = *rc::gen::element(kXChaCha, SealAlgorithm::Aes256Gcm);
  const auto data_key = *rc::gen::inRange<std::int64_t>(0, INT64_MAX);
  const auto sealed = make_sealed({.kek = "k1", .data_key = data_key, .algorithm = algorithm},
                                  test_key(), place, Secret::copy_of(clear));
  RC_ASSERT(sealed.has_value());
  const auto parsed = parse_sealed(format_sealed(*sealed));
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == *sealed);
  const auto opened = open_sealed(*parsed, test_key(), place);
  RC_ASSERT(opened.has_value());
  RC_ASSERT(opened->view() == clear);
}

RC_GTEST_PROP(SealedTextProperty, OpensInNoOtherPlace,
              (const std::string& here, const std::string& there)) {
  RC_PRE(here != there);
  const auto algorithm = *rc::gen::element(kXChaCha, SealAlgorithm::Aes256Gcm);
  const auto sealed =
      make_sealed(header_of(algorithm), test_key(), here, Secret::copy_of("hunter2"));
  RC_ASSERT(sealed.has_value());
  RC_ASSERT(!open_sealed(*sealed, test_key(), there).has_value());
}

RC_GTEST_PROP(SealedTextProperty, AFlippedBitOfAnyByteIsRefused, (const std::string& clear)) {
  const auto algorithm = *rc::gen::element(kXChaCha, SealAlgorithm::Aes256Gcm);
  std::string text = seal(algorithm, clear);
  const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
  text[at] = static_cast<char>(text[at] ^ (1 << *rc::gen::inRange(0, 8)));
  RC_ASSERT(open(text).starts_with("error: "));
}

}  // namespace
}  // namespace gantry::access
