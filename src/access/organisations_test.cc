#include "access/organisations.h"

#include <algorithm>

#include "access/directory.h"
#include "access/legacy_keys.h"
#include "access/session_rows.h"
#include "access/testing/control_fixture.h"
#include "access/users.h"

namespace gantry::access {
namespace {

class OrganisationsTest : public ControlFixture {
 protected:
  ControlResult<Organisation> remove(OrgId org, ControlPrincipal who) {
    return change(who, [&](ControlChange& change) { return delete_organisation(org, change); });
  }

  ControlResult<Organisation> remove(OrgId org) { return remove(org, admin()); }

  void retire_stacks() {
    ASSERT_TRUE(
        change(admin(), [&](ControlChange& change) { return delete_stack(org_, change, "main"); }));
  }

  std::string add_member(std::string_view login, OrgId org) {
    return write([&](state::Transaction& tx) -> Result<std::string> {
      GANTRY_TRY(std::string id, add_user(tx, {.login = login}, clock_.now()));
      GANTRY_CHECK(set_membership(tx, id, {.org = org, .role = Role::Editor}));
      return id;
    });
  }

  void begin_session(const std::string& user_id) {
    SessionRow row{.family_id = make_uuid(), .user_id = user_id, .provider = "password"};
    row.hash = hasher_.hash(row.family_id);
    row.expires_at = clock_.now() + DurationMs{1000};
    write([&](state::Transaction& tx) { return insert_session(tx, row); });
  }

  void add_secret(OrgId org) {
    write([&](state::Transaction& tx) -> Result<void> {
      const std::string id = std::to_string(org.value());
      GANTRY_CHECK(
          tx.execute("INSERT INTO data_keys (org_id, id, kek, made_under, wrapped, sealed_count, "
                     "created_at_ms) VALUES (" +
                     id + ", 1, 'k1', 'k1', 'sealed', 1, 0)"));
      return tx.execute(
          "INSERT INTO secrets (org_id, owner_table, owner_id, name, data_key, sealed, hint, "
          "updated_at_ms) VALUES (" +
          id + ", 'destinations', 'd1', 'apiKey', 1, 'sealed', '', 0)");
    });
  }

  std::int64_t count(std::string_view sql) {
    return read([&](state::Transaction& tx) -> std::int64_t {
      auto select = tx.prepare(sql);
      EXPECT_TRUE(select && select->step().value_or(false));
      return select->integer(0);
    });
  }

  std::int64_t session_count(const std::string& user_id) {
    return read([&](state::Transaction& tx) {
      return static_cast<std::int64_t>(list_sessions(tx, user_id)->size());
    });
  }
};

TEST_F(OrganisationsTest, WithStacksStaysAndSaysWhich) {
  add_stack(org_, "second");
  const auto refused = remove(org_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  EXPECT_EQ(refused.error().message,
            "organisation \"main\" has stacks (main, second): delete them first");
  for (int i = 0; i < 11; ++i) add_stack(org_, "more-" + std::to_string(i));
  EXPECT_NE(remove(org_).error().message.find("more-7 and 3 more)"), std::string::npos)
      << remove(org_).error().message;
  EXPECT_TRUE(events().empty());
}

TEST_F(OrganisationsTest, TakesPoliciesTokensKeysAndMembershipsWithIt) {
  retire_stacks();
  PolicyDraft wide = draft("readers");
  wide.realms = {{.type = "org", .identifier = "main", .label_policies = {}}};
  const Policy policy = make_policy(wide);
  const IssuedToken issued = make_token(policy, "grafana");
  plane_.rules.legacy_keys = true;
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return create_legacy_key(org_, change, "old-key", "Viewer");
  }));
  const std::string ada = add_member("ada", org_);
  const std::string bob = add_member("bob", other_org_);
  for (const std::string& id : {ada, bob}) begin_session(id);
  for (const OrgId org : {org_, other_org_}) add_secret(org);
  const std::size_t before = events().size();

  const auto removed = remove(org_);
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_EQ(removed->slug, "main");
  std::vector<std::string> after = events();
  after.erase(after.begin(), after.begin() + static_cast<std::ptrdiff_t>(before));
  std::ranges::sort(after);
  EXPECT_EQ(after, (std::vector<std::string>{"accesspolicy.deleted", "accesspolicy.deleted",
                                             "apikey.deleted", "member.removed", "org.deleted",
                                             "token.revoked"}));
  EXPECT_FALSE(*directory_->find_grant(hasher_.hashes(issued.secret)));
  EXPECT_EQ(count("SELECT count(*) FROM access_policies"), 0);
  EXPECT_EQ(count("SELECT count(*) FROM tokens"), 0);
  EXPECT_EQ(count("SELECT count(*) FROM users"), 2) << "people stay";
  EXPECT_EQ(count("SELECT count(*) FROM memberships"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM secrets"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM data_keys"), 1) << "nor can backups of it be opened here";
  EXPECT_EQ(session_count(ada), 0);
  EXPECT_EQ(session_count(bob), 1) << "has lost nothing";
}

TEST_F(OrganisationsTest, IsGoneForEverybodyAndItsNameIsFree) {
  retire_stacks();
  ASSERT_TRUE(remove(org_));
  read([&](state::Transaction& tx) {
    for (const std::string_view name : {"main", "1"}) {
      EXPECT_FALSE(*look_up_organisation(tx, name));
      EXPECT_FALSE(*find_organisation(tx, name));
    }
    EXPECT_FALSE(*has_organisation(tx, org_));
    EXPECT_EQ(list_organisations(tx)->size(), 1U);
    return 0;
  });
  EXPECT_EQ(remove(org_).error().code, Code::NotFound);
  const auto again = change(
      admin(), [&](ControlChange& change) { return create_organisation(change, "main", "Again"); });
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_GT(again->id, other_org_) << "ids are never given again";
}

TEST_F(OrganisationsTest, TheLastOneMayGoAndNoFirstStartFollows) {
  retire_stacks();
  ASSERT_TRUE(change(system_control_principal(other_org_), [&](ControlChange& change) {
    return delete_stack(other_org_, change, "foreign");
  }));
  ASSERT_TRUE(remove(org_));
  ASSERT_TRUE(remove(other_org_));
  EXPECT_FALSE(*directory_->is_empty());
}

TEST_F(OrganisationsTest, WhoDeletesItStaysSignedIn) {
  retire_stacks();
  const std::string ada = add_member("ada", org_);
  begin_session(ada);
  ControlPrincipal who = admin();
  who.actor = {.type = Actor::Type::User, .id = ada, .name = "ada"};
  who.is_super_admin = true;
  ASSERT_TRUE(remove(org_, who));
  EXPECT_EQ(session_count(ada), 1);
  EXPECT_EQ(count("SELECT count(*) FROM memberships"), 0);
}

}  // namespace
}  // namespace gantry::access
