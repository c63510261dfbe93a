#include "access/sign_in_throttle.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fmt/core.h>

namespace gantry::access {
namespace {

constexpr std::int64_t kSecondMs = 1'000;
constexpr std::int64_t kQuarterMs = std::int64_t{15} * 60 * kSecondMs;
constexpr std::int64_t kHourMs = 4 * kQuarterMs;
constexpr std::int64_t kFreePairFailures = 5;
constexpr std::int64_t kAddressFailuresMax = 20;
constexpr std::int64_t kSlowModeFailures = 100;
constexpr std::int64_t kSlowDelayMs = 2 * kSecondMs;
constexpr int kDoublingsMax = 10;  // 2^10 s is more than the 15 minutes that cap it

struct Counter {
  std::int64_t failures = 0;
  std::int64_t window_start_ms = 0;
  std::int64_t blocked_until_ms = 0;
};

/// The three counters that an attempt touches.
struct Keys {
  std::string pair;
  std::string address;
  std::string account;
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

std::string keyed(const TokenHasher& hasher, std::string_view kind, std::string_view what) {
  const TokenHash hash = hasher.hash(fmt::format("sign-in|{}|{}", kind, what));
  std::string key = fmt::format("{}:", kind);
  for (std::size_t i = 0; i < 16; ++i) key += fmt::format("{:02x}", hash[i]);
  return key;
}

Keys keys_of(const TokenHasher& hasher, const SignInAttempt& attempt) {
  const std::string login = lower_case(attempt.login);
  const std::string address = throttled_address(attempt.ip);
  return {.pair = keyed(hasher, "account+ip", fmt::format("{}|{}", address, login)),
          .address = keyed(hasher, "ip", address),
          .account = keyed(hasher, "account", login)};
}

/// All zero when there is none, or when its window is over.
Result<Counter> read_counter(state::Transaction& tx, std::string_view key, std::int64_t window_ms,
                             std::int64_t now_ms) {
  GANTRY_TRY(state::Statement select,
             tx.prepare("SELECT failures, window_start_ms, blocked_until_ms FROM sign_in_failures "
                        "WHERE key = ?"));
  select.bind(key);
  GANTRY_TRY(const bool has_row, select.step());
  if (!has_row) return Counter{.window_start_ms = now_ms};
  Counter counter{.failures = select.integer(0),
                  .window_start_ms = select.integer(1),
                  .blocked_until_ms = select.integer(2)};
  // A delay may outlast the window in which it was earned.
  const bool is_over =
      now_ms - counter.window_start_ms >= window_ms || now_ms < counter.window_start_ms;
  if (is_over && counter.blocked_until_ms <= now_ms) return Counter{.window_start_ms = now_ms};
  return counter;
}

Result<void> write_counter(state::Transaction& tx, std::string_view key, const Counter& counter) {
  GANTRY_TRY(state::Statement upsert,
             tx.prepare("INSERT INTO sign_in_failures (key, failures, window_start_ms, "
                        "blocked_until_ms) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                        "failures = excluded.failures, window_start_ms = excluded.window_start_ms, "
                        "blocked_until_ms = excluded.blocked_until_ms"));
  upsert.bind(key)
      .bind(counter.failures)
      .bind(counter.window_start_ms)
      .bind(counter.blocked_until_ms);
  return upsert.run();
}

/// The delay after that many failures of an account from an address.
std::int64_t pair_delay_ms(std::int64_t failures) {
  if (failures < kFreePairFailures) return 0;
  const auto doublings = std::min<std::int64_t>(failures - kFreePairFailures + 1, kDoublingsMax);
  return std::min(kQuarterMs, kSecondMs << doublings);
}

}  // namespace

std::string throttled_address(std::string_view ip) {
  const std::string text(ip);
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return text;
  static constexpr std::array<unsigned char, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin()))
    return fmt::format("{}.{}.{}.{}", bytes[12], bytes[13], bytes[14], bytes[15]);
  std::fill(bytes.begin() + 8, bytes.end(), 0);
  std::array<char, INET6_ADDRSTRLEN> network{};
  inet_ntop(AF_INET6, bytes.data(), network.data(), network.size());
  return fmt::format("{}/64", network.data());
}

Result<SignInThrottle::Admission> SignInThrottle::admit(const SignInAttempt& attempt) {
  const Keys keys = keys_of(hasher_, attempt);
  const std::int64_t now_ms = clock_.now().since_epoch;
  GANTRY_TRY(state::Transaction tx, db_.begin_write());
  GANTRY_TRY(Counter pair, read_counter(tx, keys.pair, kQuarterMs, now_ms));
  GANTRY_TRY(Counter address, read_counter(tx, keys.address, kQuarterMs, now_ms));
  GANTRY_TRY(Counter account, read_counter(tx, keys.account, kHourMs, now_ms));

  std::int64_t wait_ms = std::max(pair.blocked_until_ms - now_ms, std::int64_t{0});
  if (address.failures >= kAddressFailuresMax)
    wait_ms = std::max(wait_ms, address.window_start_ms + kQuarterMs - now_ms);
  if (wait_ms > 0) return Admission{.retry_after = {std::max(wait_ms, kSecondMs)}};

  const bool is_slow = account.failures >= kSlowModeFailures && !attempt.is_known_device;
  if (is_slow && pair.blocked_until_ms == 0) {
    pair.blocked_until_ms = now_ms + kSlowDelayMs;  // served once, then this attempt may come again
    GANTRY_CHECK(write_counter(tx, keys.pair, pair));
    GANTRY_CHECK(tx.commit());
    return Admission{.retry_after = {kSlowDelayMs}};
  }
  ++pair.failures;
  ++address.failures;
  ++account.failures;
  const std::int64_t delay_ms = pair_delay_ms(pair.failures);
  pair.blocked_until_ms = delay_ms == 0 ? 0 : now_ms + delay_ms;
  GANTRY_CHECK(write_counter(tx, keys.pair, pair));
  GANTRY_CHECK(write_counter(tx, keys.address, address));
  GANTRY_CHECK(write_counter(tx, keys.account, account));
  GANTRY_CHECK(tx.commit());
  return Admission{.is_admitted = true};
}

Result<void> SignInThrottle::forgive(const SignInAttempt& attempt) {
  const Keys keys = keys_of(hasher_, attempt);
  GANTRY_TRY(state::Transaction tx, db_.begin_write());
  {
    GANTRY_TRY(state::Statement remove, tx.prepare("DELETE FROM sign_in_failures WHERE key = ?"));
    remove.bind(keys.pair);
    GANTRY_CHECK(remove.run());
  }
  for (const std::string& key : {keys.address, keys.account}) {
    GANTRY_TRY(state::Statement lower,
               tx.prepare("UPDATE sign_in_failures SET failures = failures - 1 WHERE key = ? AND "
                          "failures > 0"));
    lower.bind(key);
    GANTRY_CHECK(lower.run());
  }
  return tx.commit();
}

Result<void> SignInThrottle::expire() {
  const std::int64_t now_ms = clock_.now().since_epoch;
  GANTRY_TRY(state::Transaction tx, db_.begin_write());
  {
    GANTRY_TRY(state::Statement remove,
               tx.prepare("DELETE FROM sign_in_failures WHERE window_start_ms < ? AND "
                          "blocked_until_ms < ?"));
    remove.bind(now_ms - kHourMs).bind(now_ms);
    GANTRY_CHECK(remove.run());
  }
  return tx.commit();
}

}  // namespace gantry::access
