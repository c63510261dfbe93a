#include "state/auth_epoch.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "state/testing/postgres_server.h"
#include "state/testing/test_database.h"

namespace gantry::state {
namespace {

using std::chrono::milliseconds;

/// Waits for what another thread does; as long as spec'd bounds need, with air for a loaded
/// machine.
bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

class AuthEpochTest : public testing::TestWithParam<BackendKind> {
 protected:
  void SetUp() override {
    if (database_.is_missing()) GTEST_SKIP() << PostgresServer::why_not();
    db_ = open();
  }

  std::unique_ptr<Db> open() {
    auto db = database_.open(migrations());
    EXPECT_TRUE(db) << (db ? "" : db.error().message);
    return *std::move(db);
  }

  std::unique_ptr<ChangeListener> listen(Db& db, std::function<void()> callback,
                                         ChangeListener::Options options = {}) {
    auto listener = ChangeListener::start(db, clock_, registry_, options, std::move(callback));
    EXPECT_TRUE(listener) << (listener ? "" : listener.error().message);
    return *std::move(listener);
  }

  void bump(Db& db) {
    auto tx = db.begin_write();
    ASSERT_TRUE(tx) << tx.error().message;
    const auto bumped = bump_auth_epoch(*tx, clock_.now());
    ASSERT_TRUE(bumped) << bumped.error().message;
    ASSERT_TRUE(tx->commit());
  }

  std::int64_t epoch() {
    auto tx = db_->begin_read();
    EXPECT_TRUE(tx);
    const auto epoch = read_auth_epoch(*tx);
    EXPECT_TRUE(epoch);
    return epoch->number;
  }

  TestDatabase database_{GetParam()};
  SystemClock clock_;
  core::MetricRegistry registry_;
  std::unique_ptr<Db> db_;
};

INSTANTIATE_TEST_SUITE_P(Backends, AuthEpochTest,
                         testing::Values(BackendKind::Sqlite, BackendKind::Postgres),
                         [](const auto& kind) {
                           return kind.param == BackendKind::Sqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(AuthEpochTest, OwnCommitsAreHeardOfBeforeCommitReturns) {
  std::atomic<int> calls = 0;
  const auto listener = listen(*db_, [&] { ++calls; });
  EXPECT_EQ(calls, 0);
  const std::int64_t before = epoch();
  bump(*db_);
  EXPECT_EQ(calls, 1);
  bump(*db_);
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(epoch(), before + 2);
}

TEST_P(AuthEpochTest, WhatIsRolledBackIsNotHeardOf) {
  std::atomic<int> calls = 0;
  const auto listener = listen(*db_, [&] { ++calls; });
  {
    auto tx = db_->begin_write();
    ASSERT_TRUE(tx && bump_auth_epoch(*tx, clock_.now()));
  }
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(epoch(), 0);
}

TEST_P(AuthEpochTest, SeveralListenersHearAndNoneAfterItIsGone) {
  std::atomic<int> first_calls = 0;
  std::atomic<int> second_calls = 0;
  auto first = listen(*db_, [&] { ++first_calls; });
  const auto second = listen(*db_, [&] { ++second_calls; });
  bump(*db_);
  first.reset();
  bump(*db_);
  EXPECT_EQ(first_calls, 1);
  EXPECT_EQ(second_calls, 2);
}

TEST_P(AuthEpochTest, PropagationIsMeasured) {
  const auto listener = listen(*db_, [] {});
  bump(*db_);
  const auto snapshot = registry_.histogram("gantry_auth_propagation_seconds", "", {}).snapshot();
  EXPECT_EQ(snapshot.cumulative_counts.back(), 1U);
}

class ReplicaTest : public AuthEpochTest {
 protected:
  void lose_notifications() {
    PostgresServer::shared()->run(database_.url(),
                                  "UPDATE auth_epoch SET epoch = epoch + 1 WHERE id = 1");
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, ReplicaTest, testing::Values(BackendKind::Postgres),
                         [](const auto&) { return "Postgres"; });

TEST_P(ReplicaTest, AnotherProcessHearsByNotificationLongBeforeItAsks) {
  std::atomic<int> calls = 0;
  const auto replica = open();
  const auto listener = listen(*replica, [&] { ++calls; }, {.poll_interval = {3'600'000}});
  bump(*db_);
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
  bump(*db_);
  EXPECT_TRUE(eventually([&] { return calls == 2; }));
}

TEST_P(ReplicaTest, ALostNotificationIsFoundByAsking) {
  std::atomic<int> calls = 0;
  const auto listener = listen(*db_, [&] { ++calls; }, {.poll_interval = {20}});
  lose_notifications();
  EXPECT_TRUE(eventually([&] { return calls == 1; }));
}

TEST_P(ReplicaTest, WhatHappenedWhileTheConnectionWasLostIsCaughtUp) {
  std::atomic<int> calls = 0;
  const auto listener =
      listen(*db_, [&] { ++calls; }, {.poll_interval = {3'600'000}, .reconnect_delay = {10}});
  const auto replica = open();
  bump(*replica);
  ASSERT_TRUE(eventually([&] { return calls == 1; }));  // it listens
  PostgresServer& server = *PostgresServer::shared();
  server.stop();
  server.start();
  bump(*replica);
  EXPECT_TRUE(eventually([&] { return calls == 2; }));
}

TEST_P(ReplicaTest, ItStopsWhileTheServerIsAway) {
  auto listener = listen(*db_, [] {}, {.reconnect_delay = {3'600'000}});
  PostgresServer::shared()->stop();
  listener.reset();
  PostgresServer::shared()->start();
}

}  // namespace
}  // namespace gantry::state
