#include "access/personal_tokens.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "access/label_policy.h"
#include "access/testing/control_fixture.h"
#include "access/users.h"

namespace gantry::access {
namespace {

class PersonalTokensTest : public ControlFixture {
 protected:
  PersonalTokensTest() {
    ada_ = add_person("ada");
    join(ada_, Role::Editor);
  }

  std::string add_person(std::string_view login) {
    return write(
        [&](state::Transaction& tx) { return add_user(tx, {.login = login}, clock_.now()); });
  }

  /// Takes effect as any change of a membership does.
  void join(const std::string& id, Role role,
            std::optional<std::vector<std::string>> label_policies = {}) {
    write([&](state::Transaction& tx) {
      return set_membership(tx, id, {.org = org_, .role = role, .label_policies = label_policies});
    });
    authenticator_.forget_all();
  }

  /// As Sessions makes it.
  ControlPrincipal person(const std::string& id, Role role,
                          std::optional<std::vector<std::string>> label_policies = {}) const {
    ControlPrincipal who;
    who.actor = {.type = Actor::Type::User, .id = id, .name = "ada"};
    who.org = org_;
    who.role = role;
    who.scopes = role_scopes(role);
    who.realms = {{.type = Realm::Type::Org,
                   .identifier = org_.value(),
                   .label_policies = std::move(label_policies)}};
    who.authenticated_at_ms = clock_.now().since_epoch;
    return who;
  }

  ControlPrincipal editor() const { return person(ada_, Role::Editor); }

  ControlResult<IssuedToken> create(const ControlPrincipal& who, const PersonalTokenDraft& draft) {
    return change(
        who, [&](ControlChange& change) { return create_personal_token(org_, change, draft); });
  }

  std::string make(const ControlPrincipal& who, std::string_view name,
                   std::vector<std::string> scopes = {"metrics:read"}) {
    const auto issued =
        create(who, {.name = std::string(name), .scopes = std::move(scopes), .stack = "main"});
    EXPECT_TRUE(issued) << (issued ? "" : issued.error().message);
    return issued ? issued->secret : "";
  }

  std::string refusal(const ControlPrincipal& who, const PersonalTokenDraft& draft) {
    const auto issued = create(who, draft);
    return issued ? "" : issued.error().message;
  }

  /// "sees what", or the reason for refusing it.
  std::string ask(const std::string& token) {
    const auto who = authenticator_.authenticate({.authorization = {"Bearer " + token}}, {}, {});
    if (!who) return std::string(who.error().reason);
    if (!who->scopes.contains(Scope::MetricsRead)) return "no scope";
    if (who->visibility.is_everything()) return "everything";
    std::string text;
    for (const LabelPolicy& policy : who->visibility.policies()->policies()) text += policy.text();
    return text;
  }

  std::vector<std::string> names(const ControlPrincipal& who) {
    const auto tokens = read(
        [&](state::Transaction& tx) { return list_personal_tokens(org_, tx, who, clock_.now()); });
    EXPECT_TRUE(tokens);
    std::vector<std::string> names;
    for (const Token& token : *tokens) names.push_back(token.name);
    return names;
  }

  std::string ada_;
};

TEST_F(PersonalTokensTest, AnEditorMakesListsAndRevokesTheirOwn) {
  const auto issued = create(editor(), {.name = "laptop", .scopes = {"metrics:read"}});
  ASSERT_TRUE(issued) << issued.error().message;
  EXPECT_EQ(issued->token.created_by, "ada");
  EXPECT_EQ(ask(issued->secret), "everything");
  EXPECT_EQ(names(editor()), std::vector<std::string>{"laptop"});
  const std::string bob = add_person("bob");
  join(bob, Role::Editor);
  EXPECT_EQ(names(person(bob, Role::Editor)), std::vector<std::string>());
  const auto others = change(person(bob, Role::Editor), [&](ControlChange& change) {
    return revoke_personal_token(org_, change, issued->token.id);
  });
  ASSERT_FALSE(others);
  EXPECT_EQ(others.error().code, Code::NotFound);
  ASSERT_TRUE(change(editor(), [&](ControlChange& change) {
    return revoke_personal_token(org_, change, issued->token.id);
  }));
  EXPECT_EQ(ask(issued->secret), "revoked");
  EXPECT_EQ(events(), (std::vector<std::string>{"token.created", "token.revoked"}));
}

TEST_F(PersonalTokensTest, NobodyGetsMoreThanTheirRoleHas) {
  const auto draft = [](std::string scope) {
    return PersonalTokenDraft{.name = "x", .scopes = {std::move(scope)}};
  };
  for (const std::string_view scope :
       {"metrics:write", "accesspolicies:write", "stacks:delete", "audit:read"})
    EXPECT_EQ(refusal(editor(), draft(std::string(scope))),
              fmt::format("the scope {} is not one of your personal tokens'", scope));
  EXPECT_NE(refusal(person(ada_, Role::Viewer), draft("metrics:read")).find("need the role"),
            std::string::npos);
  EXPECT_NE(refusal(token_with({Scope::MetricsRead}), draft("metrics:read")).find("signed in"),
            std::string::npos);
  ControlPrincipal outsider = editor();
  outsider.role.reset();
  outsider.is_super_admin = true;
  EXPECT_NE(refusal(outsider, draft("metrics:read")), "") << "a super-admin alone reads nothing";
  EXPECT_NE(refusal(editor(), {.name = "x", .scopes = {}}).find("scopes"), std::string::npos);
  EXPECT_NE(refusal(editor(), draft("nonsense")).find("scopes[0]"), std::string::npos);
  EXPECT_NE(refusal(editor(), {.name = "x", .scopes = {"metrics:read"}, .stack = "foreign"}), "");
  EXPECT_TRUE(names(editor()).empty());
  EXPECT_EQ(ask(make(person(ada_, Role::Admin), "of-an-admin")), "everything");
}

TEST_F(PersonalTokensTest, TheTokenFollowsThePerson) {
  const std::string token = make(editor(), "laptop");
  join(ada_, Role::Editor, {{R"({ns="a"})"}});
  EXPECT_EQ(ask(token), R"({ns="a"})") << "sees what the person sees by now";
  join(ada_, Role::Viewer);
  EXPECT_EQ(ask(token), "inactive_policy");
  join(ada_, Role::Admin);
  EXPECT_EQ(ask(token), "everything");
  write([&](state::Transaction& tx) -> Result<void> {
    GANTRY_TRY(auto user, find_user(tx, ada_));
    user->is_disabled = true;
    return update_user(tx, *user, clock_.now());
  });
  authenticator_.forget_all();
  EXPECT_EQ(ask(token), "inactive_policy");
}

TEST_F(PersonalTokensTest, ADemotedAdminsTokenLosesWhatEditorsLack) {
  const std::string token = make(person(ada_, Role::Admin), "laptop", {"metrics:write"});
  join(ada_, Role::Editor);
  const auto who = authenticator_.authenticate({.authorization = {"Bearer " + token}}, {}, {});
  ASSERT_TRUE(who);
  EXPECT_TRUE(who->scopes.is_empty());
}

TEST_F(PersonalTokensTest, WhoSeesSomeSeriesMakesTokensThatSeeThem) {
  const std::vector<std::string> selectors = {R"({ns="a"})"};
  join(ada_, Role::Editor, selectors);
  EXPECT_EQ(ask(make(person(ada_, Role::Editor, selectors), "laptop")), R"({ns="a"})");
}

TEST_F(PersonalTokensTest, EndWithThePersonsPlace) {
  const std::string token = make(editor(), "laptop");
  const std::string second = make(editor(), "desktop");
  write([&](state::Transaction& tx) { return remove_membership(tx, ada_, org_); });
  authenticator_.forget_all();
  EXPECT_EQ(ask(token), "inactive_policy");
  write([&](state::Transaction& tx) { return remove_user(tx, ada_); });
  authenticator_.forget_all();
  EXPECT_EQ(ask(second), "unknown_token");
}

TEST_F(PersonalTokensTest, OnePolicyHoldsAllOfOneShape) {
  make(editor(), "a", {"metrics:read", "logs:read"});
  make(editor(), "b", {"logs:read", "metrics:read", "logs:read"});
  make(editor(), "c");
  PolicyFilter filter;
  filter.owner = ada_;
  const auto policies =
      read([&](state::Transaction& tx) { return list_policies(org_, tx, filter, {}); });
  ASSERT_TRUE(policies);
  EXPECT_EQ(policies->size(), 2U);
  for (const Policy& policy : *policies) EXPECT_TRUE(policy.is_system);
}

TEST_F(PersonalTokensTest, AdminsSeeAndRevokeThemButMakeNoCopies) {
  const auto issued = create(editor(), {.name = "laptop", .scopes = {"metrics:read"}});
  ASSERT_TRUE(issued);
  const auto rotated = change(admin(), [&](ControlChange& change) {
    return rotate_token(org_, change, issued->token.id, {});
  });
  ASSERT_FALSE(rotated);
  EXPECT_EQ(rotated.error().code, Code::FailedPrecondition);
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return revoke_token(org_, change, issued->token.id);
  }));
  EXPECT_EQ(ask(issued->secret), "revoked");
}

}  // namespace
}  // namespace gantry::access
