#include "access/credentials.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sodium.h>

namespace gantry::access {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string basic(std::string_view pair) {
  std::string text(sodium_base64_encoded_len(pair.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(pair.data()),
                    pair.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();
  return "Basic " + text;
}

/// "user|token", or "status reason".
std::string describe(const net::Request& request, bool accepts_token_scheme) {
  const auto parsed = parse_credentials(raw_credentials(request),
                                        {.accepts_token_scheme = accepts_token_scheme}, {});
  if (parsed) return parsed->user + "|" + parsed->token;
  return std::to_string(parsed.error().status) + " " + std::string(parsed.error().reason);
}

struct Case {
  std::string_view name;
  Fields headers;
  std::string expected;
  std::string query = {};
  bool is_influx = false;
};

class CredentialsTest : public testing::TestWithParam<Case> {};

TEST_P(CredentialsTest, PicksOneOrRefuses) {
  net::Request request;
  for (const auto& [name, value] : GetParam().headers) request.headers.add(name, value);
  request.raw_query = GetParam().query;
  EXPECT_EQ(describe(request, GetParam().is_influx), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, CredentialsTest,
    testing::Values(
        Case{"none", {}, "401 no_credentials"},
        Case{"basic", {{"Authorization", basic("1000000:glc_x")}}, "1000000|glc_x"},
        Case{"basic_splits_at_the_first_colon", {{"Authorization", basic("1:a:b")}}, "1|a:b"},
        Case{"basic_empty_user", {{"Authorization", basic(":glc_x")}}, "|glc_x"},
        Case{"basic_without_padding", {{"Authorization", "Basic MTpnbGNfeA"}}, "1|glc_x"},
        Case{"basic_without_colon",
             {{"Authorization", basic("glc_x")}},
             "401 malformed_credentials"},
        Case{"basic_without_token", {{"Authorization", basic("1:")}}, "401 malformed_credentials"},
        Case{"basic_not_base64", {{"Authorization", "Basic ???"}}, "401 malformed_credentials"},
        Case{"basic_pasted_newline", {{"Authorization", basic("1:glc_x\n")}}, "1|glc_x"},
        Case{"basic_control_character",
             {{"Authorization", basic("1:glc\x01_x")}},
             "401 malformed_credentials"},
        Case{"basic_oversize",
             {{"Authorization", basic("1:" + std::string(2048, 'a'))}},
             "401 malformed_credentials"},
        Case{"basic_huge",
             {{"Authorization", "Basic " + std::string(100'000, 'a')}},
             "401 malformed_credentials"},
        Case{"bearer", {{"Authorization", "Bearer glc_x"}}, "|glc_x"},
        Case{"bearer_pair", {{"Authorization", "Bearer 1000000:glc_x"}}, "1000000|glc_x"},
        Case{"bearer_two_blanks", {{"Authorization", "Bearer  glc_x"}}, "|glc_x"},
        Case{"bearer_lower_case", {{"authorization", "bearer glc_x"}}, "|glc_x"},
        Case{"bearer_alone", {{"Authorization", "Bearer"}}, "401 malformed_credentials"},
        Case{"empty_header", {{"Authorization", ""}}, "401 unknown_scheme"},
        Case{"unknown_scheme", {{"Authorization", "Digest x"}}, "401 unknown_scheme"},
        Case{"token_scheme_elsewhere", {{"Authorization", "Token glc_x"}}, "401 unknown_scheme"},
        Case{"token_scheme", {{"Authorization", "Token glc_x"}}, "|glc_x", "", true},
        Case{"token_scheme_pair", {{"Authorization", "Token 7:glc_x"}}, "7|glc_x", "", true},
        Case{"custom_header", {{"X-Gantry-Token", " glc_x "}}, "|glc_x"},
        Case{"custom_header_empty", {{"X-Gantry-Token", " "}}, "401 malformed_credentials"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Contradictions, CredentialsTest,
    testing::Values(Case{"two_authorizations",
                         {{"Authorization", "Bearer a"}, {"Authorization", "Bearer b"}},
                         "400 contradicting_credentials"},
                    Case{"twice_the_same",
                         {{"Authorization", "Bearer a"}, {"authorization", "Bearer a"}},
                         "|a"},
                    Case{"two_custom_headers",
                         {{"X-Gantry-Token", "a"}, {"X-Gantry-Token", "b"}},
                         "400 contradicting_credentials"},
                    Case{"both_headers_differ",
                         {{"Authorization", "Bearer a"}, {"X-Gantry-Token", "b"}},
                         "400 contradicting_credentials"},
                    Case{"both_headers_agree",
                         {{"Authorization", basic("1:a")}, {"X-Gantry-Token", "a"}},
                         "1|a"},
                    Case{"a_bad_authorization_is_final",
                         {{"Authorization", "Bearer"}, {"Cookie", "a=b"}},
                         "401 malformed_credentials"}),
    [](const auto& c) { return std::string(c.param.name); });

INSTANTIATE_TEST_SUITE_P(
    SecretsInTheUrl, CredentialsTest,
    testing::Values(Case{"influx_v1", {}, "401 secret_in_url", "db=x&u=1000000&p=glc_x", true},
                    Case{"token", {}, "401 secret_in_url", "token=glc_x"},
                    Case{"encoded_name", {}, "401 secret_in_url", "%74oken=glc_x"},
                    Case{"api_key", {}, "401 secret_in_url", "api_key=glc_x"},
                    Case{"other_parameters", {}, "401 no_credentials", "query=up&time=1"},
                    Case{"the_header_counts", {{"Authorization", "Bearer a"}}, "|a", "token=b"}),
    [](const auto& c) { return std::string(c.param.name); });

RC_GTEST_PROP(CredentialsProperty, AnyHeaderIsAnsweredWithoutCrashing,
              (const std::string& value, const std::string& query)) {
  net::Request request;
  request.headers.add("Authorization", value);
  static_cast<void>(describe(request, true));
  request.headers = {};
  request.headers.add("Authorization", "Basic " + value);
  static_cast<void>(describe(request, true));
  request.headers = {};
  request.raw_query = query;
  static_cast<void>(describe(request, true));
}

TEST(AccessErrorTest, ChallengesDependOnTheRoute) {
  const auto challenges = [](const AccessError& error) {
    std::vector<std::string> values;
    for (const auto& [name, value] : error.headers.fields())
      if (name == "WWW-Authenticate") values.push_back(value);
    return values;
  };
  EXPECT_EQ(challenges(no_credentials({.scope = Scope::MetricsRead})),
            (std::vector<std::string>{R"(Bearer realm="gantry")"}));
  EXPECT_EQ(challenges(no_credentials({.scope = Scope::MetricsWrite})),
            (std::vector<std::string>{R"(Bearer realm="gantry")",
                                      R"(Basic realm="gantry", charset="UTF-8")"}));
  EXPECT_EQ(challenges(no_credentials({.scope = Scope::MetricsWrite, .is_browser = true})).size(),
            1U);
  EXPECT_EQ(challenges(missing_scope(Scope::MetricsRead, false)),
            (std::vector<std::string>{
                R"(Bearer realm="gantry", error="insufficient_scope", scope="metrics:read")"}));
  EXPECT_EQ(missing_scope(Scope::MetricsRead, false).status, 403);
  EXPECT_EQ(missing_scope(Scope::MetricsRead, true).status, 401);
  EXPECT_EQ(challenges(bad_credentials("x", "y")).size(), 0U);
}

TEST(AccessErrorTest, IsNeverCached) {
  net::Headers headers;
  no_credentials({}).add_headers(headers);
  EXPECT_EQ(headers.find("Cache-Control"), "no-store");
  EXPECT_EQ(headers.find("X-Content-Type-Options"), "nosniff");
}

TEST(CredentialsBearerOnly, LooksAtNothingButBearer) {
  const auto ask = [](const Fields& headers) -> std::string {
    net::Request request;
    for (const auto& [name, value] : headers) request.headers.add(name, value);
    const auto parsed = parse_credentials(raw_credentials(request), {.bearer_only = true}, {});
    if (parsed) return parsed->user + "|" + parsed->token;
    return std::to_string(parsed.error().status) + " " + std::string(parsed.error().reason);
  };
  EXPECT_EQ(ask({{"Authorization", "Bearer cqm_1"}}), "|cqm_1");
  EXPECT_EQ(ask({{"Authorization", "Bearer  cqm_1"}}), "|cqm_1");
  EXPECT_EQ(ask({{"Authorization", basic("1:cqm_1")}}), "401 unknown_scheme");
  EXPECT_EQ(ask({{"Authorization", "Token cqm_1"}}), "401 unknown_scheme");
  EXPECT_EQ(ask({{"X-Gantry-Token", "cqm_1"}}), "401 no_credentials");
  EXPECT_EQ(ask({{"Cookie", "__Host-gantry_session=cqm_1"}}), "401 no_credentials");
  EXPECT_EQ(ask({{"Authorization", "Bearer cqm_1"}, {"X-Gantry-Token", "cqm_2"}}), "|cqm_1");
  EXPECT_EQ(ask({{"Authorization", "Bearer cqm_1"}, {"Authorization", "Bearer cqm_2"}}),
            "400 contradicting_credentials");
}

}  // namespace
}  // namespace gantry::access
