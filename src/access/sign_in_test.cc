#include "access/sign_in.h"

#include "access/testing/people_fixture.h"

namespace gantry::access {
namespace {

constexpr std::string_view kPassword = "correct horse battery";

class SignInTest : public PeopleFixture {
 protected:
  void SetUp() override {
    PeopleFixture::SetUp();
    if (IsSkipped()) return;
    ann_ = add_person("ann", kPassword);
    join(ann_, add_organisation("acme"), Role::Viewer);
  }

  AccessResult<SignedIn> sign_in(std::string_view login, std::string_view password,
                                 std::string device = "", std::string ip = "192.0.2.1") {
    return sign_in_->sign_in({.login = std::string(login),
                              .password = std::string(password),
                              .device = std::move(device),
                              .client = {.ip = std::move(ip)}});
  }

  SessionIdentity identity(const IssuedSession& session) {
    const auto found = sessions_->identify(request(session.value));
    EXPECT_TRUE(found);
    return *found;
  }

  std::string password_hash() {
    auto tx = db_->begin_read();
    return (*find_user(*tx, ann_))->password_hash;
  }

  std::string ann_;
};

TEST_F(SignInTest, OpensASession) {
  const auto signed_in = sign_in("Ann", kPassword);
  ASSERT_TRUE(signed_in) << signed_in.error().message;
  EXPECT_EQ(identity(signed_in->session).user.login, "ann");
  EXPECT_EQ(signed_in->device.size(), 43U);
  EXPECT_EQ(audited().front(), "login.ok");
  const auto again = sign_in("ann", kPassword, signed_in->device);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->device, "") << "the browser is known";
}

TEST_F(SignInTest, SaysTheSameWhateverIsWrong) {
  std::string disabled = add_person("bob", kPassword);
  write([&](state::Transaction& tx) -> Result<void> {
    GANTRY_TRY(auto user, find_user(tx, disabled));
    user->is_disabled = true;
    return update_user(tx, *user, clock_.now());
  });
  add_person("eve");  // no password: signs in elsewhere
  for (const auto& [login, password] :
       {std::pair{"ann", "wrong horse battery"}, std::pair{"nobody", "correct horse battery"},
        std::pair{"bob", "correct horse battery"}, std::pair{"eve", ""}, std::pair{"", ""}}) {
    const auto refused = sign_in(login, password);
    ASSERT_FALSE(refused) << login;
    EXPECT_EQ(refused.error().status, 401);
    EXPECT_EQ(refused.error().message, "Invalid user name or password");
  }
  EXPECT_EQ(audited().front(), "login.fail");
}

TEST_F(SignInTest, TellsWhenToComeBack) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(sign_in("ann", "wrong horse").error().status, 401);
  const auto refused = sign_in("ann", kPassword);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().status, 429);
  EXPECT_EQ(refused.error().headers.find("Retry-After"), "2");
  EXPECT_EQ(audited().front(), "login.throttled");
  clock_.advance({2000});
  EXPECT_TRUE(sign_in("ann", kPassword));
}

TEST_F(SignInTest, ImprovesAnOldHash) {
  PasswordHasher weaker({.memory_bytes = 8192, .passes = 1});
  const std::string old = *weaker.hash(kPassword);
  write([&](state::Transaction& tx) { return set_password_hash(tx, ann_, old, clock_.now()); });
  ASSERT_TRUE(sign_in("ann", kPassword));
  EXPECT_NE(password_hash(), old);
  EXPECT_TRUE(*passwords_.verify(kPassword, password_hash()));
}

TEST_F(SignInTest, ConfirmingMakesTheSessionFresh) {
  const auto signed_in = sign_in("ann", kPassword);
  clock_.advance({kHourMs});
  const SessionIdentity before = identity(signed_in->session);
  EXPECT_EQ(sign_in_->confirm(before, "wrong horse", {}).error().status, 401);
  const auto renewed = sign_in_->confirm(before, std::string(kPassword), {});
  ASSERT_TRUE(renewed);
  EXPECT_EQ(identity(*renewed).row.authenticated_at, clock_.now());
  EXPECT_EQ(identity(*renewed).row.signed_in_at, kTestStart);
  EXPECT_EQ(identity(*renewed).row.family_id, before.row.family_id);
  EXPECT_NE(renewed->value, signed_in->session.value);
}

TEST_F(SignInTest, ChangingThePasswordEndsOtherSessions) {
  const auto here = sign_in("ann", kPassword);
  const auto elsewhere = sign_in("ann", kPassword);
  const auto wrong =
      sign_in_->change_password(identity(here->session), "not it at all", "a new passphrase", {});
  EXPECT_EQ(wrong.error().status, 401);
  const auto bad =
      sign_in_->change_password(identity(here->session), std::string(kPassword), "password1", {});
  EXPECT_EQ(bad.error().status, 400);
  const auto own_name =
      sign_in_->change_password(identity(here->session), std::string(kPassword), "acme1234", {});
  EXPECT_EQ(own_name.error().status, 400);
  const auto changed = sign_in_->change_password(identity(here->session), std::string(kPassword),
                                                 "a new passphrase", {});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(refusal(changed->value), "");
  EXPECT_EQ(refusal(elsewhere->session.value), "unknown_session");
  EXPECT_FALSE(sign_in("ann", kPassword));
  EXPECT_TRUE(sign_in("ann", "a new passphrase"));
}

TEST_F(SignInTest, ALinkSetsThePasswordOnce) {
  const std::string root = add_person("root");
  make_super_admin(root);
  const auto session = sign_in("ann", kPassword);
  const auto first = people_->make_password_link(as(root), ann_);
  const auto link = people_->make_password_link(as(root), ann_);
  ASSERT_TRUE(first && link);
  EXPECT_EQ(sign_in_->find_link(first->secret).error().status, 401) << "a newer one replaced it";
  EXPECT_EQ(sign_in_->find_link(link->secret).value_or("?"), "ann");
  EXPECT_EQ(sign_in_->set_password_by_link(link->secret, "short", {}).error().status, 400);
  ASSERT_TRUE(sign_in_->set_password_by_link(link->secret, "a new passphrase", {}));
  EXPECT_EQ(sign_in_->set_password_by_link(link->secret, "another passphrase", {}).error().status,
            401);
  EXPECT_EQ(refusal(session->session.value), "unknown_session");
  EXPECT_TRUE(sign_in("ann", "a new passphrase"));
}

TEST_F(SignInTest, ALinkRunsOut) {
  const std::string root = add_person("root");
  make_super_admin(root);
  const auto link = people_->make_password_link(as(root), ann_);
  clock_.advance({24 * kHourMs});
  EXPECT_EQ(sign_in_->find_link(link->secret).error().status, 401);
  ASSERT_TRUE(sign_in_->expire());
}

TEST_F(SignInTest, KeepsNoSecretInTheAuditLog) {
  EXPECT_FALSE(sign_in("hunter2-in-the-wrong-field", "x"));
  ASSERT_TRUE(sign_in("ann", kPassword));
  ASSERT_TRUE(audit_->flush());
  for (const AuditRecord& record : *audit_->read({})) {
    EXPECT_FALSE(record.event.target.name.contains("hunter2"));
    EXPECT_FALSE(record.event.actor.name.contains("hunter2"));
  }
}

}  // namespace
}  // namespace gantry::access
