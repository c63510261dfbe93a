#pragma once

// What the keys of the gateway may still do: budgets by reservation, rates, and calls at once.
//
//   GANTRY_TRY(auto admission, budgets.admit(*key, {.cost = dearest, .tokens = estimate}));
//   if (auto* refusal = std::get_if<LimitRefusal>(&admission)) …       // 402 or 429
//   auto& reservation = std::get<Reservation>(admission);
//   … the call …
//   reservation.settle({.cost = real, .tokens = counted});

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/error.h"
#include "core/time.h"
#include "gateway/generation.h"
#include "gateway/key_rows.h"
#include "gateway/spend.h"
#include "state/db.h"

namespace gantry::gateway {

/// The most that a call can come to.
struct CallEstimate {
  std::optional<PicoUsd> cost;  ///< Of the dearest candidate; absent: no price is known.
  std::int64_t tokens = 0;      ///< Input and output, below 10^12.
  bool is_byok = false;         ///< Goes to the client's own provider key.
};

/// What it came to.
struct CallOutcome {
  std::optional<PicoUsd> cost;  ///< Absent: not known, nothing is counted.
  std::int64_t tokens = 0;
  bool is_byok = false;
};

struct LimitRefusal {
  enum class Reason : std::uint8_t { Budget, RequestRate, TokenRate, Concurrency };

  Reason reason = Reason::Budget;
  std::int64_t limit = 0;      ///< Requests, tokens, calls, or 10^-12 USD.
  std::int64_t remaining = 0;  ///< Not negative.
  /// When the same call would be admitted if no other came; absent: not by waiting, or not known.
  std::optional<TimestampMs> reset_at;
};

class KeyAccount;

/// A call in flight. Ends by `settle`, or by destruction as a call that cost nothing and used no
/// tokens. Movable; one thread at a time. Needs no KeyBudgets to end, but only what ends before the
/// last flush is written.
class Reservation {
 public:
  Reservation(Reservation&& other) noexcept = default;
  Reservation& operator=(Reservation&&) = delete;
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation();

  /// Replaces the estimate by what the call came to, also where that is more: a call in flight is
  /// never cut off. At most once.
  void settle(const CallOutcome& outcome);

 private:
  friend class KeyBudgets;
  Reservation(std::shared_ptr<KeyAccount> account, const CallEstimate& estimate, PicoUsd reserved,
              TimestampMs admitted_at);

  std::shared_ptr<KeyAccount> account_;  ///< Null once it has ended.
  CallEstimate estimate_;
  PicoUsd reserved_;
  TimestampMs admitted_at_;
};

using Admission = std::variant<Reservation, LimitRefusal>;

/// All keys' accounts. Thread-safe.
///
/// A budget is checked and reserved in one step under the key's lock, so that calls at once never
/// reserve more than is left; it is overrun only by calls that come to more than their estimate.
///
/// What is settled stands in memory until `flush`, which runs every second: a crash forgets what
/// was settled since, and what calls in flight would have cost. That errs on the client's side,
/// by at most a second of its traffic. On a shared database it first errs on the other: what a
/// dead replica had leased counts as spent until the lease expires.
///
/// Replicas (`holder` is set) share a limit by leases: each spends within an amount that the
/// database has set aside for it, and asks for more when that is used up. A replica that cannot
/// reach the database spends what it has leased, and nothing after the lease has expired. Rates and
/// calls at once are each replica's own.
class KeyBudgets {
 public:
  struct Options {
    std::string holder;                ///< Names this replica; "": nobody else has the database.
    DurationMs lease_for{600'000};     ///< Of a dead replica's lease; flush renews living ones.
    DurationMs forget_after{180'000};  ///< An account without calls; more than two rate windows.
  };

  /// Both must outlive it, the clock also every Reservation.
  KeyBudgets(state::Db& db, const Clock& clock, Options options);
  ~KeyBudgets();
  KeyBudgets(const KeyBudgets&) = delete;
  KeyBudgets& operator=(const KeyBudgets&) = delete;

  /// Refused calls change nothing. Calls without a price or with a price of 0 need no budget. May
  /// block on the database: for the first priced call of a key that has a limit, and when a lease
  /// is used up. Errors: the database's.
  [[nodiscard]] Result<Admission> admit(const GatewayKey& key, const CallEstimate& estimate);

  /// Whether `admit` would find all that it needs in memory, as things are. Never blocks.
  [[nodiscard]] bool is_known(const GatewayKey& key) const;

  /// What the key has spent, in the windows of now: what the database has and what is not written
  /// yet. Blocks on the database.
  [[nodiscard]] Result<KeySpend> spend(const GatewayKey& key);

  /// Writes what was settled, all or nothing; renews and returns leases, forgets idle accounts.
  /// Called every second and at shutdown. After an error the next one tries again; on PostgreSQL
  /// an Unavailable commit may then be counted twice. What is settled in the last second of a day
  /// may count for the next one, and what keys spent that were deleted is not written.
  Result<void> flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::gateway
