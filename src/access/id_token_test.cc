#include "access/id_token.h"

#include <array>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sodium.h>

#include "access/oidc_flow_internal.h"
#include "access/oidc_provider.h"
#include "access/oidc_roles.h"
#include "access/secret_key.h"

namespace gantry::access {
namespace {

using nlohmann::json;

constexpr TimestampMs kNow{1'700'000'000'000};
constexpr std::int64_t kNowSeconds = kNow.since_epoch / 1000;

std::string as_text(std::span<const unsigned char> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Signs as a provider does, with Ed25519.
class IdTokenTest : public testing::Test {
 protected:
  IdTokenTest() {
    EXPECT_TRUE(prepare_cryptography());
    crypto_sign_keypair(public_.data(), secret_.data());
    keys_ = *JsonWebKeys::parse(json{{"keys", {key("k1")}}}.dump());
  }

  json key(std::string_view id) const {
    return {
        {"kty", "OKP"}, {"crv", "Ed25519"}, {"kid", id}, {"x", encode_base64url(as_text(public_))}};
  }

  std::string sign(const json& claims, json header = {{"alg", "EdDSA"}, {"kid", "k1"}}) const {
    const std::string text =
        encode_base64url(header.dump()) + "." + encode_base64url(claims.dump());
    std::array<unsigned char, crypto_sign_BYTES> signature{};
    crypto_sign_detached(signature.data(), nullptr,
                         reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                         secret_.data());
    return text + "." + encode_base64url(as_text(signature));
  }

  static json good_claims() {
    return {{"iss", "https://idp.example"}, {"sub", "s-1"},       {"aud", "gantry"},
            {"exp", kNowSeconds + 300},     {"iat", kNowSeconds}, {"nonce", "n-1"}};
  }

  /// "" when it verifies, else the error's text.
  std::string refusal(const std::string& token,
                      std::optional<std::int64_t> max_age = std::nullopt) const {
    const auto verified = verify_id_token(token, *keys_,
                                          {.issuer = "https://idp.example",
                                           .client_id = "gantry",
                                           .nonce = "n-1",
                                           .access_token = "at",
                                           .max_age_seconds = max_age,
                                           .now = kNow});
    return verified ? "" : verified.error().message;
  }

  /// Of the good claims with one changed.
  std::string refusal_with(std::string_view name, const json& value) const {
    json claims = good_claims();
    claims[std::string(name)] = value;
    return refusal(sign(claims));
  }

  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> public_{};
  std::array<unsigned char, crypto_sign_SECRETKEYBYTES> secret_{};
  std::shared_ptr<const JsonWebKeys> keys_;
};

TEST_F(IdTokenTest, SaysWhoItIs) {
  json claims = good_claims();
  claims.update({{"email", "o@example.com"}, {"email_verified", true}, {"sid", "x"}});
  const auto token = verify_id_token(
      sign(claims), *keys_,
      {.issuer = "https://idp.example", .client_id = "gantry", .nonce = "n-1", .now = kNow});
  ASSERT_TRUE(token) << token.error().message;
  EXPECT_EQ(token->subject, "s-1");
  EXPECT_EQ(token->session, "x");
  EXPECT_EQ(token->email, "o@example.com");
  EXPECT_TRUE(token->is_email_verified);
}

TEST_F(IdTokenTest, TimesHaveAMinuteOfLeeway) {
  EXPECT_EQ(refusal_with("exp", kNowSeconds - 59), "");
  EXPECT_NE(refusal_with("exp", kNowSeconds - 60), "");
  EXPECT_EQ(refusal_with("iat", kNowSeconds + 60), "");
  EXPECT_NE(refusal_with("iat", kNowSeconds + 61), "");
  EXPECT_EQ(refusal_with("iat", kNowSeconds - 660), "");
  EXPECT_NE(refusal_with("iat", kNowSeconds - 661), "");
  EXPECT_EQ(refusal_with("nbf", kNowSeconds + 60), "");
  EXPECT_NE(refusal_with("nbf", kNowSeconds + 61), "");
  EXPECT_NE(refusal_with("nbf", "soon"), "");
  EXPECT_NE(refusal_with("exp", "9999999999"), "");
  EXPECT_NE(refusal_with("exp", 1e300), "");
}

TEST_F(IdTokenTest, AudiencesMustBeOurs) {
  EXPECT_EQ(refusal_with("aud", json::array({"gantry"})), "");
  EXPECT_NE(refusal_with("aud", json::array({"gantry", "other"})), "") << "whose is it?";
  EXPECT_NE(refusal_with("aud", json::array()), "");
  EXPECT_NE(refusal_with("aud", 7), "");
  EXPECT_NE(refusal_with("azp", "other"), "");
  json both = good_claims();
  both.update({{"aud", {"gantry", "other"}}, {"azp", "gantry"}});
  EXPECT_EQ(refusal(sign(both)), "");
}

TEST_F(IdTokenTest, MaxAgeNeedsAuthTime) {
  json claims = good_claims();
  EXPECT_NE(refusal(sign(claims), 0), "");
  claims["auth_time"] = kNowSeconds - 61;
  EXPECT_NE(refusal(sign(claims), 0), "");
  claims["auth_time"] = kNowSeconds;
  EXPECT_EQ(refusal(sign(claims), 0), "");
}

TEST_F(IdTokenTest, AccessTokenHashIsChecked) {
  std::array<unsigned char, crypto_hash_sha512_BYTES> hash{};
  crypto_hash_sha512(hash.data(), reinterpret_cast<const unsigned char*>("at"), 2);
  EXPECT_EQ(refusal_with("at_hash", encode_base64url(as_text(std::span(hash).first(32)))), "");
  EXPECT_NE(refusal_with("at_hash", encode_base64url(as_text(std::span(hash).last(32)))), "");
  EXPECT_NE(refusal_with("at_hash", nullptr), "");
}

TEST_F(IdTokenTest, SignaturesCoverEverything) {
  const std::string token = sign(good_claims());
  EXPECT_EQ(refusal(token), "");
  for (const std::size_t at : {std::size_t{5}, token.find('.') + 5, token.rfind('.') + 5}) {
    std::string changed = token;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    EXPECT_NE(refusal(changed), "") << at;
  }
}

TEST_F(IdTokenTest, HeadersChooseNothingElse) {
  for (const json& header :
       {json{{"alg", "none"}}, json{{"alg", "HS256"}, {"kid", "k1"}},
        json{{"alg", "RS256"}, {"kid", "k1"}}, json{{"alg", "EdDSA"}, {"kid", "k2"}},
        json{{"alg", "EdDSA"}, {"kid", "k1"}, {"crit", {"exp"}}},
        json{{"alg", "EdDSA"}, {"kid", "k1"}, {"typ", "logout+jwt"}}, json{{"kid", "k1"}}})
    EXPECT_NE(refusal(sign(good_claims(), header)), "") << header;
  EXPECT_EQ(refusal(sign(good_claims(), {{"alg", "EdDSA"}})), "") << "the only key of its kind";
  const auto two = JsonWebKeys::parse(json{{"keys", {key("k1"), key("k2")}}}.dump());
  EXPECT_FALSE((*two)->has_key_for({.algorithm = SignatureAlgorithm::EdDsa}));
}

TEST_F(IdTokenTest, KeysThatCannotBeUsedAreLeftOut) {
  json encryption = key("e");
  encryption["use"] = "enc";
  const json small = {{"kty", "RSA"}, {"n", std::string(171, 'A')}, {"e", "AQAB"}};
  const json secret = {{"kty", "oct"}, {"k", "c2VjcmV0"}};
  const auto keys = JsonWebKeys::parse(
      json{{"keys", {encryption, small, secret, 7, nullptr, {{"kty", "EC"}}, key("k1")}}}.dump());
  ASSERT_TRUE(keys);
  EXPECT_EQ((*keys)->size(), 1U);
  EXPECT_FALSE(JsonWebKeys::parse("[]"));
  EXPECT_FALSE(JsonWebKeys::parse("{"));
}

TEST_F(IdTokenTest, MalformedTokensAreRefused) {
  for (const std::string_view token : {"", ".", "..", "a.b", "a.b.c.d", "!!.!!.!!", "e30.e30."})
    EXPECT_FALSE(parse_token_header(token)) << token;
  EXPECT_FALSE(parse_token_header(std::string(20'000, 'a')));
  const std::string repeated = encode_base64url(R"({"alg":"EdDSA","alg":"none"})") + ".e30.AA";
  EXPECT_FALSE(parse_token_header(repeated)) << "two readings";
}

TEST_F(IdTokenTest, LogoutTokens) {
  json claims = good_claims();
  claims.erase("nonce");
  claims["jti"] = "j1";
  claims["events"] = {{"http://schemas.openid.net/event/backchannel-logout", json::object()}};
  const json header = {{"alg", "EdDSA"}, {"kid", "k1"}, {"typ", "logout+jwt"}};
  const auto verify = [&](const json& some, const json& some_header) {
    return verify_logout_token(sign(some, some_header), *keys_, "https://idp.example", "gantry",
                               kNow)
        .has_value();
  };
  EXPECT_TRUE(verify(claims, header));
  EXPECT_FALSE(verify(claims, {{"alg", "EdDSA"}, {"kid", "k1"}}));
  for (const std::string name : {"jti", "events", "sub", "iss", "aud", "exp", "iat"}) {
    json without = claims;
    without.erase(name);
    EXPECT_FALSE(verify(without, header)) << name;
  }
  claims["nonce"] = "n";
  EXPECT_FALSE(verify(claims, header));
}

TEST(GroupsTest, AreFoundByPointer) {
  const std::string claims = R"({"groups":["a","b",7],"one":"c","realm":{"roles":["d"]},
    "_claim_names":{"more":"src1"}})";
  EXPECT_EQ(*read_groups(claims, "/groups"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(*read_groups(claims, "/one"), std::vector<std::string>{"c"});
  EXPECT_EQ(*read_groups(claims, "/realm/roles"), std::vector<std::string>{"d"});
  EXPECT_TRUE(read_groups(claims, "/none")->empty());
  EXPECT_EQ(read_groups(claims, "/more").error().code, Code::FailedPrecondition);
  EXPECT_FALSE(read_groups(claims, "groups"));
  EXPECT_FALSE(read_groups(claims, ""));
}

TEST(GroupsTest, RulesNameOrganisationAndRole) {
  const auto rule = parse_group_rule("cn=ops,dc=x:y=main:admin");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->group, "cn=ops,dc=x:y");
  EXPECT_EQ(rule->organisation, "main");
  EXPECT_EQ(rule->role, Role::Admin);
  for (const std::string_view bad :
       {"", "a", "a=main", "a=main:", "a=main:root", "=main:viewer", "a=:viewer", "a=Main:viewer"})
    EXPECT_FALSE(parse_group_rule(bad)) << bad;
}

TEST(GroupsTest, TheHighestRoleOfEachOrganisationCounts) {
  const std::vector<GroupRule> rules = {{"a", "main", Role::Viewer},
                                        {"b", "main", Role::Admin},
                                        {"a", "other", Role::Editor},
                                        {"*", "open", Role::Viewer}};
  const auto matched = match_group_rules(rules, std::vector<std::string>{"a", "b"});
  ASSERT_EQ(matched.size(), 3U);
  EXPECT_EQ(matched[0].role, Role::Admin);
  EXPECT_EQ(match_group_rules(rules, {}).size(), 1U);
}

TEST(OidcFlowTest, IsSealed) {
  ASSERT_TRUE(prepare_cryptography());
  const TokenHasher hasher(SecretKey{.peppers = {Pepper{.id = 1, .bytes = {1}}}});
  const TokenHasher rotated(
      SecretKey{.peppers = {Pepper{.id = 2, .bytes = {2}}, Pepper{.id = 1, .bytes = {1}}}});
  const OidcFlow flow{.purpose = OidcPurpose::Link,
                      .provider = "sso",
                      .state = "s",
                      .nonce = "n",
                      .verifier = "v",
                      .return_to = "/x",
                      .family_id = "f",
                      .expires_at_ms = kNow.since_epoch + 1};
  const std::string sealed = seal_flow(flow, hasher);
  const auto opened = open_flow(sealed, rotated, kNow);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->purpose, OidcPurpose::Link);
  EXPECT_EQ(opened->verifier, "v");
  EXPECT_EQ(opened->family_id, "f");
  EXPECT_FALSE(open_flow(sealed, hasher, kNow + DurationMs{1})) << "too late";
  EXPECT_FALSE(open_flow(seal_flow(flow, rotated), hasher, kNow)) << "another key";
  EXPECT_FALSE(open_flow(sealed.substr(0, sealed.size() - 4) + "AAAA", hasher, kNow));
  EXPECT_FALSE(open_flow("", hasher, kNow));
}

TEST(OidcFlowTest, ChallengesAreThoseOfRfc7636) {
  EXPECT_EQ(code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

TEST(OidcMetadataTest, MustBeOfTheIssuer) {
  json document = {{"issuer", "https://idp.example"},
                   {"authorization_endpoint", "https://idp.example/a"},
                   {"token_endpoint", "https://idp.example/t"},
                   {"jwks_uri", "https://idp.example/k"}};
  EXPECT_TRUE(parse_oidc_metadata(document.dump(), "https://idp.example"));
  EXPECT_FALSE(parse_oidc_metadata(document.dump(), "https://idp.example/"));
  document["token_endpoint"] = "http://idp.example/t";
  EXPECT_FALSE(parse_oidc_metadata(document.dump(), "https://idp.example"));
  document.erase("token_endpoint");
  EXPECT_FALSE(parse_oidc_metadata(document.dump(), "https://idp.example"));
  EXPECT_FALSE(parse_oidc_metadata("<html>", "https://idp.example"));
}

TEST(OidcMetadataTest, KeysAreKeptWithinBounds) {
  EXPECT_EQ(keys_lifetime("").count, 300'000);
  EXPECT_EQ(keys_lifetime("max-age=0").count, 300'000);
  EXPECT_EQ(keys_lifetime("public, max-age=3600").count, 3'600'000);
  EXPECT_EQ(keys_lifetime("max-age=999999999").count, 86'400'000);
}

TEST(OidcProviderTest, KeysSurviveAnOutageAndUnknownOnesAreAskedForOnceAMinute) {
  ASSERT_TRUE(prepare_cryptography());
  ManualClock clock{kNow};
  int key_requests = 0;
  bool is_down = false;
  const auto fetch = [&](const net::EgressRequest& request) -> Result<net::EgressResponse> {
    if (is_down) return fail(Code::Unavailable, "down");
    if (request.url.ends_with("/k")) {
      ++key_requests;
      return net::EgressResponse{
          .status = 200,
          .body = R"({"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":")" +
                  std::string(43, 'A') + R"("}]})"};
    }
    return net::EgressResponse{.status = 200,
                               .body = json{{"issuer", "https://idp.example"},
                                            {"authorization_endpoint", "https://idp.example/a"},
                                            {"token_endpoint", "https://idp.example/t"},
                                            {"jwks_uri", "https://idp.example/k"}}
                                           .dump()};
  };
  OidcProvider provider({.issuer = "https://idp.example"}, fetch, clock);
  const auto token = [](std::string_view kid) {
    return encode_base64url(json{{"alg", "EdDSA"}, {"kid", kid}}.dump()) + ".e30.AA";
  };
  ASSERT_TRUE(provider.keys_for(token("k1")));
  ASSERT_TRUE(provider.keys_for(token("k1")));
  EXPECT_EQ(key_requests, 1);
  ASSERT_TRUE(provider.keys_for(token("k2")));
  EXPECT_EQ(key_requests, 1) << "asked within the minute";
  clock.advance({60'000});
  ASSERT_TRUE(provider.keys_for(token("k2")));
  ASSERT_TRUE(provider.keys_for(token("k3")));
  EXPECT_EQ(key_requests, 2);
  is_down = true;
  clock.advance({24 * 3600 * 1000});
  const auto kept = provider.keys_for(token("k1"));
  ASSERT_TRUE(kept);
  EXPECT_TRUE((*kept)->has_key_for({.algorithm = SignatureAlgorithm::EdDsa, .key_id = "k1"}));
}

TEST(OidcProviderTest, ASlowProviderTakesUpAFewThreadsOnly) {
  ManualClock clock{kNow};
  std::atomic<int> waiting = 0;
  std::atomic<bool> is_over = false;
  const auto fetch = [&](const net::EgressRequest&) -> Result<net::EgressResponse> {
    ++waiting;
    is_over.wait(false);
    return fail(Code::DeadlineExceeded, "slow");
  };
  OidcProvider provider({.issuer = "https://idp.example"}, fetch, clock);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { EXPECT_FALSE(provider.metadata()); });
  while (waiting < 8) std::this_thread::yield();
  const auto refused = provider.metadata();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::Unavailable);
  is_over = true;
  is_over.notify_all();
  threads.clear();
  EXPECT_EQ(provider.metadata().error().code, Code::DeadlineExceeded) << "there is room again";
}

}  // namespace
}  // namespace gantry::access
