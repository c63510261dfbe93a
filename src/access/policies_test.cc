#include "access/policies.h"

#include <gtest/gtest.h>

#include "access/testing/control_fixture.h"

namespace gantry::access {
namespace {

class PoliciesTest : public ControlFixture {
 protected:
  /// "CODE path,path", or "ok".
  std::string attempt(const PolicyDraft& draft) { return attempt(draft, admin()); }

  std::string attempt(const PolicyDraft& draft, const ControlPrincipal& who) {
    const auto policy =
        change(who, [&](ControlChange& change) { return create_policy(org_, change, draft); });
    if (policy) return "ok";
    std::string text(code_name(policy.error().code));
    for (const FieldProblem& field : policy.error().fields) text += " " + field.path;
    return text;
  }
};

TEST_F(PoliciesTest, ADraftBecomesAPolicy) {
  PolicyDraft wanted = draft("grafana", {"metrics:read", "logs:read", "metrics:read"});
  wanted.realms.push_back({.type = "org", .identifier = "main", .label_policies = {}});
  wanted.allowed_subnets = {"10.0.0.0/8", "2001:DB8::/32"};
  wanted.attributes = R"({"lokiQueryPolicy":{"maxQueryBytes":1}})";
  const Policy made = make_policy(wanted);
  const auto policy = read([&](state::Transaction& tx) { return read_policy(org_, tx, made.id); });
  ASSERT_TRUE(policy);
  EXPECT_EQ(policy->name, "grafana");
  EXPECT_EQ(policy->display_name, "grafana");
  EXPECT_EQ(policy->scopes, (std::vector<std::string>{"metrics:read", "logs:read"}));
  ASSERT_EQ(policy->realms.size(), 2U);
  EXPECT_EQ(policy->realms[0].identifier, stack_.value()) << "a slug becomes the id";
  EXPECT_EQ(policy->realms[1].identifier, org_.value());
  EXPECT_EQ(policy->allowed_subnets, (std::vector<std::string>{"10.0.0.0/8", "2001:db8::/32"}));
  EXPECT_EQ(policy->attributes, wanted.attributes);
  EXPECT_TRUE(policy->is_active);
  EXPECT_EQ(policy->created_at, kTestStart);
  EXPECT_EQ(events(), std::vector<std::string>{"accesspolicy.created"});
}

struct DraftCase {
  std::string_view name;
  void (*spoil)(PolicyDraft&);
  std::string_view expected;
};

TEST_F(PoliciesTest, WrongDraftsNameTheirFields) {
  const std::vector<DraftCase> cases = {
      {"name", [](PolicyDraft& d) { d.name = "Upper"; }, "INVALID_ARGUMENT name"},
      {"long_name", [](PolicyDraft& d) { d.name = std::string(256, 'a'); },
       "INVALID_ARGUMENT name"},
      {"display", [](PolicyDraft& d) { d.display_name = "a\nb"; }, "INVALID_ARGUMENT displayName"},
      {"no_scopes", [](PolicyDraft& d) { d.scopes = {}; }, "INVALID_ARGUMENT scopes"},
      {"scope_without_colon", [](PolicyDraft& d) { d.scopes = {"metrics"}; },
       "INVALID_ARGUMENT scopes[0]"},
      {"unknown_scope", [](PolicyDraft& d) { d.scopes = {"metrics:read", "fleet:read"}; },
       "INVALID_ARGUMENT scopes[1]"},
      {"wildcard", [](PolicyDraft& d) { d.scopes = {"*:read"}; }, "INVALID_ARGUMENT scopes[0]"},
      {"no_realms", [](PolicyDraft& d) { d.realms = {}; }, "INVALID_ARGUMENT realms"},
      {"realm_type", [](PolicyDraft& d) { d.realms[0].type = "system"; },
       "INVALID_ARGUMENT realms[0].type"},
      {"foreign_stack", [](PolicyDraft& d) { d.realms[0].identifier = "foreign"; },
       "INVALID_ARGUMENT realms[0].identifier"},
      {"foreign_organisation",
       [](PolicyDraft& d) { d.realms[0] = {.type = "org", .identifier = "other"}; },
       "INVALID_ARGUMENT realms[0].identifier"},
      {"realm_twice",
       [](PolicyDraft& d) { d.realms.push_back({.type = "stack", .identifier = "1000000"}); },
       "ALREADY_EXISTS"},
      {"bare_address", [](PolicyDraft& d) { d.allowed_subnets = {"10.0.0.1"}; },
       "INVALID_ARGUMENT conditions.allowedSubnets[0]"},
      {"selector", [](PolicyDraft& d) { d.realms[0].label_policies = {"{a="}; },
       "INVALID_ARGUMENT realms[0].labelPolicies"},
      {"label_policy_and_write",
       [](PolicyDraft& d) {
         d.realms[0].label_policies = {R"({a="b"})"};
         d.scopes = {"metrics:read", "metrics:write"};
       },
       "INVALID_ARGUMENT scopes"},
      {"attributes", [](PolicyDraft& d) { d.attributes = "[]"; }, "INVALID_ARGUMENT attributes"},
      {"several",
       [](PolicyDraft& d) {
         d.name = "";
         d.scopes = {};
       },
       "INVALID_ARGUMENT name scopes"},
  };
  for (const DraftCase& each : cases) {
    PolicyDraft spoilt = draft("good");
    each.spoil(spoilt);
    EXPECT_EQ(attempt(spoilt), each.expected) << each.name;
  }
  EXPECT_TRUE(events().empty()) << "what failed leaves no trace";
}

TEST_F(PoliciesTest, UnknownScopesPassWhenTheOperatorSaysSo) {
  plane_.rules.allow_unknown_scopes = true;
  EXPECT_EQ(attempt(draft("plan", {"fleet-management:read"})), "ok");
  EXPECT_EQ(attempt(draft("bad", {"Fleet:read"})), "INVALID_ARGUMENT scopes[0]");
}

TEST_F(PoliciesTest, NamesAreUniqueInAnOrganisation) {
  make_policy(draft("one"));
  EXPECT_EQ(attempt(draft("one")), "ALREADY_EXISTS");
}

TEST_F(PoliciesTest, ThereIsALimit) {
  plane_.rules.policies_per_organisation_max = 1;
  make_policy(draft("one"));
  EXPECT_EQ(attempt(draft("two")), "FAILED_PRECONDITION");
}

TEST_F(PoliciesTest, OtherOrganisationsPoliciesAreNotThere) {
  const Policy policy = make_policy(draft("one"));
  const auto foreign =
      read([&](state::Transaction& tx) { return read_policy(other_org_, tx, policy.id); });
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Code::NotFound);
  const auto removed = change(system_control_principal(other_org_), [&](ControlChange& change) {
    return delete_policy(other_org_, change, policy.id);
  });
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, Code::NotFound);
}

TEST_F(PoliciesTest, UpdatesChangeOnlyWhatIsNamed) {
  PolicyDraft wanted = draft("one");
  wanted.allowed_subnets = {"10.0.0.0/8"};
  const Policy policy = make_policy(wanted);
  clock_.advance({1000});
  const auto updated = change(admin(), [&](ControlChange& change) {
    return update_policy(org_, change, policy.id,
                         {.display_name = "One", .scopes = {{"logs:read"}}, .is_active = false});
  });
  ASSERT_TRUE(updated);
  EXPECT_EQ(updated->display_name, "One");
  EXPECT_EQ(updated->scopes, std::vector<std::string>{"logs:read"});
  EXPECT_EQ(updated->realms, policy.realms);
  EXPECT_EQ(updated->allowed_subnets, policy.allowed_subnets);
  EXPECT_FALSE(updated->is_active);
  EXPECT_EQ(updated->updated_at, kTestStart + DurationMs{1000});
  const auto cleared = change(admin(), [&](ControlChange& change) {
    return update_policy(org_, change, policy.id, {.allowed_subnets = std::vector<std::string>()});
  });
  ASSERT_TRUE(cleared);
  EXPECT_TRUE(cleared->allowed_subnets.empty());
  EXPECT_EQ(events(),
            (std::vector<std::string>{"accesspolicy.created", "accesspolicy.status_changed",
                                      "accesspolicy.updated"}));
}

TEST_F(PoliciesTest, DeletingTakesTokensAlong) {
  const Policy policy = make_policy(draft("one"));
  const IssuedToken issued = make_token(policy, "a");
  ASSERT_TRUE(change(
      admin(), [&](ControlChange& change) { return delete_policy(org_, change, policy.id); }));
  EXPECT_FALSE(read(
      [&](state::Transaction& tx) { return read_token(org_, tx, issued.token.id, clock_.now()); }));
  EXPECT_EQ(events(), (std::vector<std::string>{"accesspolicy.created", "token.created",
                                                "token.revoked", "accesspolicy.deleted"}));
}

TEST_F(PoliciesTest, ListsFilterAndPage) {
  for (const std::string_view name : {"a", "b", "c"}) {
    make_policy(draft(name));
    clock_.advance({1});
  }
  PolicyDraft whole = draft("d");
  whole.realms = {{.type = "org", .identifier = "main", .label_policies = {}}};
  make_policy(whole);
  const auto names = [&](const PolicyFilter& filter, const PageStart& page) {
    std::string text;
    const auto policies =
        read([&](state::Transaction& tx) { return list_policies(org_, tx, filter, page); });
    EXPECT_TRUE(policies);
    for (const Policy& policy : *policies) text += policy.name;
    return text;
  };
  EXPECT_EQ(names({}, {}), "abcd");
  EXPECT_EQ(names({.name = "b"}, {}), "b");
  EXPECT_EQ(names({.realm_type = "org"}, {}), "d");
  EXPECT_EQ(names({.realm_type = "stack", .realm_identifier = "main"}, {}), "abc");
  EXPECT_EQ(names({.realm_identifier = "nowhere"}, {}), "");
  EXPECT_EQ(names({.status = "inactive"}, {}), "");
  EXPECT_EQ(
      names({}, {.after_created_at = kTestStart + DurationMs{1}, .after_id = "~", .limit = 1}),
      "c");
}

TEST_F(PoliciesTest, NobodyGrantsMoreThanTheyHave) {
  ControlPrincipal who = token_with({Scope::AccessPoliciesWrite, Scope::MetricsRead});
  EXPECT_EQ(attempt(draft("read"), who), "ok");
  EXPECT_EQ(attempt(draft("write", {"metrics:write"}), who), "PERMISSION_DENIED");
  EXPECT_EQ(attempt(draft("root", {"accesspolicies:delete"}), who), "PERMISSION_DENIED");
  who.allowed_subnets = {"10.0.0.0/8"};
  EXPECT_EQ(attempt(draft("anywhere"), who), "PERMISSION_DENIED");
  PolicyDraft bound = draft("bound");
  bound.allowed_subnets = {"10.1.0.0/16"};
  EXPECT_EQ(attempt(bound, who), "ok");
  bound.name = "wider";
  bound.allowed_subnets = {"8.0.0.0/6"};
  EXPECT_EQ(attempt(bound, who), "PERMISSION_DENIED");
  ControlPrincipal restricted = token_with({Scope::AccessPoliciesWrite, Scope::MetricsRead});
  restricted.realms[0].label_policies = {{R"({ns="a"})"}};
  EXPECT_EQ(attempt(draft("unrestricted"), restricted), "PERMISSION_DENIED");
  PolicyDraft narrower = draft("narrower");
  narrower.realms[0].label_policies = {R"({ns="a",pod="b"})"};
  EXPECT_EQ(attempt(narrower, restricted), "ok");
  ControlPrincipal narrow = token_with({Scope::AccessPoliciesWrite, Scope::MetricsRead});
  narrow.realms = {
      {.type = Realm::Type::Stack, .identifier = stack_.value(), .label_policies = {}}};
  EXPECT_EQ(attempt(draft("without-org-realm"), narrow), "PERMISSION_DENIED");
}

TEST_F(PoliciesTest, AWeakTokenCannotTouchAStrongPolicy) {
  const Policy strong = make_policy(draft("strong", {"metrics:write"}));
  const ControlPrincipal weak = token_with({Scope::AccessPoliciesWrite, Scope::MetricsRead});
  const auto updated = change(weak, [&](ControlChange& change) {
    return update_policy(org_, change, strong.id, {.is_active = false});
  });
  ASSERT_FALSE(updated);
  EXPECT_EQ(updated.error().code, Code::PermissionDenied);
  const auto token = change(weak, [&](ControlChange& change) {
    return create_token(org_, change, {.policy_id = strong.id, .name = "t"});
  });
  ASSERT_FALSE(token) << "a token of a policy is the policy's rights";
  EXPECT_EQ(token.error().code, Code::PermissionDenied);
}

}  // namespace
}  // namespace gantry::access
