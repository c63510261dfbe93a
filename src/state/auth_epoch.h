#pragma once

// Tells every replica that who may do what has changed, so that caches of it are dropped.
//
//   GANTRY_TRY(state::Transaction tx, db.begin_write());
//   … revoke a token …
//   GANTRY_CHECK(state::bump_auth_epoch(tx, clock.now()));
//   GANTRY_CHECK(tx.commit());
//
// The table auth_epoch has one row with a number that only grows. Whoever commits a bump runs the
// ChangeListeners of its own Db before `commit` returns; on PostgreSQL the other processes hear of
// it by NOTIFY gantry_auth, and by asking for the number every 2 s in case a notification is lost.

#include <cstdint>
#include <functional>
#include <memory>

#include "core/error.h"
#include "core/metrics.h"
#include "core/time.h"
#include "state/db.h"

namespace gantry::state {

struct AuthEpoch {
  std::int64_t number = 0;
  TimestampMs changed_at;  ///< By the clock of the process that bumped it.
};

/// To be called in each transaction that narrows what a credential may do.
Result<void> bump_auth_epoch(Transaction& tx, TimestampMs now);

[[nodiscard]] Result<AuthEpoch> read_auth_epoch(Transaction& tx);

/// Calls back when the epoch has moved, wherever it was moved.
///
/// The callback runs on the thread that committed or on the listener's own; never twice at once. It
/// must be quick and must not begin a transaction. Bumps close together may be one call. While the
/// database cannot be reached nothing is heard; the first contact after that catches up.
class ChangeListener {
 public:
  struct Options {
    DurationMs poll_interval{2'000};
    DurationMs reconnect_delay{1'000};
  };

  /// All must outlive it. From here on no bump is missed. Registers
  /// gantry_auth_propagation_seconds: from the bump to the callback, by the two processes' clocks.
  static Result<std::unique_ptr<ChangeListener>> start(Db& db, const Clock& clock,
                                                       core::MetricRegistry& registry,
                                                       Options options,
                                                       std::function<void()> callback);

  /// No callback runs after it.
  ~ChangeListener();
  ChangeListener(const ChangeListener&) = delete;
  ChangeListener& operator=(const ChangeListener&) = delete;

 private:
  struct Impl;
  explicit ChangeListener(std::shared_ptr<Impl> impl);

  std::shared_ptr<Impl> impl_;
};

}  // namespace gantry::state
