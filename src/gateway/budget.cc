#include "gateway/budget.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "gateway/key_account_internal.h"

namespace gantry::gateway {
namespace {

/// How much of what is left goes into a lease beyond what is needed: a part, so that other replicas
/// find some too.
constexpr std::int64_t kLeaseShare = 4;

/// Absent: there is no such key any more.
Result<std::optional<KeySpend>> read_spend(state::Transaction& tx, access::OrgId org,
                                           const std::string& key_id, TimestampMs now) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT u.as_of_ms, u.total, u.daily, u.weekly, u.monthly, u.byok_total, "
                        "u.byok_daily, u.byok_weekly, u.byok_monthly FROM gateway_keys k LEFT "
                        "JOIN gateway_key_usage u ON u.key_id = k.id AND u.org_id = k.org_id "
                        "WHERE k.org_id = ? AND k.id = ?"));
  select.bind(org.value()).bind(key_id);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return std::nullopt;
  if (select.is_null(0)) return KeySpend{.own = {}, .byok = {}, .as_of = now};
  const auto usd = [&](int column) { return PicoUsd{select.integer(column)}; };
  KeySpend spend{.own = {usd(1), usd(2), usd(3), usd(4)},
                 .byok = {usd(5), usd(6), usd(7), usd(8)},
                 .as_of = {select.integer(0)}};
  spend.roll(now);
  return spend;
}

Result<void> write_spend(state::Transaction& tx, access::OrgId org, const std::string& key_id,
                         const KeySpend& spend) {
  GANTRY_TRY(state::Statement upsert,
             tx.prepare("INSERT INTO gateway_key_usage (key_id, org_id, as_of_ms, total, daily, "
                        "weekly, monthly, byok_total, byok_daily, byok_weekly, byok_monthly) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key_id) DO UPDATE "
                        "SET as_of_ms = excluded.as_of_ms, total = excluded.total, daily = "
                        "excluded.daily, weekly = excluded.weekly, monthly = excluded.monthly, "
                        "byok_total = excluded.byok_total, byok_daily = excluded.byok_daily, "
                        "byok_weekly = excluded.byok_weekly, byok_monthly = "
                        "excluded.byok_monthly"));
  upsert.bind(key_id).bind(org.value()).bind(spend.as_of.since_epoch);
  for (const Spend* each : {&spend.own, &spend.byok})
    upsert.bind(each->total.value)
        .bind(each->daily.value)
        .bind(each->weekly.value)
        .bind(each->monthly.value);
  return upsert.run();
}

Result<PicoUsd> read_other_leases(state::Transaction& tx, const KeyAccount& account,
                                  const std::string& holder, TimestampMs now) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT amount FROM gateway_budget_leases WHERE org_id = ? AND key_id = ? "
                        "AND holder <> ? AND expires_at_ms > ?"));
  select.bind(account.org().value()).bind(account.key_id()).bind(holder).bind(now.since_epoch);
  PicoUsd sum;
  while (true) {
    GANTRY_TRY(const bool has_row, select.step());
    if (!has_row) return sum;
    sum = add_usd(sum, {select.integer(0)});
  }
}

/// An amount of 0 returns it.
Result<void> write_lease(state::Transaction& tx, const KeyAccount& account,
                         const std::string& holder, PicoUsd amount, TimestampMs until) {
  if (amount.value == 0) {
    GANTRY_TRY(state::Statement remove,
               tx.prepare("DELETE FROM gateway_budget_leases WHERE org_id = ? AND key_id = ? AND "
                          "holder = ?"));
    remove.bind(account.org().value()).bind(account.key_id()).bind(holder);
    return remove.run();
  }
  GANTRY_TRY(state::Statement upsert,
             tx.prepare("INSERT INTO gateway_budget_leases (key_id, holder, org_id, amount, "
                        "expires_at_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key_id, holder) DO "
                        "UPDATE SET amount = excluded.amount, expires_at_ms = "
                        "excluded.expires_at_ms"));
  upsert.bind(account.key_id())
      .bind(holder)
      .bind(account.org().value())
      .bind(amount.value)
      .bind(until.since_epoch);
  return upsert.run();
}

}  // namespace

Reservation::Reservation(std::shared_ptr<KeyAccount> account, const CallEstimate& estimate,
                         PicoUsd reserved, TimestampMs admitted_at)
    : account_(std::move(account)),
      estimate_(estimate),
      reserved_(reserved),
      admitted_at_(admitted_at) {}

Reservation::~Reservation() {
  if (account_ != nullptr) settle({});
}

void Reservation::settle(const CallOutcome& outcome) {
  GANTRY_ASSERT(account_ != nullptr, "a reservation ends once");
  account_->end(estimate_, reserved_, admitted_at_, outcome);
  account_.reset();
}

struct KeyBudgets::Impl {
  using Account = std::shared_ptr<KeyAccount>;

  Account account_of(const GatewayKey& key);
  /// False: what is left of the limit is other replicas'.
  Result<bool> ask_database(KeyAccount& account, const GatewayKeySettings& settings, PicoUsd cost);
  void forget_idle(TimestampMs now);

  struct Pending {
    Account account;
    KeyAccount::Flush flush;
    std::optional<KeySpend> spend;
  };

  std::vector<Pending> begin_flush(TimestampMs now);
  Result<void> write(std::vector<Pending>& batch, TimestampMs now);

  [[nodiscard]] bool has_replicas() const { return !options.holder.empty(); }

  state::Db& db;
  const Clock& clock;
  const Options options;
  /// Held over a transaction that learns or writes what accounts have, so that each sees the whole
  /// of the one before. Before `mutex`, which is before an account's.
  core::Mutex database_mutex;
  core::Mutex mutex;
  std::unordered_map<std::string, Account> accounts GANTRY_GUARDED_BY(mutex);
};

KeyBudgets::Impl::Account KeyBudgets::Impl::account_of(const GatewayKey& key) {
  const core::Lock lock(mutex);
  Account& account = accounts[key.hash];
  if (account == nullptr) account = std::make_shared<KeyAccount>(key.org, key.hash, clock);
  return account;
}

Result<bool> KeyBudgets::Impl::ask_database(KeyAccount& account, const GatewayKeySettings& settings,
                                            PicoUsd cost) {
  const core::Lock lock(database_mutex);
  const TimestampMs now = clock.now();
  GANTRY_TRY(state::Transaction tx, has_replicas() ? db.begin_write() : db.begin_read());
  GANTRY_TRY(const auto found, read_spend(tx, account.org(), account.key_id(), now));
  if (!found) return fail(Code::NotFound, "no such gateway key");
  if (!has_replicas()) {
    account.learn(*found, std::nullopt);
    return true;
  }
  GANTRY_TRY(const PicoUsd others, read_other_leases(tx, account, options.holder, now));
  const PicoUsd old_lease = account.lease(now);
  const PicoUsd needed = add_usd(account.in_use(settings), cost);
  const PicoUsd taken = add_usd(add_usd(found->against_limit(settings), others), needed);
  if (!settings.limit || taken > *settings.limit) {
    account.learn(*found, std::nullopt);
    return false;
  }
  const std::int64_t spare = (settings.limit->value - taken.value) / kLeaseShare;
  // Never less than before: calls may be reserving from it right now.
  const PicoUsd lease = std::max(old_lease, add_usd(needed, {spare}));
  const TimestampMs until = now + options.lease_for;
  GANTRY_CHECK(write_lease(tx, account, options.holder, lease, until));
  GANTRY_CHECK(tx.commit());
  account.learn(*found, std::pair(lease, until));
  return true;
}

void KeyBudgets::Impl::forget_idle(TimestampMs now) {
  const core::Lock lock(mutex);
  std::erase_if(accounts, [&](const auto& entry) {
    return entry.second.use_count() == 1 && entry.second->is_idle(now, options.forget_after);
  });
}

std::vector<KeyBudgets::Impl::Pending> KeyBudgets::Impl::begin_flush(TimestampMs now) {
  std::vector<Account> all;
  {
    const core::Lock lock(mutex);
    all.reserve(accounts.size());
    for (const auto& [id, account] : accounts) all.push_back(account);
  }
  std::vector<Pending> batch;
  for (Account& account : all)
    if (auto flush = account->begin_flush(now, options.lease_for, options.forget_after))
      batch.push_back({.account = std::move(account), .flush = *flush, .spend = {}});
  return batch;
}

Result<void> KeyBudgets::Impl::write(std::vector<Pending>& batch, TimestampMs now) {
  GANTRY_TRY(state::Transaction tx, db.begin_write());
  for (Pending& each : batch) {
    const KeyAccount& account = *each.account;
    GANTRY_TRY(each.spend, read_spend(tx, account.org(), account.key_id(), now));
    if (!each.spend) continue;
    if (!each.flush.costs.is_zero()) {
      each.spend->add(each.flush.costs.own, each.flush.costs.byok);
      GANTRY_CHECK(write_spend(tx, account.org(), account.key_id(), *each.spend));
    }
    if (each.flush.lease)
      GANTRY_CHECK(
          write_lease(tx, account, options.holder, *each.flush.lease, now + options.lease_for));
  }
  return tx.commit();
}

KeyBudgets::KeyBudgets(state::Db& db, const Clock& clock, Options options)
    : impl_(new Impl{.db = db,
                     .clock = clock,
                     .options = std::move(options),
                     .database_mutex = {},
                     .mutex = {},
                     .accounts = {}}) {}

KeyBudgets::~KeyBudgets() = default;

Result<Admission> KeyBudgets::admit(const GatewayKey& key, const CallEstimate& estimate) {
  const auto account = impl_->account_of(key);
  while (true) {
    const TimestampMs now = impl_->clock.now();
    PicoUsd reserved;
    const auto taken = account->take(key.settings, estimate, impl_->has_replicas(), reserved, now);
    if (const auto* refusal = std::get_if<LimitRefusal>(&taken)) return *refusal;
    if (std::get<KeyAccount::Budget>(taken) == KeyAccount::Budget::Reserved)
      return Reservation(account, estimate, reserved, now);
    GANTRY_TRY(const bool has_room, impl_->ask_database(*account, key.settings, *estimate.cost));
    if (!has_room)
      return LimitRefusal{.reason = LimitRefusal::Reason::Budget,
                          .limit = key.settings.limit->value,
                          .remaining = 0,
                          .reset_at = next_reset(key.settings.limit_reset, now)};
  }
}

bool KeyBudgets::is_known(const GatewayKey& key) const {
  if (!key.settings.limit) return true;
  if (impl_->has_replicas()) return false;  // the lease may be used up
  const core::Lock lock(impl_->mutex);
  const auto found = impl_->accounts.find(key.hash);
  return found != impl_->accounts.end() && found->second->is_known();
}

Result<KeySpend> KeyBudgets::spend(const GatewayKey& key) {
  const auto account = impl_->account_of(key);
  const core::Lock lock(impl_->database_mutex);
  const TimestampMs now = impl_->clock.now();
  GANTRY_TRY(state::Transaction tx, impl_->db.begin_read());
  GANTRY_TRY(auto found, read_spend(tx, key.org, key.hash, now));
  if (!found) return fail(Code::NotFound, "no such gateway key");
  account->add_unwritten(*found);
  return *found;
}

Result<void> KeyBudgets::flush() {
  const core::Lock lock(impl_->database_mutex);
  const TimestampMs now = impl_->clock.now();
  impl_->forget_idle(now);
  std::vector<Impl::Pending> batch = impl_->begin_flush(now);
  if (batch.empty()) return {};
  const Result<void> done = impl_->write(batch, now);
  for (Impl::Pending& each : batch) {
    if (done)
      each.account->written(each.flush, each.spend, now + impl_->options.lease_for);
    else
      each.account->failed(each.flush);
  }
  return done;
}

}  // namespace gantry::gateway
