#include "access/authenticator.h"

#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "access/audit.h"
#include "access/label_policy.h"
#include "access/testing/directory_fixture.h"

namespace gantry::access {
namespace {

class AuthenticatorTest : public DirectoryFixture {
 protected:
  AuthenticatorTest() {
    org_ = add_organisation("main");
    stack_ = add_stack(org_, "main");
    second_ = add_stack(org_, "second");
    const OrgId other = add_organisation("other");
    foreign_ = add_stack(other, "foreign");
    const Realm stack{.type = Realm::Type::Stack, .identifier = stack_.value()};
    const Realm whole_org{.type = Realm::Type::Org, .identifier = org_.value()};
    write_policy_ = add_policy(org_, "write", {Scope::MetricsWrite}, {stack});
    token_id_ = add_token(org_, write_policy_, "w", "glc_write");
    add_token(org_, write_policy_, "e", "glc_expiring", kTestStart + DurationMs{1000});
    add_token(org_, add_policy(org_, "wide", {Scope::MetricsRead}, {whole_org}), "o", "glc_wide");
    // A realm that names a stack of another organisation opens nothing there.
    add_token(org_,
              add_policy(org_, "greedy", {Scope::MetricsRead},
                         {stack,
                          {.type = Realm::Type::Stack, .identifier = foreign_.value()},
                          {.type = Realm::Type::Org, .identifier = other.value()}}),
              "g", "glc_greedy");
  }

  /// "stack policy", or "status reason".
  std::string ask(std::string_view authorization, std::vector<std::string> scope_org_id = {}) {
    const auto principal = authenticator_.authenticate(
        {.authorization = {std::string(authorization)}, .scope_org_id = std::move(scope_org_id)},
        {}, {});
    if (!principal)
      return std::to_string(principal.error().status) + " " + std::string(principal.error().reason);
    return std::to_string(principal->stack.value()) + " " + principal->policy_name;
  }

  std::int64_t read_integer(std::string_view sql) {
    auto tx = db_->begin_read();
    auto select = tx->prepare(sql);
    EXPECT_TRUE(select && select->step().value_or(false));
    return select->is_null(0) ? -1 : select->integer(0);
  }

  std::string read_text(std::string_view sql) {
    auto tx = db_->begin_read();
    auto select = tx->prepare(sql);
    EXPECT_TRUE(select && select->step().value_or(false));
    return std::string(select->text(0));
  }

  void execute(std::string_view sql) {
    write([&](state::Transaction& tx) { return tx.execute(sql); });
  }

  core::MetricRegistry registry_;
  OrgId org_;
  StackId stack_;
  StackId second_;
  StackId foreign_;
  std::string write_policy_;
  std::string token_id_;
  Authenticator authenticator_{*directory_, hasher_, clock_, registry_, {}};
};

TEST_F(AuthenticatorTest, ATokenOfOneStackNeedsNoUserName) {
  EXPECT_EQ(ask("Bearer glc_write"), "1000000 write");
  EXPECT_EQ(ask("Bearer 1000000:glc_write"), "1000000 write");
}

/// The selectors that restrict a principal, "everything", or the status of the refusal.
std::string visible_to(const AccessResult<Principal>& principal) {
  if (!principal) return std::to_string(principal.error().status);
  if (principal->visibility.is_everything()) return "everything";
  std::string text;
  for (const LabelPolicy& policy : principal->visibility.policies()->policies())
    text += policy.text();
  return text;
}

TEST_F(AuthenticatorTest, TheRealmOfTheStackDecidesWhatIsVisible) {
  const auto realm = [](Realm::Type type, std::int64_t id,
                        std::optional<std::vector<std::string>> selectors) {
    return Realm{.type = type, .identifier = id, .label_policies = std::move(selectors)};
  };
  const auto visible = [&](std::string_view name, std::vector<Realm> realms, StackId stack) {
    const std::string secret = "glc_" + std::string(name);
    add_token(org_, add_policy(org_, name, {Scope::MetricsRead}, std::move(realms)), name, secret);
    return visible_to(authenticator_.authenticate(
        {.authorization = {fmt::format("Bearer {}:{}", stack.value(), secret)}}, {}, {}));
  };
  using enum Realm::Type;
  const std::vector<std::string> a{R"({ ns = "a" })"};
  EXPECT_EQ(visible("org", {realm(Org, org_.value(), a)}, second_), R"({ns="a"})");
  const std::vector<Realm> narrow = {realm(Org, org_.value(), {}), realm(Stack, stack_.value(), a)};
  EXPECT_EQ(visible("narrow", narrow, stack_), R"({ns="a"})");
  EXPECT_EQ(visible("narrow2", narrow, second_), "everything");
  const std::vector<Realm> wide = {realm(Stack, stack_.value(), {}), realm(Org, org_.value(), a)};
  EXPECT_EQ(visible("wide2", wide, stack_), "everything");
  EXPECT_EQ(visible("wide3", wide, second_), R"({ns="a"})");
  // What is said about another organisation says nothing about this one.
  EXPECT_EQ(visible("foreign",
                    {realm(Org, org_.value(), a), realm(Org, org_.value() + 1, {}),
                     realm(Stack, foreign_.value(), {})},
                    stack_),
            R"({ns="a"})");
}

TEST_F(AuthenticatorTest, LabelPoliciesThatCannotBeReadShowNothing) {
  const std::string policy =
      add_policy(org_, "restricted", {Scope::MetricsRead},
                 {{.type = Realm::Type::Stack,
                   .identifier = stack_.value(),
                   .label_policies = std::vector<std::string>{R"({ns="a"})"}}});
  add_token(org_, policy, "r", "glc_restricted");
  for (const std::string stored : {R"([])", R"(["{ns="])", R"(["{}"])", R"("{}")", R"([1])",
                                   R"(broken)", R"(["{ns="a"}","("])"}) {
    write([&](state::Transaction& tx) -> Result<void> {
      auto update = tx.prepare("UPDATE policy_realms SET label_policies = ? WHERE policy_id = ?");
      update->bind(stored).bind(policy);
      return update->run();
    });
    authenticator_.forget_all();
    EXPECT_EQ(visible_to(authenticator_.authenticate({.authorization = {"Bearer glc_restricted"}},
                                                     {}, {})),
              "")
        << stored;
  }
}

TEST_F(AuthenticatorTest, AHeaderNarrowsWhenThePolicyAcceptsIt) {
  const std::string policy =
      add_policy(org_, "relay", {Scope::MetricsRead},
                 {{.type = Realm::Type::Stack, .identifier = stack_.value()}});
  add_token(org_, policy, "r", "glc_relay");
  const auto ask_with = [&](std::string header) {
    return visible_to(authenticator_.authenticate(
        {.authorization = {"Bearer glc_relay"}, .label_policy = {std::move(header)}}, {}, {}));
  };
  EXPECT_EQ(ask_with(R"(1000000:{ns="a"})"), "everything");
  write([&](state::Transaction& tx) -> Result<void> {
    auto update = tx.prepare("UPDATE access_policies SET attributes = ? WHERE id = ?");
    update->bind(std::string_view(R"({"acceptLabelPolicyHeader":true})")).bind(policy);
    return update->run();
  });
  authenticator_.forget_all();
  EXPECT_EQ(ask_with(R"(1000000:{ns="a"})"), R"({ns="a"})");
  EXPECT_EQ(ask_with("garbage"), "400");
}

TEST_F(AuthenticatorTest, ThePrincipalSaysWhoItIs) {
  const auto principal =
      authenticator_.authenticate({.authorization = {"Bearer glc_write"}}, {}, {});
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->kind, PrincipalKind::Token);
  EXPECT_EQ(principal->policy_id, write_policy_);
  EXPECT_EQ(principal->token_id, token_id_);
  EXPECT_EQ(principal->org, org_);
  EXPECT_EQ(principal->scopes, ScopeSet{Scope::MetricsWrite});
}

TEST_F(AuthenticatorTest, TheUserNameMustBeAStackOfThePolicy) {
  EXPECT_EQ(ask("Bearer 1000001:glc_write"), "401 wrong_id");
  EXPECT_EQ(ask("Bearer 42:glc_write"), "401 wrong_id");
  EXPECT_EQ(ask("Bearer main:glc_write"), "401 wrong_id");
  EXPECT_EQ(ask("Bearer 1000000x:glc_write"), "401 wrong_id");
  EXPECT_EQ(ask("Bearer 99999999999:glc_write"), "401 wrong_id");
}

TEST_F(AuthenticatorTest, ATokenOfSeveralStacksMustSelectOne) {
  EXPECT_EQ(ask("Bearer glc_wide"), "400 ambiguous_stack");
  EXPECT_EQ(ask("Bearer 1000001:glc_wide"), "1000001 wide");
  EXPECT_EQ(ask("Bearer glc_wide", {"1000001"}), "1000001 wide");
  EXPECT_EQ(ask("Bearer 1000001:glc_wide", {"1000001"}), "1000001 wide");
}

TEST_F(AuthenticatorTest, ASelectedStackNeverWidens) {
  EXPECT_EQ(ask("Bearer glc_write", {"1000001"}), "401 wrong_stack");
  EXPECT_EQ(ask("Bearer 1000000:glc_wide", {"1000001"}), "401 wrong_stack");
  EXPECT_EQ(ask("Bearer glc_wide", {"1000000", "1000001"}), "401 wrong_stack");
  EXPECT_EQ(ask("Bearer glc_wide", {"1000000|1000001"}), "401 wrong_stack");
}

TEST_F(AuthenticatorTest, StacksOfAnotherOrganisationStayClosed) {
  EXPECT_EQ(ask("Bearer glc_greedy"), "1000000 greedy");
  EXPECT_EQ(ask("Bearer 1000002:glc_greedy"), "401 wrong_id");
  EXPECT_EQ(ask("Bearer 1000002:glc_wide"), "401 wrong_id");
}

TEST_F(AuthenticatorTest, UnknownTokensShareOneText) {
  std::string text;
  for (const std::string_view authorization :
       {"Bearer glc_nothing", "Bearer 42:glc_write", "Bearer cqm_0", "Bearer GLC_WRITE"}) {
    const auto refused =
        authenticator_.authenticate({.authorization = {std::string(authorization)}}, {}, {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "authentication error: invalid token");
    std::string headers;
    for (const auto& [name, value] : refused.error().headers.fields()) headers += name + value;
    if (text.empty()) text = headers;
    EXPECT_EQ(headers, text);
  }
}

TEST_F(AuthenticatorTest, AServiceAccountTokenIsExplained) {
  const auto refused = authenticator_.authenticate({.authorization = {"Bearer glsa_x_0"}}, {}, {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error()
                .headers.find("WWW-Authenticate")
                .find("service account tokens are not accepted"),
            std::string_view::npos);
}

TEST_F(AuthenticatorTest, ExpiryHoldsToTheMillisecondEvenWhenCached) {
  clock_.advance({999});
  EXPECT_EQ(ask("Bearer glc_expiring"), "1000000 write");
  clock_.advance({1});
  EXPECT_EQ(ask("Bearer glc_expiring"), "401 expired");
}

TEST_F(AuthenticatorTest, AnInactivePolicyVoidsItsTokens) {
  rows_->set_policy_status(write_policy_, "inactive");
  EXPECT_EQ(ask("Bearer glc_write"), "401 inactive_policy");
}

TEST_F(AuthenticatorTest, ARevokedTokenStopsAtOnceHereAndWithinTheCachesLifeElsewhere) {
  Authenticator elsewhere(*directory_, hasher_, clock_, registry_, {});
  EXPECT_TRUE(elsewhere.authenticate({.authorization = {"Bearer glc_write"}}, {}, {}));
  EXPECT_EQ(ask("Bearer glc_write"), "1000000 write");
  rows_->revoke_token(token_id_);
  authenticator_.forget_all();
  EXPECT_EQ(ask("Bearer glc_write"), "401 revoked");
  EXPECT_TRUE(elsewhere.authenticate({.authorization = {"Bearer glc_write"}}, {}, {}));
  clock_.advance({30'000});
  EXPECT_FALSE(elsewhere.authenticate({.authorization = {"Bearer glc_write"}}, {}, {}));
}

TEST_F(AuthenticatorTest, AKnownTokenCostsNoSecondQuery) {
  const core::Counter& misses = registry_.counter("gantry_access_cache_misses_total", "");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("Bearer glc_write"), "1000000 write");
  EXPECT_EQ(misses.value(), 1U);
  clock_.advance({30'000});
  EXPECT_EQ(ask("Bearer glc_write"), "1000000 write");
  EXPECT_EQ(misses.value(), 2U);
}

TEST_F(AuthenticatorTest, AnUnknownTokenCostsAQueryEveryFiveSeconds) {
  const core::Counter& misses = registry_.counter("gantry_access_cache_misses_total", "");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("Bearer glc_late"), "401 malformed_token");
  EXPECT_EQ(misses.value(), 1U);
  add_token(org_, write_policy_, "late", "glc_late");
  EXPECT_EQ(ask("Bearer glc_late"), "401 malformed_token");
  clock_.advance({5'000});
  EXPECT_EQ(ask("Bearer glc_late"), "1000000 write");
}

TEST_F(AuthenticatorTest, TokensOfAnOlderPepperStillCount) {
  const TokenHasher old(SecretKey{.peppers = {Pepper{.id = 1, .bytes = {1}}}});
  TestRows(*db_, old, clock_)
      .add_token({.org = org_, .policy_id = write_policy_, .name = "old", .secret = "glc_old"});
  EXPECT_EQ(ask("Bearer glc_old"), "1000000 write");
}

TEST_F(AuthenticatorTest, UseIsRecordedAtMostOnceAMinute) {
  constexpr std::string_view kFirst = "SELECT first_used_at_ms FROM tokens WHERE name = 'w'";
  constexpr std::string_view kLast = "SELECT last_used_at_ms FROM tokens WHERE name = 'w'";
  EXPECT_EQ(read_integer(kFirst), -1);
  ask("Bearer glc_write");
  ASSERT_TRUE(authenticator_.flush_usage(false));
  EXPECT_EQ(read_integer(kFirst), kTestStart.since_epoch);
  clock_.advance({10'000});
  ask("Bearer glc_write");
  ASSERT_TRUE(authenticator_.flush_usage(false));
  EXPECT_EQ(read_integer(kLast), kTestStart.since_epoch) << "too early to write again";
  clock_.advance({50'000});
  ASSERT_TRUE(authenticator_.flush_usage(false));
  EXPECT_EQ(read_integer(kLast), kTestStart.since_epoch + 10'000);
  ask("Bearer glc_write");
  ASSERT_TRUE(authenticator_.flush_usage(true));
  EXPECT_EQ(read_integer(kLast), kTestStart.since_epoch + 60'000);
  EXPECT_EQ(read_integer(kFirst), kTestStart.since_epoch);
}

TEST_F(AuthenticatorTest, ARefusedTokenIsNotUsed) {
  ask("Bearer 42:glc_write");
  ASSERT_TRUE(authenticator_.flush_usage(true));
  EXPECT_EQ(read_integer("SELECT count(*) FROM tokens WHERE last_used_at_ms IS NOT NULL"), 0);
}

TEST_F(AuthenticatorTest, ARefusedTokenLeavesItsReason) {
  const auto refused = authenticator_.authenticate(
      {.authorization = {"Bearer 42:glc_write"}, .client = {.ip = "10.2.3.4"}}, {}, {});
  ASSERT_FALSE(refused);
  ASSERT_TRUE(authenticator_.flush_usage(true));
  EXPECT_EQ(read_text("SELECT last_reject_reason FROM tokens WHERE name = 'w'"), "wrong_id");
  EXPECT_EQ(read_text("SELECT last_rejected_from FROM tokens WHERE name = 'w'"), "10.2.3.4");
  EXPECT_EQ(read_integer("SELECT last_rejected_at_ms FROM tokens WHERE name = 'w'"),
            kTestStart.since_epoch);
}

TEST_F(AuthenticatorTest, UseSaysFromWhereAndWhatFor) {
  ASSERT_TRUE(authenticator_.authenticate({.authorization = {"Bearer glc_write"},
                                           .client = {.ip = "10.2.3.4", .user_agent = "curl/8"},
                                           .route = "/api/v1/push"},
                                          {}, {}));
  ASSERT_TRUE(authenticator_.flush_usage(true));
  EXPECT_EQ(read_text("SELECT last_used_from FROM tokens WHERE name = 'w'"), "10.2.3.4");
  EXPECT_EQ(read_text("SELECT last_user_agent FROM tokens WHERE name = 'w'"), "curl/8");
  EXPECT_EQ(read_text("SELECT last_route FROM tokens WHERE name = 'w'"), "/api/v1/push");
}

TEST_F(AuthenticatorTest, OnlyAllowedSubnetsComeIn) {
  execute("UPDATE access_policies SET allowed_subnets = '[\"10.0.0.0/8\",\"::1/128\"]'");
  const auto from = [&](std::string ip) {
    const auto principal = authenticator_.authenticate(
        {.authorization = {"Bearer glc_write"}, .client = {.ip = std::move(ip)}}, {}, {});
    return principal ? "in" : std::to_string(principal.error().status);
  };
  EXPECT_EQ(from("10.9.8.7"), "in");
  EXPECT_EQ(from("::ffff:10.9.8.7"), "in");
  EXPECT_EQ(from("::1"), "in");
  EXPECT_EQ(from("11.0.0.1"), "403");
  EXPECT_EQ(from(""), "403");
  const auto refused = authenticator_.authenticate({.authorization = {"Bearer glc_write"}}, {}, {});
  EXPECT_EQ(refused.error().message, "authentication error: request origin not allowed");
}

TEST_F(AuthenticatorTest, ASubnetThatCannotBeReadLetsNobodyIn) {
  execute("UPDATE access_policies SET allowed_subnets = '[\"10.0.0.0\"]'");
  EXPECT_EQ(ask("Bearer glc_write"), "403 subnet");
}

TEST_F(AuthenticatorTest, AnAliasIsGoodForItsSignal) {
  execute(
      "INSERT INTO stack_aliases (id, stack_id, signal) VALUES (77, 1000000, 'metrics'), "
      "(78, 1000000, 'traces')");
  EXPECT_EQ(ask("Bearer 77:glc_write"), "1000000 write");
  EXPECT_EQ(ask("Bearer 78:glc_write"), "401 wrong_id");
  EXPECT_EQ(ask("Bearer 77:glc_write", {"1000000"}), "1000000 write");
  const auto traces = authenticator_.authenticate({.authorization = {"Bearer 78:glc_write"}}, {},
                                                  {.scope = Scope::TracesRead});
  ASSERT_TRUE(traces);
  EXPECT_EQ(traces->stack, stack_);
}

TEST_F(AuthenticatorTest, WithoutTheDatabaseWritersGoOnForAWhile) {
  EXPECT_EQ(ask("Bearer glc_write"), "1000000 write");
  execute("ALTER TABLE tokens RENAME TO away");
  clock_.advance({30'000});
  const auto as = [&](Scope scope) {
    const auto principal =
        authenticator_.authenticate({.authorization = {"Bearer glc_write"}}, {}, {.scope = scope});
    return principal ? 200 : principal.error().status;
  };
  EXPECT_EQ(as(Scope::MetricsWrite), 200);
  EXPECT_EQ(as(Scope::MetricsRead), 503);
  clock_.advance({269'999});
  EXPECT_EQ(as(Scope::MetricsWrite), 200);
  clock_.advance({1});
  EXPECT_EQ(as(Scope::MetricsWrite), 503);
}

TEST_F(AuthenticatorTest, TheControlPlaneSeesThePolicyAsItIs) {
  const auto principal =
      authenticator_.authenticate_control({.authorization = {"Bearer glc_wide"}}, {});
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->actor.type, Actor::Type::Token);
  EXPECT_EQ(principal->actor.name, "wide/o");
  EXPECT_EQ(principal->org, org_);
  EXPECT_EQ(principal->scopes, ScopeSet{Scope::MetricsRead});
  ASSERT_EQ(principal->realms.size(), 1U);
  EXPECT_EQ(principal->realms[0].type, Realm::Type::Org);
  EXPECT_FALSE(principal->role);
  EXPECT_FALSE(principal->is_super_admin);
  EXPECT_FALSE(authenticator_.authenticate_control({.authorization = {"Bearer 42:glc_wide"}}, {}));
  EXPECT_TRUE(
      authenticator_.authenticate_control({.authorization = {"Bearer 1000001:glc_wide"}}, {}));
}

TEST_F(AuthenticatorTest, WhatHappensToTokensIsAudited) {
  AuditLog audit(*db_, clock_, registry_, {});
  Authenticator audited(*directory_, hasher_, clock_, registry_, {.audit = &audit});
  const auto as = [&](std::string authorization, std::string ip) {
    static_cast<void>(audited.authenticate(
        {.authorization = {std::move(authorization)}, .client = {.ip = std::move(ip)}}, {}, {}));
  };
  as("Bearer glc_write", "10.0.0.1");
  as("Bearer glc_write", "10.0.0.1");
  as("Bearer glc_write", "10.0.0.2");
  as("Bearer glc_write", "10.0.0.1");
  as("Bearer 42:glc_write", "10.0.0.3");
  as("Bearer glc_nothing", "10.0.0.4");
  static_cast<void>(audited.authenticate({.has_secret_in_url = true}, {}, {}));
  ASSERT_TRUE(audit.flush());
  std::string seen;
  const auto records = audit.read({});
  ASSERT_TRUE(records);
  for (const AuditRecord& record : *records)
    seen += record.event.event + " " + record.event.actor.name + " " + record.event.client.ip +
            " " + record.event.reason + "\n";
  EXPECT_EQ(seen,
            "auth.secret_in_url   \n"
            "auth.token_rejected  10.0.0.4 malformed_token\n"
            "auth.token_rejected write/w 10.0.0.3 wrong_id\n"
            "auth.new_ip write/w 10.0.0.2 \n"
            "auth.first_use write/w 10.0.0.1 \n");
}

TEST_F(AuthenticatorTest, ManyThreadsAreAnsweredAlike) {
  std::vector<int> good(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < good.size(); ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) {
          const auto known =
              authenticator_.authenticate({.authorization = {"Bearer glc_write"}}, {}, {});
          const auto unknown =
              authenticator_.authenticate({.authorization = {"Bearer glc_no"}}, {}, {});
          if (known && !unknown) ++good[t];
          if (i % 10 == 0) authenticator_.forget_all();
          if (i % 20 == 0) static_cast<void>(authenticator_.flush_usage(true));
        }
      });
  }
  for (const int count : good) EXPECT_EQ(count, 50);
}

}  // namespace
}  // namespace gantry::access
