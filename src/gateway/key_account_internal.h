#pragma once

// What a process knows of one key's spending.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "core/mutex.h"
#include "core/time.h"
#include "gateway/budget.h"
#include "gateway/rate_window.h"
#include "gateway/spend.h"

namespace gantry::gateway {

/// Costs that the database has not seen.
struct UnwrittenCost {
  PicoUsd own;
  PicoUsd byok;

  [[nodiscard]] bool is_zero() const { return own.value == 0 && byok.value == 0; }

  void add(const UnwrittenCost& other) {
    own = add_usd(own, other.own);
    byok = add_usd(byok, other.byok);
  }

  [[nodiscard]] PicoUsd against_limit(const GatewayKeySettings& settings) const {
    return settings.includes_byok ? add_usd(own, byok) : own;
  }
};

/// Thread-safe.
class KeyAccount {
 public:
  KeyAccount(access::OrgId org, std::string key_id, const Clock& clock)
      : org_(org), key_id_(std::move(key_id)), clock_(clock) {}

  [[nodiscard]] access::OrgId org() const { return org_; }

  [[nodiscard]] const std::string& key_id() const { return key_id_; }

  enum class Budget : std::uint8_t { Reserved, Unknown, LeaseUsedUp };

  /// Takes everything that the call needs, or nothing. A Budget other than Reserved: the database
  /// must be asked first.
  [[nodiscard]] std::variant<Budget, LimitRefusal> take(const GatewayKeySettings& settings,
                                                        const CallEstimate& estimate,
                                                        bool needs_lease, PicoUsd& reserved,
                                                        TimestampMs now);

  void end(const CallEstimate& estimate, PicoUsd reserved, TimestampMs admitted_at,
           const CallOutcome& outcome);

  /// Whether the database's word is here.
  [[nodiscard]] bool is_known() const;

  /// The database's word, with a lease if one was taken.
  void learn(const KeySpend& written, std::optional<std::pair<PicoUsd, TimestampMs>> lease);

  /// What is reserved or not written, as it counts against the limit.
  [[nodiscard]] PicoUsd in_use(const GatewayKeySettings& settings) const;

  /// What of the lease still holds; 0 when it has expired.
  [[nodiscard]] PicoUsd lease(TimestampMs now) const;

  struct Flush {
    UnwrittenCost costs;
    std::optional<PicoUsd> lease;  ///< To be written; 0: to be returned. Absent: stays.
  };

  /// What a flush has to write; nothing when there is nothing. `written` or `failed` follows.
  [[nodiscard]] std::optional<Flush> begin_flush(TimestampMs now, DurationMs lease_for,
                                                 DurationMs idle_for);
  void written(const Flush& flush, const std::optional<KeySpend>& spend, TimestampMs lease_until);
  void failed(const Flush& flush);

  [[nodiscard]] bool is_idle(TimestampMs now, DurationMs idle_for) const;

  /// Adds what the database has not seen.
  void add_unwritten(KeySpend& spend) const;

 private:
  [[nodiscard]] std::optional<LimitRefusal> check_rates(const GatewayKeySettings& settings,
                                                        const CallEstimate& estimate,
                                                        TimestampMs now) GANTRY_REQUIRES(mutex_);
  [[nodiscard]] PicoUsd in_use_locked(const GatewayKeySettings& settings) const
      GANTRY_REQUIRES(mutex_);

  const access::OrgId org_;
  const std::string key_id_;
  const Clock& clock_;
  mutable core::Mutex mutex_;
  std::optional<KeySpend> spend_ GANTRY_GUARDED_BY(mutex_);  // as written; absent: not read yet
  UnwrittenCost settled_ GANTRY_GUARDED_BY(mutex_);
  UnwrittenCost flushing_ GANTRY_GUARDED_BY(mutex_);
  PicoUsd reserved_ GANTRY_GUARDED_BY(mutex_);
  PicoUsd lease_ GANTRY_GUARDED_BY(mutex_);
  TimestampMs lease_until_ GANTRY_GUARDED_BY(mutex_);
  bool includes_byok_ GANTRY_GUARDED_BY(mutex_) = false;  // as of the last call
  std::int64_t in_flight_ GANTRY_GUARDED_BY(mutex_) = 0;
  TimestampMs used_at_ GANTRY_GUARDED_BY(mutex_);
  RateWindow requests_ GANTRY_GUARDED_BY(mutex_);
  RateWindow tokens_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::gateway
