#include "access/gate.h"

#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "access/audit.h"
#include "access/label_policy.h"
#include "access/testing/directory_fixture.h"

namespace gantry::access {
namespace {

class EmptySource final : public promql::SeriesSource {
 public:
  Result<std::unique_ptr<promql::SeriesSet>> select(const promql::SelectRequest&,
                                                    const CancelToken&) const override {
    return fail(Code::Internal, "not asked here");
  }

  Result<promql::LabelStrings> label_names(std::span<const promql::Matcher>, std::int64_t,
                                           std::int64_t, std::size_t,
                                           const CancelToken&) const override {
    return promql::LabelStrings{};
  }

  Result<promql::LabelStrings> label_values(std::string_view, std::span<const promql::Matcher>,
                                            std::int64_t, std::int64_t, std::size_t,
                                            const CancelToken&) const override {
    return promql::LabelStrings{};
  }

  Result<std::vector<promql::ExemplarSeries>> exemplars(
      std::span<const std::vector<promql::Matcher>>, std::int64_t, std::int64_t,
      const CancelToken&) const override {
    return std::vector<promql::ExemplarSeries>{};
  }
};

/// Counts what is asked of it.
class RecordingStore final : public metrics::Store {
 public:
  Result<telemetry::AppendResult> append(const telemetry::MetricBatch&,
                                         const metrics::AppendOptions& options) override {
    calls += options.is_import ? "import " : "append ";
    return telemetry::AppendResult{};
  }

  const promql::SeriesSource& source() const override { return empty; }

  Result<void> delete_series(std::span<const promql::Matcher>, std::int64_t,
                             std::int64_t) override {
    calls += "delete ";
    return {};
  }

  Result<void> clean_tombstones() override {
    calls += "clean ";
    return {};
  }

  std::vector<std::pair<std::string, std::vector<metrics::MetadataEntry>>> metadata(
      std::string_view) const override {
    return {};
  }

  metrics::CardinalityStatistics cardinality(std::size_t) const override { return {}; }

  std::vector<metrics::PartStatistics> parts() const override { return {}; }

  Result<void> flush() override { return {}; }

  Result<void> merge_all() override { return {}; }

  void reconfigure(const metrics::StoreOptions&) override { calls += "reconfigure "; }

  Result<void> close() override {
    calls += "close ";
    return {};
  }

  EmptySource empty;
  std::string calls;
};

class GateTest : public DirectoryFixture {
 protected:
  GateTest() {
    org_ = add_organisation("main");
    stack_ = add_stack(org_, "main");
    const std::string policy =
        add_policy(org_, "write", {Scope::MetricsWrite},
                   {{.type = Realm::Type::Stack, .identifier = stack_.value()}});
    add_token(org_, policy, "w", "glc_write");
    stores_.add(stack_, {.metrics = store_, .traces = nullptr});
  }

  static net::Request request(std::string_view authorization) {
    net::Request made;
    made.headers.add("Authorization", std::string(authorization));
    return made;
  }

  std::uint64_t refused(std::string_view reason) {
    return registry_.counter("gantry_access_refused_total", "", {{"reason", std::string(reason)}})
        .value();
  }

  core::MetricRegistry registry_;
  OrgId org_;
  StackId stack_;
  std::shared_ptr<RecordingStore> store_ = std::make_shared<RecordingStore>();
  StackStores stores_;
  Authenticator authenticator_{*directory_, hasher_, clock_, registry_, {}};
  Gate gate_{authenticator_, stores_, registry_, {}};
};

TEST_F(GateTest, OpensTheStackOfAToken) {
  const auto view = gate_.admit(request("Bearer glc_write"), {.scope = Scope::MetricsWrite});
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(view->stack(), stack_);
  EXPECT_TRUE(view->append(telemetry::MetricBatch{}));
  EXPECT_EQ(store_->calls, "append ");
}

TEST_F(GateTest, AMissingScopeIsForbidden) {
  const auto view = gate_.admit(request("Bearer glc_write"), {.scope = Scope::MetricsRead});
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().status, 403);
  EXPECT_EQ(view.error().code, Code::PermissionDenied);
  EXPECT_EQ(view.error().message, "authentication error: invalid scope requested");
  EXPECT_EQ(refused("insufficient_scope"), 1U);
}

TEST_F(GateTest, WithCloudStatusesAMissingScopeIs401) {
  const Gate gate(authenticator_, stores_, registry_, {.cloud_compat_status = true});
  EXPECT_EQ(gate.admit(request("Bearer glc_write"), {.scope = Scope::MetricsRead}).error().status,
            401);
}

TEST_F(GateTest, RefusalsAreCountedByReason) {
  EXPECT_FALSE(gate_.admit(net::Request{}, {.scope = Scope::MetricsWrite}));
  EXPECT_FALSE(gate_.admit(request("Token glc_write"), {.scope = Scope::MetricsWrite}));
  EXPECT_TRUE(gate_.admit(request("Token glc_write"),
                          {.scope = Scope::MetricsWrite, .accepts_token_scheme = true}));
  EXPECT_EQ(refused("no_credentials"), 1U);
  EXPECT_EQ(refused("unknown_scheme"), 1U);
}

TEST_F(GateTest, AStackThatIsNotServedIs401) {
  const StackId other = add_stack(org_, "other");
  const auto view =
      gate_.open(system_principal(org_, other, {Scope::MetricsRead}), Scope::MetricsRead);
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().status, 401);
  EXPECT_EQ(view.error().reason, "stack_not_served");
}

TEST_F(GateTest, EachScopeOpensItsOwnCalls) {
  const Principal everything = system_principal(
      org_, stack_, {Scope::MetricsRead, Scope::MetricsImport, Scope::MetricsDelete});
  EXPECT_TRUE(gate_.open(everything, Scope::MetricsImport)->append(telemetry::MetricBatch{}));
  const auto eraser = gate_.open(everything, Scope::MetricsDelete);
  EXPECT_TRUE(eraser->delete_series({}, 0, 1));
  EXPECT_TRUE(eraser->clean_tombstones());
  EXPECT_EQ(store_->calls, "import delete clean ");
  EXPECT_EQ(&gate_.open(everything, Scope::MetricsRead)->metrics_source(), &store_->empty);
}

Principal restricted(OrgId org, StackId stack, ScopeSet scopes,
                     std::vector<std::string> selectors) {
  Principal principal = system_principal(org, stack, scopes);
  principal.visibility = read_visibility(selectors, "p");
  return principal;
}

TEST_F(GateTest, ARestrictedPrincipalGetsAFilteredSource) {
  const auto view = gate_.open(restricted(org_, stack_, {Scope::MetricsRead}, {R"({ns="a"})"}),
                               Scope::MetricsRead);
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->is_restricted());
  EXPECT_NE(&view->metrics_source(), &store_->empty);
}

TEST_F(GateTest, CountsOfTheWholeStackAreNotForRestrictedPrincipals) {
  const auto view = gate_.open(restricted(org_, stack_, {Scope::MetricsRead}, {R"({ns="a"})"}),
                               Scope::MetricsRead);
  EXPECT_EQ(view->metrics_cardinality(10).error().code, Code::PermissionDenied);
  EXPECT_EQ(view->metrics_parts().error().message, "endpoint not available on the read-only API");
  const auto unrestricted =
      gate_.open(system_principal(org_, stack_, {Scope::MetricsRead}), Scope::MetricsRead);
  EXPECT_TRUE(unrestricted->metrics_cardinality(10));
  EXPECT_TRUE(unrestricted->metrics_parts());
}

TEST_F(GateTest, LabelPoliciesThatCannotBeReadAreForbidden) {
  const auto view =
      gate_.open(restricted(org_, stack_, {Scope::MetricsRead}, {"{ns="}), Scope::MetricsRead);
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().status, 403);
  EXPECT_EQ(view.error().reason, "label_policy_error");
  EXPECT_EQ(view.error().message, "authentication error: invalid label policy");
}

TEST_F(GateTest, AnUnreadableLabelPolicyReachesTheAuditLog) {
  AuditLog audit(*db_, clock_, registry_, {});
  Authenticator audited(*directory_, hasher_, clock_, registry_, {.audit = &audit});
  const Gate gate(audited, stores_, registry_, {});
  const std::string policy =
      add_policy(org_, "restricted", {Scope::MetricsRead},
                 {{.type = Realm::Type::Stack,
                   .identifier = stack_.value(),
                   .label_policies = std::vector<std::string>{R"({ns="a"})"}}});
  add_token(org_, policy, "r", "glc_restricted");
  write([&](state::Transaction& tx) -> Result<void> {
    auto update = tx.prepare("UPDATE policy_realms SET label_policies = ? WHERE policy_id = ?");
    update->bind(std::string_view(R"(["{ns="])")).bind(policy);
    return update->run();
  });
  EXPECT_FALSE(gate.admit(request("Bearer glc_restricted"), {.scope = Scope::MetricsRead}));
  ASSERT_TRUE(audit.flush());
  const auto records = audit.read({.event = "lbac.policy_error"});
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 1U);
  EXPECT_EQ(records->front().event.reason, "label_policy_error");
}

TEST_F(GateTest, ARestrictedPrincipalCannotWriteWhateverItsScopes) {
  const Principal forced =
      restricted(org_, stack_, {Scope::MetricsWrite, Scope::MetricsDelete, Scope::MetricsImport},
                 {R"({ns="a"})"});
  for (const Scope scope : {Scope::MetricsWrite, Scope::MetricsDelete, Scope::MetricsImport}) {
    const auto view = gate_.open(forced, scope);
    ASSERT_FALSE(view);
    EXPECT_EQ(view.error().status, 403);
  }
}

TEST_F(GateTest, WhatNobodyWithLabelPoliciesMayHaveIsNotedAsSuch) {
  AuditLog audit(*db_, clock_, registry_, {});
  Authenticator audited(*directory_, hasher_, clock_, registry_, {.audit = &audit});
  const Gate gate(audited, stores_, registry_, {});
  const auto add = [&](std::string_view name, std::optional<std::vector<std::string>> selectors) {
    const std::string policy = add_policy(org_, name, {Scope::MetricsRead},
                                          {{.type = Realm::Type::Stack,
                                            .identifier = stack_.value(),
                                            .label_policies = std::move(selectors)}});
    add_token(org_, policy, name, "glc_" + std::string(name));
  };
  add("free", std::nullopt);
  add("bound", std::vector<std::string>{R"({ns="a"})"});
  add("free-2", std::nullopt);
  add("bound-2", std::vector<std::string>{R"({ns="a"})"});
  for (const std::string name : {"free", "bound"}) {
    const net::Request made = request("Bearer glc_" + name);
    EXPECT_TRUE(gate.admit(made, {.scope = Scope::MetricsRead}));
    const auto written = gate.admit(made, {.scope = Scope::MetricsWrite});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().message, "authentication error: invalid scope requested")
        << "outside nobody can tell";
    const auto controlled =
        gate.admit_control(request("Bearer glc_" + name + "-2"), Scope::AccessPoliciesWrite);
    ASSERT_FALSE(controlled);
    EXPECT_EQ(controlled.error().status, 403);
  }
  ASSERT_TRUE(audit.flush());
  std::vector<std::string> denied;
  const auto records = audit.read({});
  for (auto it = records->rbegin(); it != records->rend(); ++it)
    if (it->event.outcome == Outcome::Denied)
      denied.push_back(it->event.event + " " + it->event.actor.name + " " + it->event.reason);
  EXPECT_EQ(denied, (std::vector<std::string>{"authz.denied free insufficient_scope",
                                              "authz.denied free-2/free-2 insufficient_scope",
                                              "lbac.denied bound restricted",
                                              "lbac.denied bound-2/bound-2 restricted"}));
}

TEST_F(GateTest, ARestrictedTokenCannotMakePolicies) {
  const auto admitted = [&](std::string_view name,
                            std::optional<std::vector<std::string>> selectors) {
    const std::string secret = "glc_" + std::string(name);
    const std::string policy =
        add_policy(org_, name, {Scope::AccessPoliciesWrite, Scope::StacksRead},
                   {{.type = Realm::Type::Org,
                     .identifier = org_.value(),
                     .label_policies = std::move(selectors)}});
    add_token(org_, policy, name, secret);
    const net::Request made = request("Bearer " + secret);
    std::string scopes;
    for (const Scope scope : {Scope::AccessPoliciesWrite, Scope::StacksRead})
      scopes += gate_.admit_control(made, scope) ? "+" : "-";
    return scopes;
  };
  EXPECT_EQ(admitted("free", std::nullopt), "++");
  EXPECT_EQ(admitted("bound", std::vector<std::string>{R"({ns="a"})"}), "-+");
}

using GateDeathTest = GateTest;

TEST_F(GateDeathTest, AViewForReadingCannotWrite) {
  const auto view =
      gate_.open(system_principal(org_, stack_, {Scope::MetricsRead}), Scope::MetricsRead);
  ASSERT_TRUE(view);
  EXPECT_DEATH(static_cast<void>(view->append(telemetry::MetricBatch{})), "metrics:write");
  EXPECT_DEATH(static_cast<void>(view->clean_tombstones()), "metrics:delete");
}

class ReadOnlyGateTest : public GateTest {
 protected:
  ReadOnlyGateTest() {
    const std::vector<Realm> stack = {{.type = Realm::Type::Stack, .identifier = stack_.value()}};
    add_token(org_, add_policy(org_, "read", {Scope::MetricsRead}, stack), "r", "glc_read");
    add_token(org_, add_policy(org_, "both", {Scope::MetricsRead, Scope::MetricsWrite}, stack), "b",
              "glc_both");
    add_token(org_, add_policy(org_, "rules", {Scope::RulesRead}, stack), "u", "glc_rules");
  }

  std::string ask(std::string_view authorization, Scope scope = Scope::MetricsRead) {
    const auto view = read_only_.admit(request(authorization), {.scope = scope});
    return view ? "in" : std::to_string(view.error().status) + " " + view.error().message;
  }

  QueryLimiter limiter_{clock_, registry_, {.concurrent_queries = 1}};
  Gate read_only_{authenticator_,
                  stores_,
                  registry_,
                  {.door = Gate::Door::ReadOnlyBearer, .limiter = &limiter_}};
};

TEST_F(ReadOnlyGateTest, LetsInWhoCanOnlyRead) {
  EXPECT_EQ(ask("Bearer glc_read"), "in");
  EXPECT_EQ(ask("Bearer glc_both"), "403 endpoint not available on the read-only API");
  EXPECT_EQ(ask("Bearer glc_write"), "403 endpoint not available on the read-only API");
  EXPECT_EQ(ask("Bearer glc_rules"), "403 authentication error: invalid scope requested");
  EXPECT_EQ(ask("Bearer glc_nothing"), "401 authentication error: invalid token");
  EXPECT_EQ(ask("Basic MTAwMDAwMDpnbGNfcmVhZA=="), "401 authentication error: invalid token");
}

TEST_F(ReadOnlyGateTest, OpensNothingButReading) {
  EXPECT_EQ(ask("Bearer glc_read", Scope::MetricsDelete),
            "403 endpoint not available on the read-only API");
}

TEST_F(ReadOnlyGateTest, HoldsAPlaceAsLongAsTheView) {
  auto view = read_only_.admit(request("Bearer glc_read"), {.scope = Scope::MetricsRead});
  ASSERT_TRUE(view);
  EXPECT_EQ(ask("Bearer glc_read"), "429 rate limit exceeded");
  view = std::unexpected(AccessError{});
  EXPECT_EQ(ask("Bearer glc_read"), "in");
}

TEST_F(GateTest, TheControlPlaneAsksForAScopeAndTheTokensOwnOrganisation) {
  const OrgId other = add_organisation("other");
  const net::Request write = request("Bearer glc_write");
  EXPECT_TRUE(gate_.admit_control(write, std::nullopt));
  EXPECT_TRUE(gate_.admit_control(write, Scope::MetricsWrite, org_));
  EXPECT_EQ(gate_.admit_control(write, Scope::OrgsRead).error().status, 403);
  EXPECT_EQ(gate_.admit_control(write, std::nullopt, other).error().status, 403);
  EXPECT_EQ(gate_.admit_control(net::Request{}, std::nullopt).error().status, 401);
}

class OneSession final : public SessionAuthenticator {
 public:
  AccessResult<ControlPrincipal> authenticate(const net::Request& request,
                                              std::optional<OrgId> org) const override {
    if (!request.headers.contains("Cookie")) return std::unexpected(no_credentials({}));
    return ControlPrincipal{.actor = {.type = Actor::Type::User, .id = "u", .name = "admin"},
                            .client = {},
                            .org = org.value_or(OrgId(1)),
                            .scopes = {Scope::OrgsRead}};
  }
};

TEST_F(GateTest, ASessionCountsOnlyWithoutAToken) {
  const OneSession sessions;
  const Gate gate(authenticator_, stores_, registry_, {.sessions = &sessions});
  net::Request request;
  request.headers.add("Cookie", "__Host-gantry_session=1");
  EXPECT_EQ(gate.admit_control(request, Scope::OrgsRead)->actor.name, "admin");
  EXPECT_EQ(gate.admit_control(request, Scope::OrgsWrite).error().status, 403);
  request.headers.add("Authorization", "Bearer glc_nothing");
  EXPECT_EQ(gate.admit_control(request, Scope::OrgsRead).error().status, 401)
      << "a bad token is final";
  EXPECT_FALSE(gate.admit(request, {.scope = Scope::MetricsRead}));
}

TEST_F(GateTest, StoresAreReconfiguredAndClosedTogether) {
  stores_.reconfigure(stack_, {}, {});
  EXPECT_TRUE(stores_.close());
  EXPECT_EQ(store_->calls, "reconfigure close ");
}

}  // namespace
}  // namespace gantry::access
