#include "access/secrets/rewrap.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/testing/secrets_fixture.h"

namespace gantry::access {
namespace {

class RewrapTest : public SecretsFixture {
 protected:
  std::string rotate() {
    auto id = rotate_keyring(*db_, *live_, *audit_);
    return id ? *id : "error: " + id.error().message;
  }

  Rewrapped rewrap(std::int64_t batch_rows = 100) {
    auto done = rewrap_secrets(*db_, *sealer_, *audit_, batch_rows);
    EXPECT_TRUE(done) << done.error().message;
    return done ? *std::move(done) : Rewrapped{};
  }

  static std::string row(int number) { return "d" + std::to_string(number); }

  void fill(OrgId org, int rows) {
    for (int i = 0; i < rows; ++i) set(place(org, row(i)), "secret " + row(i));
  }

  void expect_readable(OrgId org, int rows) {
    for (int i = 0; i < rows; ++i) EXPECT_EQ(read(place(org, row(i))), "secret " + row(i));
  }

  /// No connection is open while the process forks.
  void close() {
    secrets_.reset();
    sealer_.reset();
    live_.reset();
    audit_.reset();
    rows_.reset();
    directory_.reset();
    db_.reset();
  }

  void reopen() {
    auto db = database_.open(state::migrations());
    ASSERT_TRUE(db) << db.error().message;
    db_ = *std::move(db);
    directory_.emplace(*db_);
    open_audit();
  }

  /// Nothing in the database refers to any key but `id`.
  void expect_only(const std::string& id) {
    EXPECT_EQ(query("SELECT kek FROM data_keys WHERE kek <> '" + id + "'"), "");
    EXPECT_EQ(query("SELECT key_id FROM keyring_canaries WHERE key_id <> '" + id + "'"), "");
    EXPECT_EQ(
        query("SELECT sealed FROM secrets WHERE sealed NOT LIKE 'gsec1." + id + ".%' ESCAPE '\\'"),
        "");
  }
};

TEST_F(RewrapTest, SealsEverythingWithTheNewKey) {
  const OrgId other = add_organisation("other");
  fill(org_, 5);
  fill(other, 2);
  ASSERT_EQ(rotate(), "k2");
  expect_readable(org_, 5);
  const Rewrapped done = rewrap(2);
  EXPECT_EQ(done.data_keys, 2);
  EXPECT_EQ(done.secrets, 7);
  EXPECT_EQ(done.removed_keys, 2);
  EXPECT_TRUE(done.failures.empty());
  EXPECT_EQ(done.unused, std::vector<std::string>{"k1"});
  expect_only("k2");
  expect_readable(org_, 5);
  expect_readable(other, 2);
}

TEST_F(RewrapTest, TheOldKeyMayGoAfterwards) {
  fill(org_, 2);
  ASSERT_EQ(rotate(), "k2");
  rewrap();
  write_keyring(without_key(*read_keyring(source()), "k1"));
  open_audit();
  write([&](state::Transaction& tx) {
    return admit_keyring(tx, *audit_, *read_keyring(source()), "it");
  });
  expect_readable(org_, 2);
}

TEST_F(RewrapTest, ASecondRunFindsNothingToDo) {
  fill(org_, 3);
  ASSERT_EQ(rotate(), "k2");
  rewrap();
  const std::string before = query("SELECT sealed FROM secrets ORDER BY owner_id");
  const Rewrapped again = rewrap();
  EXPECT_EQ(again.data_keys + again.secrets + again.removed_keys, 0);
  EXPECT_EQ(query("SELECT sealed FROM secrets ORDER BY owner_id"), before);
}

TEST_F(RewrapTest, WithoutRotationThereIsNothingToDo) {
  fill(org_, 3);
  const Rewrapped done = rewrap();
  EXPECT_EQ(done.data_keys + done.secrets + done.removed_keys, 0);
  EXPECT_TRUE(done.unused.empty());
}

TEST_F(RewrapTest, SealsWithAnAlgorithmThatWasChosenMeanwhile) {
  fill(org_, 1);
  sealer_.emplace(parts(), Sealer::Options{.algorithm = SealAlgorithm::Aes256Gcm});
  ASSERT_EQ(rotate(), "k2");
  rewrap();
  EXPECT_TRUE(query("SELECT sealed FROM secrets").starts_with("gsec1.k2.2.a256gcm."));
  expect_readable(org_, 1);
}

TEST_F(RewrapTest, WhatDoesNotOpenIsReportedAndLeftAsItWas) {
  fill(org_, 3);
  execute("UPDATE secrets SET sealed = 'damaged' WHERE owner_id = 'd1'");
  ASSERT_EQ(rotate(), "k2");
  const Rewrapped done = rewrap(1);
  EXPECT_EQ(done.secrets, 2);
  EXPECT_EQ(done.removed_keys, 0) << "the key of the one that is left";
  EXPECT_EQ(done.failures,
            std::vector<std::string>{"the secret apiKey of destinations d1 of organisation " +
                                     std::to_string(org_.value()) + ": this is no sealed value"});
  EXPECT_EQ(query("SELECT sealed FROM secrets WHERE owner_id = 'd1'"), "damaged");
  EXPECT_EQ(read(place(org_, "d0")), "secret d0");
  EXPECT_EQ(read(place(org_, "d2")), "secret d2");
}

TEST_F(RewrapTest, WhatAServerSealsMeanwhileIsSealedWithTheNewKey) {
  fill(org_, 1);
  // A server that has read the file before the rotation.
  LiveKeyring server_keyring(source(), *read_keyring(source()));
  const Sealer server({.keyring = server_keyring, .audit = *audit_, .clock = clock_}, {});
  ASSERT_EQ(rotate(), "k2");
  rewrap();
  const OrgId other = add_organisation("other");
  const StoredSecrets secrets(server);
  auto tx = directory_->begin_write();
  ASSERT_TRUE(secrets.set(*tx, place(org_, "d1"), Secret::copy_of("one"), clock_.now()));
  ASSERT_TRUE(secrets.set(*tx, place(other, "d1"), Secret::copy_of("two"), clock_.now()));
  ASSERT_TRUE(tx->commit());
  expect_only("k2");
  EXPECT_EQ(read(place(other, "d1")), "two");
}

TEST_F(RewrapTest, NumbersOfKeysAreNotGivenAgain) {
  fill(org_, 1);
  ASSERT_EQ(rotate(), "k2");
  ASSERT_EQ(rotate(), "k3");
  EXPECT_EQ(rewrap().unused, (std::vector<std::string>{"k1", "k2"}));
  ASSERT_EQ(rotate(), "k4");
  EXPECT_EQ(read_keyring(source())->keys().size(), 4U);
}

TEST_F(RewrapTest, AKeyringOfAnotherDatabaseIsNotRotated) {
  fill(org_, 1);
  const Keyring other = Keyring::make("k1");
  write_keyring(other);
  EXPECT_TRUE(rotate().starts_with("error: " + source().path.string() +
                                   " is not the keyring of the secrets in this database"));
  EXPECT_EQ(read_keyring(source())->keys().size(), 1U) << "the file is as it was";
  EXPECT_FALSE(rewrap_secrets(*db_, *sealer_, *audit_));
}

TEST_F(RewrapTest, ARotationThatEndedBeforeTheDatabaseKnewGoesOn) {
  fill(org_, 2);
  // The file was replaced; the canary and the audit event were not committed.
  ASSERT_TRUE(replace_keyring(source(), read_keyring(source())->with_new_key("k2")));
  rewrap();
  expect_only("k2");
  expect_readable(org_, 2);
  const auto events = audit_->read({.event = "keyring.rotated"});
  ASSERT_TRUE(events);
  EXPECT_EQ(events->size(), 1U);
}

/// Runs a rewrap of one row a transaction, as `gantry keyring rewrap` would, until it is killed.
[[noreturn]] void rewrap_in_child(const state::TestDatabase& database,
                                  const KeyringSource& source) {
  const auto db = database.open(state::migrations());
  if (!db) ::_exit(1);
  const SystemClock clock;
  core::MetricRegistry registry;
  AuditLog audit(**db, clock, registry, {});
  LiveKeyring keyring(source, std::nullopt);
  const Sealer sealer({.keyring = keyring, .audit = audit, .clock = clock}, {});
  const auto done = rewrap_secrets(**db, sealer, audit, 1);
  ::_exit(done && done->failures.empty() ? 0 : 1);
}

TEST_F(RewrapTest, KilledAnywhereItLosesNothingAndGoesOn) {
  constexpr int kRows = 60;
  constexpr int kRounds = 4;
  fill(org_, kRows);
  std::mt19937 random(20301121);
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_EQ(rotate(), "k" + std::to_string(round + 2));
    bool is_finished = false;
    while (!is_finished) {
      close();
      const pid_t child = ::fork();
      if (child == 0) rewrap_in_child(database_, source());
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 100));
      ::kill(child, SIGKILL);
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      is_finished = WIFEXITED(status);
      if (is_finished) EXPECT_EQ(WEXITSTATUS(status), 0);
      reopen();
      expect_readable(org_, kRows);
      if (HasFailure()) return;
      // So that slow machines come to an end: the rest in one go.
      if (!is_finished && random() % 4 == 0) {
        rewrap();
        is_finished = true;
      }
    }
    expect_only("k" + std::to_string(round + 2));
    EXPECT_EQ(count("data_keys"), 1);
  }
}

}  // namespace
}  // namespace gantry::access
