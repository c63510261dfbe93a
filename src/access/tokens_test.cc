#include "access/tokens.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "access/idempotency.h"
#include "access/testing/control_fixture.h"

namespace gantry::access {
namespace {

constexpr DurationMs kDay{std::int64_t{24} * 3600 * 1000};

DurationMs days(std::int64_t count) {
  return {count * kDay.count};
}

class TokensTest : public ControlFixture {
 protected:
  TokensTest() : policy_(make_policy(draft("grafana"))) {}

  ControlResult<Token> find(const std::string& id, Revoked revoked = Revoked::Hidden) {
    return read(
        [&](state::Transaction& tx) { return read_token(org_, tx, id, clock_.now(), revoked); });
  }

  std::string names(const TokenFilter& filter) {
    const auto tokens = read(
        [&](state::Transaction& tx) { return list_tokens(org_, tx, filter, {}, clock_.now()); });
    EXPECT_TRUE(tokens);
    std::string text;
    for (const Token& token : *tokens) text += (text.empty() ? "" : " ") + token.name;
    return text;
  }

  ControlResult<Token> set_expiry(const std::string& id, std::optional<TimestampMs> expires_at) {
    return change(admin(), [&](ControlChange& change) {
      return update_token(org_, change, id, {.display_name = {}, .expires_at = {expires_at}});
    });
  }

  ControlResult<IssuedToken> bearer(const ControlPrincipal& who, std::string_view name) {
    return change(who, [&](ControlChange& change) {
      return create_bearer_token(org_, change, {.stack = "main", .name = std::string(name)});
    });
  }

  Policy policy_;
};

TEST_F(TokensTest, ATokenOpensWhatItsPolicySays) {
  const IssuedToken issued = make_token(policy_, "prod");
  EXPECT_TRUE(parse_access_token(issued.secret));
  const auto grant = directory_->find_grant(hasher_.hashes(issued.secret));
  ASSERT_TRUE(grant && *grant);
  EXPECT_EQ((*grant)->token_id, issued.token.id);
  EXPECT_TRUE((*grant)->scopes.contains(Scope::MetricsRead));
  EXPECT_EQ(issued.token.created_by, "gantry");
  EXPECT_TRUE(issued.token.hint.starts_with("glc_"));
  EXPECT_TRUE(issued.secret.contains(issued.token.hint.substr(issued.token.hint.size() - 4)));
}

TEST_F(TokensTest, NamesAreTakenUntilRevoked) {
  const IssuedToken first = make_token(policy_, "prod");
  const auto again = change(admin(), [&](ControlChange& change) {
    return create_token(org_, change, {.policy_id = policy_.id, .name = "prod"});
  });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::AlreadyExists);
  ASSERT_TRUE(change(
      admin(), [&](ControlChange& change) { return revoke_token(org_, change, first.token.id); }));
  EXPECT_NE(make_token(policy_, "prod").token.id, first.token.id);
}

TEST_F(TokensTest, RevokedTokensAreGoneButOnRecord) {
  const IssuedToken issued = make_token(policy_, "prod");
  ASSERT_TRUE(change(
      admin(), [&](ControlChange& change) { return revoke_token(org_, change, issued.token.id); }));
  EXPECT_FALSE(find(issued.token.id));
  const auto shown = find(issued.token.id, Revoked::Shown);
  ASSERT_TRUE(shown);
  EXPECT_EQ(token_status(*shown, clock_.now()), "revoked");
  EXPECT_EQ(shown->revoked_by, "gantry");
  EXPECT_EQ(names({}), "");
  EXPECT_EQ(names({.revoked = Revoked::Shown}), "prod");
  const auto grant = directory_->find_grant(hasher_.hashes(issued.secret));
  ASSERT_TRUE(grant && *grant);
  EXPECT_TRUE((*grant)->revoked_at);
}

TEST_F(TokensTest, ExpiredTokensAreShownForNinetyDays) {
  const IssuedToken issued = make_token(policy_, "prod", kTestStart + days(1));
  clock_.advance({1});
  make_token(policy_, "for-ever");
  clock_.advance(days(1));
  EXPECT_EQ(token_status(*find(issued.token.id), clock_.now()), "expired");
  EXPECT_EQ(names({}), "for-ever");
  EXPECT_EQ(names({.includes_expired = true}), "prod for-ever");
  clock_.advance(days(89));
  EXPECT_TRUE(find(issued.token.id));
  clock_.advance(days(1));
  EXPECT_FALSE(find(issued.token.id));
  EXPECT_EQ(names({.includes_expired = true}), "for-ever");
  make_token(policy_, "prod");
  EXPECT_EQ(names({}), "for-ever prod") << "the name is free";
}

TEST_F(TokensTest, ListsFilter) {
  const Policy second = make_policy(draft("second"));
  make_token(policy_, "a", kTestStart + days(10));
  clock_.advance({1});
  make_token(second, "b", kTestStart + days(20));
  EXPECT_EQ(names({.policy_ids = {policy_.id}}), "a");
  EXPECT_EQ(names({.policy_ids = {policy_.id, second.id}}), "a b");
  EXPECT_EQ(names({.policy_ids = {policy_.id.substr(1)}}), "") << "no substrings";
  EXPECT_EQ(names({.policy_name = "second"}), "b");
  EXPECT_EQ(names({.policy_realm_type = "stack", .policy_realm_identifier = "main"}), "a b");
  EXPECT_EQ(names({.policy_realm_type = "org"}), "");
  EXPECT_EQ(names({.policy_status = "inactive"}), "");
  EXPECT_EQ(names({.name = "b"}), "b");
  EXPECT_EQ(names({.expires_before = kTestStart + days(15)}), "a");
  EXPECT_EQ(names({.expires_after = kTestStart + days(15)}), "b");
}

TEST_F(TokensTest, SwitchingOffCanBeUndoneForSevenDays) {
  const IssuedToken issued = make_token(policy_, "prod");
  ASSERT_TRUE(set_expiry(issued.token.id, clock_.now()));
  EXPECT_EQ(token_status(*find(issued.token.id), clock_.now()), "expired");
  clock_.advance(days(7));
  ASSERT_TRUE(set_expiry(issued.token.id, std::nullopt));
  EXPECT_EQ(token_status(*find(issued.token.id), clock_.now()), "active");
  ASSERT_TRUE(set_expiry(issued.token.id, clock_.now()));
  clock_.advance({days(7).count + 1});
  const auto late = set_expiry(issued.token.id, std::nullopt);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::FailedPrecondition);
}

TEST_F(TokensTest, RotationOverlaps) {
  const IssuedToken old = make_token(policy_, "prod", kTestStart + days(30));
  const auto rotate = [&](const std::string& id) {
    return change(admin(), [&](ControlChange& change) {
      return rotate_token(org_, change, id, {.overlap = kDay});
    });
  };
  const auto second = rotate(old.token.id);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->token.name, "prod-r2");
  EXPECT_EQ(second->token.policy_id, policy_.id);
  EXPECT_EQ(second->token.expires_at, kTestStart + days(30)) << "as long a life as the old one";
  EXPECT_EQ(find(old.token.id)->expires_at, kTestStart + kDay);
  const auto third = rotate(second->token.id);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->token.name, "prod-r3");
  const auto branch = rotate(old.token.id);
  ASSERT_TRUE(branch);
  EXPECT_EQ(branch->token.name, "prod-r4") << "names that are taken are passed over";
}

TEST_F(TokensTest, BearerTokensReadOneStack) {
  const auto issued = bearer(admin(), "grafana-prod");
  ASSERT_TRUE(issued) << issued.error().message;
  EXPECT_EQ(issued->secret.size(), 52U);
  EXPECT_TRUE(has_bearer_checksum(issued->secret));
  EXPECT_EQ(issued->token.kind, TokenKind::Bearer);
  const auto grant = directory_->find_grant(hasher_.hashes(issued->secret));
  ASSERT_TRUE(grant && *grant);
  EXPECT_EQ((*grant)->scopes, ScopeSet{Scope::MetricsRead});
  ASSERT_EQ((*grant)->stacks.size(), 1U);
  EXPECT_EQ((*grant)->stacks[0].stack, stack_);
  const auto second = bearer(admin(), "grafana-test");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->token.policy_id, issued->token.policy_id) << "one built-in policy per stack";
  const auto policy =
      read([&](state::Transaction& tx) { return read_policy(org_, tx, issued->token.policy_id); });
  ASSERT_TRUE(policy);
  EXPECT_TRUE(policy->is_system);
  EXPECT_FALSE(change(admin(), [&](ControlChange& change) {
    return update_policy(org_, change, policy->id, {.scopes = {{"metrics:write"}}});
  })) << "built-in policies stay as they are";
}

TEST_F(TokensTest, BearerTokensAreForSuperAdmins) {
  ControlPrincipal person = admin();
  person.actor = {.type = Actor::Type::User, .id = "u", .name = "ada"};
  person.role = Role::Admin;
  person.authenticated_at_ms = clock_.now().since_epoch;
  const auto refused = bearer(person, "a");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::PermissionDenied);
  plane_.rules.bearer_by_org_admin = true;
  EXPECT_TRUE(bearer(person, "a"));
  plane_.rules.bearer_by_org_admin = false;
  person.is_super_admin = true;
  EXPECT_TRUE(bearer(person, "b"));
  EXPECT_TRUE(bearer(token_with({Scope::AccessPoliciesWrite, Scope::MetricsRead}), "c"));
  EXPECT_FALSE(bearer(token_with({Scope::AccessPoliciesWrite}), "d")) << "the ceiling";
}

TEST_F(TokensTest, ATokenMayRevokeItself) {
  const IssuedToken issued = make_token(policy_, "prod");
  ControlPrincipal self = token_with({});
  self.actor.id = issued.token.id;
  ASSERT_TRUE(change(self, [](ControlChange& change) { return revoke_own_token(change); }));
  EXPECT_FALSE(find(issued.token.id));
  EXPECT_FALSE(change(admin(), [](ControlChange& change) { return revoke_own_token(change); }));
}

TEST_F(TokensTest, ThereIsALimitOfLivingTokens) {
  plane_.rules.tokens_per_policy_max = 1;
  make_token(policy_, "a", kTestStart + days(1));
  const auto refused = change(admin(), [&](ControlChange& change) {
    return create_token(org_, change, {.policy_id = policy_.id, .name = "b"});
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  clock_.advance(days(1));
  EXPECT_FALSE(make_token(policy_, "b").secret.empty()) << "expired ones do not count";
}

TEST_F(TokensTest, StrongTokensNeedARecentSignIn) {
  const Policy strong = make_policy(draft("strong", {"metrics:delete"}));
  ControlPrincipal person = admin();
  person.actor = {.type = Actor::Type::User, .id = "u", .name = "ada"};
  person.role = Role::Admin;
  person.authenticated_at_ms = clock_.now().since_epoch;
  const auto create = [&](std::string_view name) {
    return change(person, [&](ControlChange& change) {
      return create_token(org_, change, {.policy_id = strong.id, .name = std::string(name)});
    });
  };
  EXPECT_TRUE(create("a"));
  clock_.advance({10 * 60 * 1000 + 1});
  EXPECT_FALSE(create("b"));
}

TEST_F(TokensTest, ARepeatedRequestGetsTheFirstAnswer) {
  const SealedBox box(SecretKey{.peppers = {Pepper{.id = 1, .bytes = {1}}}}, "test");
  const RepeatableRequest request{.path = "POST /x asker", .key = "k", .content = "body"};
  write([&](state::Transaction& tx) {
    return keep_answer(org_, tx, box, request, {.status = 200, .body = "glc_secret"}, clock_.now());
  });
  const auto look = [&](const RepeatableRequest& wanted) {
    return read(
        [&](state::Transaction& tx) { return find_answer(org_, tx, box, wanted, clock_.now()); });
  };
  const auto kept = look(request);
  ASSERT_TRUE(kept && *kept);
  EXPECT_EQ((*kept)->body, "glc_secret");
  const auto other = look({.path = request.path, .key = "k", .content = "another"});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::AlreadyExists);
  EXPECT_FALSE(*look({.path = "POST /x somebody", .key = "k", .content = "body"}));
  clock_.advance(kAnswerKept);
  EXPECT_FALSE(*look(request));
}

RC_GTEST_PROP(PageCursorProperty, ReadsBack, (std::int64_t at, std::uint64_t hash)) {
  const PageCursor cursor{.created_at = {at}, .id = make_uuid(), .filter_hash = hash};
  const auto parsed = parse_page_cursor(format_page_cursor(cursor));
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == cursor);
}

TEST(PageCursor, RefusesWhatIsNone) {
  for (const std::string_view text : {"", "x", "e30", "bnVsbA", "!!!!", "eyJ2IjoxfQ"})
    EXPECT_FALSE(parse_page_cursor(text)) << text;
}

}  // namespace
}  // namespace gantry::access
