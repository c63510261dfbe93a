#include "access/user_administration.h"

#include <algorithm>

#include "access/authenticator.h"
#include "access/control_plane.h"
#include "access/personal_tokens.h"
#include "access/testing/people_fixture.h"

namespace gantry::access {
namespace {

class UserAdministrationTest : public PeopleFixture {
 protected:
  void SetUp() override {
    PeopleFixture::SetUp();
    if (IsSkipped()) return;
    acme_ = add_organisation("acme");
    other_ = add_organisation("other");
    root_ = add_person("root");
    make_super_admin(root_);
    boss_ = add_person("boss");
    join(boss_, acme_, Role::Admin);
    ed_ = add_person("ed");
    join(ed_, acme_, Role::Editor);
  }

  template <class T>
  static Code code(const Result<T>& result) {
    return result ? Code{} : result.error().code;
  }

  ControlPrincipal token(std::vector<Scope> scopes) const {
    ControlPrincipal who{.actor = {.type = Actor::Type::Token, .id = "t1", .name = "p/t"},
                         .org = acme_,
                         .realms = {{.type = Realm::Type::Org, .identifier = acme_.value()}}};
    for (const Scope scope : scopes) who.scopes.add(scope);
    return who;
  }

  std::optional<Role> role_of(const std::string& id, OrgId org) {
    auto tx = db_->begin_read();
    for (const Membership& m : *list_memberships(*tx, id))
      if (m.org == org) return m.role;
    return std::nullopt;
  }

  OrgId acme_;
  OrgId other_;
  std::string root_;
  std::string boss_;
  std::string ed_;
};

TEST_F(UserAdministrationTest, PeopleAreAddedWithinOnesOwnRights) {
  const auto added = people_->add(as(boss_), {.login = "new", .org = acme_, .role = Role::Editor});
  ASSERT_TRUE(added) << added.error().message;
  EXPECT_EQ(role_of(added->user.id, acme_), Role::Editor);
  EXPECT_EQ(added->user.password_hash, "");
  EXPECT_EQ(audited().front(), "user.created");
  EXPECT_EQ(code(people_->add(as(boss_), {.login = "NEW", .org = acme_})), Code::AlreadyExists);
  EXPECT_EQ(code(people_->add(as(boss_), {.login = "x", .org = other_})), Code::PermissionDenied);
  EXPECT_EQ(code(people_->add(as(boss_), {.login = "x"})), Code::PermissionDenied);
  EXPECT_EQ(code(people_->add(as(boss_), {.login = "x", .org = acme_, .is_super_admin = true})),
            Code::PermissionDenied);
  EXPECT_EQ(code(people_->add(as(ed_), {.login = "x", .org = acme_})), Code::PermissionDenied);
  EXPECT_TRUE(people_->add(as(root_), {.login = "free", .is_super_admin = true}));
  EXPECT_EQ(code(people_->add(as(root_), {.login = " x", .org = acme_})), Code::InvalidArgument);
  EXPECT_EQ(code(people_->add(as(root_), {.login = "x", .org = OrgId(99)})), Code::NotFound);
}

TEST_F(UserAdministrationTest, ATokenGivesNoMoreThanItHas) {
  const auto viewer_scopes = [] {
    std::vector<Scope> scopes = {Scope::OrgsWrite};
    for (std::size_t i = 0; i < kScopeCount; ++i)
      if (role_scopes(Role::Viewer).contains(static_cast<Scope>(i)))
        scopes.push_back(static_cast<Scope>(i));
    return scopes;
  }();
  EXPECT_TRUE(people_->add(token(viewer_scopes), {.login = "v", .org = acme_}));
  EXPECT_EQ(
      code(people_->add(token(viewer_scopes), {.login = "e", .org = acme_, .role = Role::Editor})),
      Code::PermissionDenied);
  EXPECT_EQ(code(people_->add(token({Scope::OrgsWrite}), {.login = "w", .org = acme_})),
            Code::PermissionDenied);
  EXPECT_EQ(
      code(people_->set_member(token(viewer_scopes), boss_, {.org = acme_, .role = Role::Viewer})),
      Code::PermissionDenied);
  ControlPrincipal narrowed = token(viewer_scopes);
  narrowed.realms.front().label_policies = std::vector<std::string>{"{a=\"b\"}"};
  EXPECT_EQ(code(people_->add(narrowed, {.login = "y", .org = acme_})), Code::PermissionDenied);
}

TEST_F(UserAdministrationTest, NobodyRaisesThemselves) {
  EXPECT_EQ(code(people_->set_member(as(root_), root_, {.org = acme_, .role = Role::Viewer})),
            Code::PermissionDenied);
  EXPECT_EQ(code(people_->set_member(as(ed_), ed_, {.org = acme_, .role = Role::Admin})),
            Code::PermissionDenied);
  EXPECT_EQ(code(people_->change(as(boss_), boss_, {.is_super_admin = true})),
            Code::PermissionDenied);
  EXPECT_TRUE(people_->set_member(as(boss_), boss_, {.org = acme_, .role = Role::Viewer}));
}

TEST_F(UserAdministrationTest, TheLastSuperAdminStays) {
  for (const AccountChange& change :
       {AccountChange{.is_disabled = true}, AccountChange{.is_super_admin = false}})
    EXPECT_EQ(code(people_->change(as(root_), root_, change)), Code::FailedPrecondition);
  EXPECT_EQ(code(people_->remove(as(root_), root_)), Code::FailedPrecondition);
  const std::string second = add_person("second");
  make_super_admin(second);
  EXPECT_TRUE(people_->change(as(second), root_, {.is_disabled = true}));
  EXPECT_EQ(code(people_->remove(as(second), second)), Code::FailedPrecondition)
      << "a disabled one does not count";
}

TEST_F(UserAdministrationTest, ReducingARoleEndsSessions) {
  const std::string session = begin(ed_).value;
  ASSERT_TRUE(people_->set_member(as(boss_), ed_, {.org = acme_, .role = Role::Viewer}));
  EXPECT_EQ(refusal(session), "unknown_session");
  EXPECT_EQ(audited().front(), "member.role_changed");
  const std::string next = begin(ed_).value;
  ASSERT_TRUE(people_->set_member(as(boss_), ed_, {.org = acme_, .role = Role::Admin}));
  EXPECT_EQ(refusal(next), "");
  EXPECT_TRUE(sessions_->rotate_if_due(request(next))->has_value()) << "a new role, a new id";
  ASSERT_TRUE(people_->remove_member(as(boss_), ed_, acme_));
  EXPECT_EQ(role_of(ed_, acme_), std::nullopt);
  EXPECT_EQ(refusal(next), "unknown_session");
}

TEST_F(UserAdministrationTest, DisablingEndsSessionsAndDeletingRemovesAll) {
  const std::string session = begin(ed_).value;
  ASSERT_TRUE(people_->change(as(boss_), ed_, {.is_disabled = true}));
  EXPECT_EQ(refusal(session), "unknown_session");
  EXPECT_EQ(audited().front(), "user.disabled");
  EXPECT_EQ(code(people_->make_password_link(as(boss_), ed_)), Code::FailedPrecondition);
  ASSERT_TRUE(people_->remove(as(boss_), ed_));
  EXPECT_EQ(code(people_->find(as(root_), ed_)), Code::NotFound);
}

TEST_F(UserAdministrationTest, PersonalTokensEndWithThePersonAndTheLogSaysSo) {
  ControlPrincipal who = as(ed_);
  Directory directory(*db_);
  Authenticator authenticator(directory, hasher_, clock_, registry_, {});
  const ControlPlane plane{.db = *db_,
                           .audit = *audit_,
                           .authenticator = authenticator,
                           .hasher = hasher_,
                           .clock = clock_,
                           .rules = {}};
  {
    auto change = ControlChange::begin(plane, who);
    ASSERT_TRUE(change);
    ASSERT_TRUE(create_personal_token(acme_, *change, {.name = "laptop", .scopes = {"logs:read"}}));
    ASSERT_TRUE(change->commit());
  }
  ASSERT_TRUE(people_->remove(as(boss_), ed_));
  const auto records = audit_->read({});
  ASSERT_TRUE(records && records->size() >= 2);
  EXPECT_EQ((*records)[0].event.event, "user.deleted");
  EXPECT_EQ((*records)[1].event.event, "token.revoked");
  EXPECT_EQ((*records)[1].event.target.name, "laptop");
  EXPECT_EQ((*records)[1].event.org, acme_);
}

TEST_F(UserAdministrationTest, AnAdminHasNoSayOverAccountsOfOthers) {
  join(ed_, other_, Role::Viewer);
  EXPECT_EQ(code(people_->remove(as(boss_), ed_)), Code::PermissionDenied)
      << "in two organisations";
  EXPECT_EQ(code(people_->make_password_link(as(boss_), ed_)), Code::PermissionDenied);
  EXPECT_EQ(code(people_->make_password_link(as(boss_), root_)), Code::NotFound);
  join(root_, acme_, Role::Viewer);
  EXPECT_EQ(code(people_->make_password_link(as(boss_), root_)), Code::PermissionDenied)
      << "a link would make the admin a super-admin";
  const auto seen = people_->find(as(boss_), ed_);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->memberships.size(), 1U) << "other organisations are not shown";
  const std::string stranger = add_person("stranger");
  join(stranger, other_, Role::Viewer);
  EXPECT_EQ(code(people_->find(as(boss_), stranger)), Code::NotFound);
  EXPECT_EQ(code(people_->list_members(as(boss_), other_)), Code::NotFound);
  EXPECT_EQ(people_->list(as(boss_), {})->size(), 3U);
  EXPECT_GT(people_->list(as(root_), {})->size(), 3U);
  EXPECT_EQ(people_->list(as(root_), {.text = "STRANG"})->size(), 1U);
}

TEST_F(UserAdministrationTest, RolesWantARecentSignIn) {
  ControlPrincipal who = as(boss_);
  clock_.advance({11 * kMinuteMs});
  const auto late = people_->set_member(who, ed_, {.org = acme_, .role = Role::Viewer});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().message,
            "sign in again to do this: the last sign-in is more than 10 minutes ago");
  EXPECT_TRUE(people_->change(who, ed_, {.name = "Ed"})) << "a name is no role";
  clock_.advance({12 * kHourMs});
  EXPECT_EQ(code(people_->change(who, ed_, {.name = "Edward"})), Code::PermissionDenied);
}

TEST_F(UserAdministrationTest, LabelPoliciesAreForViewersAndEditors) {
  const std::vector<std::string> policies = {"{team=\"a\"}", "{team=\"b\"}"};
  ASSERT_TRUE(people_->set_member(
      as(boss_), ed_, {.org = acme_, .role = Role::Editor, .label_policies = policies}));
  EXPECT_EQ(as(ed_).realms.front().label_policies, policies);
  EXPECT_EQ(code(people_->set_member(
                as(boss_), ed_, {.org = acme_, .role = Role::Admin, .label_policies = policies})),
            Code::InvalidArgument);
  EXPECT_EQ(
      code(people_->set_member(
          as(boss_), ed_,
          {.org = acme_, .role = Role::Viewer, .label_policies = std::vector<std::string>{}})),
      Code::InvalidArgument);
}

TEST_F(UserAdministrationTest, MembersAreAddedByLogin) {
  const std::string stranger = add_person("stranger");
  ASSERT_TRUE(people_->set_member_by_login(as(boss_), "Stranger", {.org = acme_}));
  EXPECT_EQ(role_of(stranger, acme_), Role::Viewer);
  EXPECT_EQ(people_->list_members(as(boss_), acme_)->size(), 3U);
  EXPECT_EQ(code(people_->set_member_by_login(as(boss_), "nobody", {.org = acme_})),
            Code::NotFound);
  EXPECT_EQ(code(people_->set_member_by_login(as(ed_), "nobody", {.org = acme_})),
            Code::PermissionDenied)
      << "who may not add learns nothing of who exists";
}

TEST_F(UserAdministrationTest, SessionsAreSeenAndEnded) {
  const IssuedSession one = begin(ed_);
  const IssuedSession two = begin(ed_);
  ControlPrincipal ed = *sessions_->authenticate(request(one.value), std::nullopt);
  EXPECT_EQ(people_->list_sessions(ed, ed_)->size(), 2U);
  ASSERT_TRUE(people_->end_sessions(ed, ed_, two.family_id));
  EXPECT_EQ(refusal(two.value), "unknown_session");
  EXPECT_EQ(refusal(one.value), "");
  EXPECT_EQ(audited().front(), "session.revoked");
  EXPECT_EQ(code(people_->end_sessions(ed, ed_, "no-such-family")), Code::NotFound);
  EXPECT_EQ(code(people_->end_sessions(ed, boss_, "")), Code::PermissionDenied);
  ASSERT_TRUE(people_->end_sessions(as(boss_), ed_, ""));
  EXPECT_EQ(refusal(one.value), "unknown_session");
}

}  // namespace
}  // namespace gantry::access
