#pragma once

// A control plane on a temporary database, and principals that use it.

#include <string>
#include <string_view>
#include <vector>

#include "access/audit.h"
#include "access/authenticator.h"
#include "access/control_plane.h"
#include "access/organisations.h"
#include "access/policies.h"
#include "access/stacks.h"
#include "access/testing/directory_fixture.h"
#include "access/tokens.h"

namespace gantry::access {

class ControlFixture : public DirectoryFixture {
 protected:
  ControlFixture() {
    org_ = add_organisation("main");
    other_org_ = add_organisation("other");
    stack_ = add_stack(org_, "main");
    foreign_stack_ = add_stack(other_org_, "foreign");
  }

  /// Runs `act` as `who` and commits what it did, unless it failed.
  template <class Act>
  auto change(const ControlPrincipal& who, Act act) {
    auto change = ControlChange::begin(plane_, who);
    EXPECT_TRUE(change);
    auto result = act(*change);
    if (result) EXPECT_TRUE(change->commit());
    return result;
  }

  /// Runs `look` in a read transaction.
  template <class Look>
  auto read(Look look) {
    auto tx = db_->begin_read();
    EXPECT_TRUE(tx);
    return look(*tx);
  }

  ControlPrincipal admin() const { return system_control_principal(org_); }

  /// A token with these scopes in all of the organisation.
  ControlPrincipal token_with(std::vector<Scope> scopes) const {
    ControlPrincipal who;
    who.actor = {.type = Actor::Type::Token, .id = "asker", .name = "policy/asker"};
    who.org = org_;
    for (const Scope scope : scopes) who.scopes.add(scope);
    who.realms = {{.type = Realm::Type::Org, .identifier = org_.value(), .label_policies = {}}};
    return who;
  }

  PolicyDraft draft(std::string_view name, std::vector<std::string> scopes = {"metrics:read"}) {
    return {.name = std::string(name),
            .display_name = {},
            .scopes = std::move(scopes),
            .realms = {{.type = "stack", .identifier = "main", .label_policies = {}}},
            .allowed_subnets = {}};
  }

  Policy make_policy(const PolicyDraft& draft) {
    const auto policy =
        change(admin(), [&](ControlChange& change) { return create_policy(org_, change, draft); });
    EXPECT_TRUE(policy) << (policy ? "" : policy.error().message);
    return policy ? *policy : Policy();
  }

  IssuedToken make_token(const Policy& policy, std::string_view name,
                         std::optional<TimestampMs> expires_at = {}) {
    const auto issued = change(admin(), [&](ControlChange& change) {
      return create_token(org_, change,
                          {.policy_id = policy.id,
                           .name = std::string(name),
                           .display_name = {},
                           .expires_at = expires_at,
                           .zone = {}});
    });
    EXPECT_TRUE(issued) << (issued ? "" : issued.error().message);
    return issued ? *issued : IssuedToken();
  }

  /// Names of the events since the start, oldest first.
  std::vector<std::string> events() {
    std::vector<std::string> names;
    const auto records = audit_.read({});
    EXPECT_TRUE(records);
    for (auto it = records->rbegin(); it != records->rend(); ++it) names.push_back(it->event.event);
    return names;
  }

  core::MetricRegistry registry_;
  AuditLog audit_{*db_, clock_, registry_, {}};
  Authenticator authenticator_{*directory_, hasher_, clock_, registry_, {}};
  ControlPlane plane_{.db = *db_,
                      .audit = audit_,
                      .authenticator = authenticator_,
                      .hasher = hasher_,
                      .clock = clock_,
                      .rules = {}};
  OrgId org_;
  OrgId other_org_;
  StackId stack_;
  StackId foreign_stack_;
};

}  // namespace gantry::access
