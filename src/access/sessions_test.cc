#include "access/sessions.h"

#include <algorithm>

#include "access/testing/people_fixture.h"

namespace gantry::access {
namespace {

class SessionsTest : public PeopleFixture {
 protected:
  void SetUp() override {
    PeopleFixture::SetUp();
    if (IsSkipped()) return;
    org_ = add_organisation("acme");
    ann_ = add_person("ann");
    join(ann_, org_, Role::Editor);
  }

  std::string rotate(std::string_view session) {
    const auto next = sessions_->rotate_if_due(request(session));
    EXPECT_TRUE(next) << (next ? "" : next.error().message);
    return *next ? (*next)->value : "";
  }

  OrgId org_;
  std::string ann_;
};

TEST_F(SessionsTest, AreWhoTheyWereMadeFor) {
  const IssuedSession session = begin(ann_);
  EXPECT_EQ(session.value.size(), 43U);
  const auto principal = sessions_->authenticate(request(session.value), std::nullopt);
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->actor.name, "ann");
  EXPECT_EQ(principal->org, org_);
  EXPECT_EQ(principal->role, Role::Editor);
  EXPECT_EQ(principal->scopes, role_scopes(Role::Editor));
  EXPECT_FALSE(principal->is_super_admin);
  EXPECT_EQ(principal->realms,
            (std::vector<Realm>{{.type = Realm::Type::Org, .identifier = org_.value()}}));
  EXPECT_EQ(refusal(std::string(43, 'A')), "unknown_session");
  EXPECT_EQ(refusal("short"), "malformed_session");
  net::Request without = request(session.value);
  without.headers = {};
  EXPECT_EQ(sessions_->identify(without).error().status, 401);
}

TEST_F(SessionsTest, AreKeptAsHashesOnly) {
  const IssuedSession session = begin(ann_);
  auto tx = db_->begin_read();
  auto select = tx->prepare("SELECT hash FROM sessions");
  ASSERT_TRUE(*select->step());
  const TokenHash hash = hasher_.hash(session.value);
  EXPECT_TRUE(std::ranges::equal(select->blob(0), std::as_bytes(std::span(hash))));
}

TEST_F(SessionsTest, EndWithoutUse) {
  const std::string session = begin(ann_).value;
  clock_.advance({7 * kHourMs});
  EXPECT_EQ(refusal(session), "");
  clock_.advance({7 * kHourMs});
  EXPECT_EQ(refusal(session), "") << "used seven hours ago";
  ASSERT_TRUE(sessions_->flush());
  clock_.advance({7 * kHourMs});
  EXPECT_EQ(refusal(session), "") << "the flush wrote the use down";
  clock_.advance({8 * kHourMs});
  EXPECT_EQ(refusal(session), "expired") << "29 hours after the sign-in";
}

TEST_F(SessionsTest, EndAfterEightIdleHours) {
  const std::string session = begin(ann_).value;
  clock_.advance({8 * kHourMs});
  EXPECT_EQ(refusal(session), "idle");
  ASSERT_TRUE(sessions_->flush());
  sessions_->forget_all();
  EXPECT_EQ(refusal(session), "unknown_session") << "removed";
}

TEST_F(SessionsTest, RememberedOnesLastAWeek) {
  const IssuedSession session = begin(ann_, Remember::Yes);
  EXPECT_EQ(session.max_age_seconds, 7 * 24 * 3600);
  EXPECT_EQ(begin(ann_).max_age_seconds, std::nullopt);
  for (int hour = 0; hour < 7 * 24 - 4; hour += 4) {
    clock_.advance({4 * kHourMs});
    ASSERT_EQ(refusal(session.value), "") << hour;
  }
  clock_.advance({4 * kHourMs});
  EXPECT_EQ(refusal(session.value), "expired");
}

TEST_F(SessionsTest, GetANewIdEveryTenMinutes) {
  const std::string first = begin(ann_).value;
  EXPECT_EQ(rotate(first), "") << "not yet";
  clock_.advance({10 * kMinuteMs});
  const std::string second = rotate(first);
  ASSERT_EQ(second.size(), 43U);
  EXPECT_EQ(rotate(first), "") << "once";
  EXPECT_EQ(refusal(second), "");
  EXPECT_EQ(refusal(first), "") << "requests under way";
  clock_.advance({29'000});
  EXPECT_EQ(refusal(first), "");
  const auto before = sessions_->identify(request(first));
  const auto after = sessions_->identify(request(second));
  EXPECT_EQ(sessions_->csrf_token(*before), sessions_->csrf_token(*after));
}

TEST_F(SessionsTest, AReplacedIdEndsTheFamilyWhenItComesAgain) {
  const std::string first = begin(ann_).value;
  const std::string other = begin(ann_).value;
  clock_.advance({10 * kMinuteMs});
  const std::string second = rotate(first);
  clock_.advance({30'000});
  EXPECT_EQ(refusal(second), "");
  EXPECT_EQ(refusal(first), "reuse");
  EXPECT_EQ(refusal(second), "unknown_session") << "thief and owner alike";
  EXPECT_EQ(refusal(other), "") << "another sign-in is another family";
  EXPECT_EQ(audited().front(), "session.reuse");
}

TEST_F(SessionsTest, AreTwentyAPersonAtMost) {
  std::vector<std::string> all;
  for (int i = 0; i < 21; ++i) {
    all.push_back(begin(ann_).value);
    clock_.advance({1});
  }
  EXPECT_EQ(refusal(all[0]), "unknown_session");
  EXPECT_EQ(refusal(all[1]), "");
  EXPECT_EQ(refusal(all[20]), "");
}

TEST_F(SessionsTest, OfDisabledPeopleCountNothing) {
  const std::string session = begin(ann_).value;
  EXPECT_EQ(refusal(session), "");
  write([&](state::Transaction& tx) -> Result<void> {
    GANTRY_TRY(auto user, find_user(tx, ann_));
    user->is_disabled = true;
    return update_user(tx, *user, clock_.now());
  });
  EXPECT_EQ(refusal(session), "") << "cached: nobody said that anything changed";
  sessions_->forget_all();
  EXPECT_EQ(refusal(session), "user_disabled");
}

TEST_F(SessionsTest, AChangeElsewhereIsSeenWithinTheCacheLife) {
  const std::string session = begin(ann_).value;
  EXPECT_EQ(refusal(session), "");
  write([&](state::Transaction& tx) {
    return remove_family(tx, sessions_->identify(request(session))->row.family_id);
  });
  clock_.advance({30'000});
  EXPECT_EQ(refusal(session), "unknown_session");
}

TEST_F(SessionsTest, CostNoQueryOnceKnown) {
  const std::string session = begin(ann_).value;
  EXPECT_EQ(refusal(session), "");
  write([&](state::Transaction& tx) { return tx.execute("DELETE FROM sessions"); });
  EXPECT_EQ(refusal(session), "") << "answered from memory";
}

TEST_F(SessionsTest, UnsafeMethodsNeedTheCsrfToken) {
  const std::string session = begin(ann_).value;
  net::Request post = request(session, net::Method::Post);
  const auto refused = [&] {
    const auto principal = sessions_->authenticate(post, std::nullopt);
    return principal ? "" : std::string(principal.error().reason);
  };
  EXPECT_EQ(refused(), "csrf_token");
  post.headers.set(kCsrfHeader, std::string(64, '0'));
  EXPECT_EQ(refused(), "csrf_token");
  const auto identity = sessions_->identify(request(session));
  post.headers.set(kCsrfHeader, sessions_->csrf_token(*identity));
  EXPECT_EQ(refused(), "");
  const auto others = sessions_->identify(request(begin(ann_).value));
  post.headers.set(kCsrfHeader, sessions_->csrf_token(*others));
  EXPECT_EQ(refused(), "csrf_token") << "of another session";
  post.headers.set(kCsrfHeader, sessions_->csrf_token(*identity));
  post.headers.set("Sec-Fetch-Site", "cross-site");
  EXPECT_EQ(refused(), "csrf_site");
  EXPECT_EQ(audited().front(), "csrf.blocked");
}

TEST_F(SessionsTest, AreNotForPlainHttp) {
  net::Request plain = request(begin(ann_).value);
  plain.is_tls = false;
  EXPECT_EQ(sessions_->identify(plain).error().reason, "plain_http");
}

TEST_F(SessionsTest, SelectAnOrganisation) {
  const OrgId other = add_organisation("other");
  const OrgId third = add_organisation("third");
  join(ann_, other, Role::Viewer, std::vector<std::string>{"{team=\"a\"}"});
  const std::string session = begin(ann_).value;
  const auto principal = sessions_->authenticate(request(session), other);
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->role, Role::Viewer);
  EXPECT_EQ(principal->realms.front().label_policies, (std::vector<std::string>{"{team=\"a\"}"}));
  EXPECT_EQ(sessions_->authenticate(request(session), third).error().reason, "no_member");
}

TEST_F(SessionsTest, ARestrictedPersonWritesNoRules) {
  join(ann_, org_, Role::Editor, std::vector<std::string>{"{team=\"a\"}"});
  const ControlPrincipal principal = as(ann_);
  EXPECT_TRUE(principal.scopes.contains(Scope::MetricsRead));
  EXPECT_TRUE(principal.scopes.contains(Scope::DashboardsWrite));
  for (const Scope scope : {Scope::RulesRead, Scope::RulesWrite, Scope::AlertsWrite,
                            Scope::PipelinesWrite, Scope::DestinationsWrite, Scope::StacksWrite})
    EXPECT_FALSE(principal.scopes.contains(scope)) << scope_name(scope);
}

TEST_F(SessionsTest, ASuperAdminReadsNoTelemetryWithoutARole) {
  const std::string root = add_person("root");
  make_super_admin(root);
  const ControlPrincipal principal = as(root, org_);
  EXPECT_TRUE(principal.is_super_admin);
  EXPECT_EQ(principal.role, std::nullopt);
  EXPECT_EQ(principal.org, org_);
  EXPECT_TRUE(principal.scopes.contains(Scope::AccessPoliciesWrite));
  for (const Scope scope : {Scope::MetricsRead, Scope::MetricsWrite, Scope::MetricsDelete,
                            Scope::LogsRead, Scope::TracesRead, Scope::ProfilesRead})
    EXPECT_FALSE(principal.scopes.contains(scope)) << scope_name(scope);
  join(root, org_, Role::Viewer);
  EXPECT_TRUE(as(root, org_).scopes.contains(Scope::MetricsRead));
}

}  // namespace
}  // namespace gantry::access
