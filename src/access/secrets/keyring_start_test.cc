#include "access/secrets/keyring_start.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "access/testing/secrets_fixture.h"

namespace gantry::access {
namespace {

class KeyringStartTest : public SecretsFixture {
 protected:
  /// "" when it starts, else why not.
  std::string start() {
    const auto opened = open_keyring(source(), *db_, *audit_);
    return opened ? "" : opened.error().message;
  }

  std::string init() {
    const auto made = init_keyring(source(), *db_, *audit_);
    return made ? "" : made.error().message;
  }

  void remove_keyring() { std::filesystem::remove(source().path); }

  std::string file() const { return source().path.string(); }

  std::string not_of_this_database() const {
    return file() +
           " is not the keyring of the secrets in this database: restore the one that is "
           "from its backup, or copy it from another replica";
  }
};

TEST_F(KeyringStartTest, OneServerMakesItsOwnAndReplicasDoNot) {
  remove_keyring();
  const auto opened = open_keyring(source(), *db_, *audit_);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(std::filesystem::exists(source().path), !db_->is_shared());
  EXPECT_EQ((*opened)->current() != nullptr, !db_->is_shared());
  EXPECT_EQ(start(), "") << "again";
}

TEST_F(KeyringStartTest, WithoutAKeyringNothingIsSealed) {
  remove_keyring();
  auto tx = directory_->begin_write();
  const auto sealed = sealer_->seal(*tx, place(org_, "d1"), Secret::copy_of("x"));
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().message,
            "there is no " + file() +
                " to seal secrets with: gantry keyring init makes one, or copy it from another "
                "replica");
}

TEST_F(KeyringStartTest, AMissingOneIsRefusedOnceSecretsAreSealed) {
  ASSERT_EQ(start(), "");
  set(place(org_, "d1"), "one");
  remove_keyring();
  EXPECT_EQ(start(),
            file() + " is missing, and without it no secret in " + db_->name() +
                " can be opened: " +
                (db_->is_shared() ? "copy it from another replica, or restore it from its backup"
                                  : "restore it from its backup"));
  EXPECT_FALSE(std::filesystem::exists(source().path)) << "none was made";
  EXPECT_EQ(init(), db_->name() +
                        " has secrets that are sealed with a keyring: restore that one, or copy it "
                        "from another replica");
}

TEST_F(KeyringStartTest, AnotherOneIsRefused) {
  ASSERT_EQ(start(), "");
  write_keyring(Keyring::make("k1"));
  EXPECT_EQ(start(), not_of_this_database()) << "another key of that id";
  write_keyring(Keyring::make("k2"));
  EXPECT_EQ(start(), not_of_this_database()) << "nothing of the old one";
}

TEST_F(KeyringStartTest, AKeyThatIsInUseMustBeThere) {
  set(place(org_, "d1"), "one");
  const auto before = read_keyring(source());
  write_keyring(before->with_new_key("k2"));
  ASSERT_EQ(start(), "");
  // What an operator may do by hand: k1 goes, although nothing was sealed again.
  write_keyring(without_key(*read_keyring(source()), "k1"));
  EXPECT_EQ(start(), file() +
                         " has no key \"k1\", which 1 data keys of this database are sealed "
                         "with: restore it from a backup, or copy the keyring from another "
                         "replica");
}

TEST_F(KeyringStartTest, AnUnsafeOneIsRefused) {
  std::filesystem::permissions(source().path, std::filesystem::perms::group_read,
                               std::filesystem::perm_options::add);
  EXPECT_EQ(start(), file() + " has mode 0640, others than its owner may use it: chmod 600");
}

TEST_F(KeyringStartTest, InitMakesOneOnce) {
  remove_keyring();
  EXPECT_EQ(init(), "");
  EXPECT_EQ(start(), "");
  EXPECT_EQ(init(), "creating " + file() + ": File exists");
  EXPECT_EQ(start(), "") << "the refused one has left the canaries alone";
}

TEST_F(KeyringStartTest, OneThatWasLostBeforeItSealedAnythingIsReplaced) {
  ASSERT_EQ(start(), "");
  remove_keyring();
  EXPECT_EQ(init(), "");
  EXPECT_EQ(start(), "");
  set(place(org_, "d1"), "one");
  EXPECT_EQ(read(place(org_, "d1")), "one");
}

TEST_F(KeyringStartTest, ANewActiveKeyIsAnAuditEventOnce) {
  ASSERT_EQ(start(), "");
  EXPECT_EQ(count("audit_events"), 0) << "the first one is no rotation";
  write_keyring(read_keyring(source())->with_new_key("k2"));
  ASSERT_EQ(start(), "");
  ASSERT_EQ(start(), "");
  const auto events = audit_->read({.event = "keyring.rotated"});
  ASSERT_TRUE(events && events->size() == 1U);
  const AuditEvent& event = events->at(0).event;
  EXPECT_EQ(event.target.name, "keyring.json");
  ASSERT_EQ(event.changes.size(), 1U);
  EXPECT_EQ(event.changes[0].after, "k2");
}

}  // namespace
}  // namespace gantry::access
