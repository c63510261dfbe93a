#include "gateway/budget.h"

#include <atomic>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "access/testing/control_fixture.h"

namespace gantry::gateway {
namespace {

using access::ControlChange;
using access::kTestStart;

constexpr std::int64_t kDayMs = 86'400'000;

class BudgetTest : public access::ControlFixture {
 protected:
  GatewayKey make(GatewayKeySettings settings) {
    settings.name = "key";
    const auto issued = change(admin(), [&](ControlChange& change) {
      return create_gateway_key(org_, stack_, change, settings);
    });
    EXPECT_TRUE(issued) << (issued ? "" : issued.error().message);
    return issued ? issued->key : GatewayKey();
  }

  static CallEstimate costs(std::int64_t pico, std::int64_t tokens = 0) {
    return {.cost = PicoUsd{pico}, .tokens = tokens};
  }

  /// Null: refused, and why is in `refusal_`.
  std::optional<Reservation> admit(KeyBudgets& budgets, const GatewayKey& key,
                                   const CallEstimate& estimate) {
    auto admission = budgets.admit(key, estimate);
    EXPECT_TRUE(admission) << (admission ? "" : admission.error().message);
    if (!admission) return std::nullopt;
    if (const auto* refusal = std::get_if<LimitRefusal>(&*admission)) {
      refusal_ = *refusal;
      return std::nullopt;
    }
    return std::get<Reservation>(std::move(*admission));
  }

  std::optional<Reservation> admit(const GatewayKey& key, const CallEstimate& estimate) {
    return admit(budgets_, key, estimate);
  }

  /// A call from begin to end; false: refused.
  bool call(const GatewayKey& key, std::int64_t estimated, std::int64_t real) {
    auto reservation = admit(key, costs(estimated));
    if (reservation) reservation->settle({.cost = PicoUsd{real}});
    return reservation.has_value();
  }

  std::int64_t spent(const GatewayKey& key) {
    const auto spend = budgets_.spend(key);
    EXPECT_TRUE(spend) << (spend ? "" : spend.error().message);
    return spend ? spend->own.total.value : -1;
  }

  KeyBudgets budgets_{*db_, clock_, {}};
  LimitRefusal refusal_;
};

TEST_F(BudgetTest, ReservesThenSettles) {
  const GatewayKey key = make({.limit = PicoUsd{100}});
  auto first = admit(key, costs(60));
  ASSERT_TRUE(first);
  EXPECT_FALSE(admit(key, costs(41)));
  EXPECT_EQ(refusal_.reason, LimitRefusal::Reason::Budget);
  EXPECT_EQ(refusal_.limit, 100);
  EXPECT_EQ(refusal_.remaining, 40);
  EXPECT_EQ(refusal_.reset_at, std::nullopt);
  first->settle({.cost = PicoUsd{10}});
  EXPECT_TRUE(call(key, 90, 90));
  EXPECT_FALSE(call(key, 1, 1));
  EXPECT_EQ(spent(key), 100);
}

TEST_F(BudgetTest, KnowsAKeyOnceTheDatabaseWasAsked) {
  const GatewayKey key = make({.limit = PicoUsd{100}});
  EXPECT_FALSE(budgets_.is_known(key));
  EXPECT_TRUE(admit(key, {.cost = {}, .tokens = 5}));
  EXPECT_FALSE(budgets_.is_known(key)) << "no budget was needed";
  EXPECT_TRUE(call(key, 1, 1));
  EXPECT_TRUE(budgets_.is_known(key));
  EXPECT_TRUE(budgets_.is_known(make({}))) << "without a limit there is nothing to know";
  KeyBudgets one(*db_, clock_, {.holder = "one"});
  EXPECT_TRUE(admit(one, key, costs(1)));
  EXPECT_FALSE(one.is_known(key)) << "the lease may be used up";
}

TEST_F(BudgetTest, ACallThatIsDroppedCostsNothing) {
  const GatewayKey key = make({.limit = PicoUsd{100}, .max_concurrent = 1});
  EXPECT_TRUE(admit(key, costs(100)));
  EXPECT_TRUE(call(key, 100, 0));
  EXPECT_EQ(spent(key), 0);
}

TEST_F(BudgetTest, ACallInFlightMayComeToMore) {
  const GatewayKey key = make({.limit = PicoUsd{100}});
  EXPECT_TRUE(call(key, 10, 500));
  EXPECT_EQ(spent(key), 500);
  EXPECT_FALSE(call(key, 1, 1));
  EXPECT_EQ(refusal_.remaining, 0);
}

TEST_F(BudgetTest, AnEmptyBudgetPassesWhatIsFreeOrUnpriced) {
  const GatewayKey key = make({.limit = PicoUsd{0}});
  EXPECT_TRUE(call(key, 0, 0));
  EXPECT_TRUE(admit(key, {.cost = {}, .tokens = 5}));
  EXPECT_FALSE(call(key, 1, 1));
}

TEST_F(BudgetTest, TheClientsOwnProviderKeysCountIfTheKeySaysSo) {
  const GatewayKey apart = make({.limit = PicoUsd{10}});
  const CallEstimate byok{.cost = PicoUsd{50}, .tokens = 0, .is_byok = true};
  auto reservation = admit(apart, byok);
  ASSERT_TRUE(reservation);
  reservation->settle({.cost = PicoUsd{50}, .tokens = 0, .is_byok = true});
  EXPECT_TRUE(call(apart, 10, 10));
  EXPECT_EQ(budgets_.spend(apart)->byok.total, PicoUsd{50});
  EXPECT_FALSE(admit(make({.limit = PicoUsd{10}, .includes_byok = true}), byok));
}

TEST_F(BudgetTest, WindowsResetAtMidnightUtc) {
  const GatewayKey key = make({.limit = PicoUsd{100}, .limit_reset = LimitReset::Daily});
  EXPECT_TRUE(call(key, 100, 100));
  EXPECT_FALSE(call(key, 1, 1));
  const TimestampMs midnight{(kTestStart.since_epoch / kDayMs + 1) * kDayMs};
  EXPECT_EQ(refusal_.reset_at, midnight);
  ASSERT_TRUE(budgets_.flush());
  clock_.set(midnight - DurationMs{1});
  EXPECT_FALSE(call(key, 1, 1));
  clock_.set(midnight);
  EXPECT_TRUE(call(key, 100, 100));
  EXPECT_FALSE(call(key, 1, 1));
  EXPECT_EQ(spent(key), 200);
}

TEST_F(BudgetTest, WhatIsReservedStaysSoOverMidnight) {
  const GatewayKey key = make({.limit = PicoUsd{100}, .limit_reset = LimitReset::Daily});
  auto over_night = admit(key, costs(70));
  ASSERT_TRUE(over_night);
  clock_.advance({kDayMs});
  EXPECT_FALSE(call(key, 31, 31));
  over_night->settle({.cost = PicoUsd{70}});
  EXPECT_FALSE(call(key, 31, 31)) << "it is spent on the day on which it ended";
  EXPECT_TRUE(call(key, 30, 30));
}

TEST_F(BudgetTest, LimitsHoldAsTheyAreNow) {
  GatewayKey key = make({.limit = PicoUsd{100}});
  EXPECT_TRUE(call(key, 80, 80));
  key.settings.limit = PicoUsd{50};
  EXPECT_FALSE(call(key, 1, 1));
  key.settings.limit = PicoUsd{200};
  EXPECT_TRUE(call(key, 120, 120));
}

TEST_F(BudgetTest, RequestRatesSlide) {
  const GatewayKey key = make({.rpm = 2});
  clock_.set({kTestStart.since_epoch / 60'000 * 60'000});
  EXPECT_TRUE(call(key, 0, 0));
  EXPECT_TRUE(call(key, 0, 0));
  EXPECT_FALSE(call(key, 0, 0));
  EXPECT_EQ(refusal_.reason, LimitRefusal::Reason::RequestRate);
  EXPECT_EQ(refusal_.limit, 2);
  EXPECT_EQ(refusal_.remaining, 0);
  ASSERT_TRUE(refusal_.reset_at);
  clock_.set(*refusal_.reset_at - DurationMs{1});
  EXPECT_FALSE(call(key, 0, 0));
  clock_.advance({1});
  EXPECT_TRUE(call(key, 0, 0));
}

TEST_F(BudgetTest, TokensAreChargedAsEstimatedAndCorrected) {
  const GatewayKey key = make({.tpm = 100});
  auto reservation = admit(key, costs(0, 90));
  ASSERT_TRUE(reservation);
  EXPECT_FALSE(admit(key, costs(0, 11)));
  EXPECT_EQ(refusal_.reason, LimitRefusal::Reason::TokenRate);
  EXPECT_EQ(refusal_.remaining, 10);
  reservation->settle({.cost = PicoUsd{0}, .tokens = 30});
  EXPECT_TRUE(admit(key, costs(0, 70)));
  EXPECT_FALSE(admit(key, costs(0, 101)));
  EXPECT_EQ(refusal_.reset_at, std::nullopt) << "waiting does not help";
}

TEST_F(BudgetTest, CallsAtOnceAreCounted) {
  const GatewayKey key = make({.max_concurrent = 2});
  auto first = admit(key, costs(0));
  const auto second = admit(key, costs(0));
  EXPECT_FALSE(admit(key, costs(0)));
  EXPECT_EQ(refusal_.reason, LimitRefusal::Reason::Concurrency);
  first->settle({});
  EXPECT_TRUE(admit(key, costs(0)));
}

TEST_F(BudgetTest, ARefusedCallChangesNothing) {
  const GatewayKey key = make({.limit = PicoUsd{10}, .rpm = 1, .tpm = 10, .max_concurrent = 1});
  EXPECT_FALSE(admit(key, costs(11, 5)));
  EXPECT_FALSE(admit(key, costs(1, 11)));
  EXPECT_TRUE(admit(key, costs(10, 10)));
}

TEST_F(BudgetTest, AFlushMakesItLast) {
  const GatewayKey key = make({.limit = PicoUsd{100}});
  EXPECT_TRUE(call(key, 60, 60));
  {
    KeyBudgets after_crash(*db_, clock_, {});
    EXPECT_TRUE(admit(after_crash, key, costs(100))) << "what was not written is forgotten";
  }
  ASSERT_TRUE(budgets_.flush());
  ASSERT_TRUE(budgets_.flush()) << "nothing is counted twice";
  EXPECT_EQ(spent(key), 60);
  KeyBudgets restarted(*db_, clock_, {});
  EXPECT_FALSE(admit(restarted, key, costs(41)));
  EXPECT_TRUE(admit(restarted, key, costs(40)));
}

TEST_F(BudgetTest, DeletedKeysDoNotStopTheOthers) {
  const GatewayKey deleted = make({});
  const GatewayKey key = make({});
  EXPECT_TRUE(call(deleted, 5, 5));
  EXPECT_TRUE(call(key, 7, 7));
  ASSERT_TRUE(change(admin(), [&](ControlChange& change) {
    return delete_gateway_key(org_, stack_, change, deleted.hash);
  }));
  ASSERT_TRUE(budgets_.flush());
  EXPECT_EQ(spent(key), 7);
  EXPECT_FALSE(budgets_.spend(deleted));
}

TEST_F(BudgetTest, AFailedFlushIsTriedAgain) {
  const GatewayKey key = make({});
  EXPECT_TRUE(call(key, 7, 7));
  const auto rename = [&](std::string_view sql) {
    write([&](state::Transaction& tx) { return tx.execute(sql); });
  };
  rename("ALTER TABLE gateway_key_usage RENAME TO hidden");
  EXPECT_FALSE(budgets_.flush());
  rename("ALTER TABLE hidden RENAME TO gateway_key_usage");
  ASSERT_TRUE(budgets_.flush());
  EXPECT_EQ(spent(key), 7);
}

TEST_F(BudgetTest, IdleAccountsAreForgotten) {
  const GatewayKey key = make({.max_concurrent = 1});
  const auto in_flight = admit(key, costs(0));
  clock_.advance({600'000});
  ASSERT_TRUE(budgets_.flush());
  EXPECT_FALSE(admit(key, costs(0))) << "not while a call is in flight";
}

TEST_F(BudgetTest, ReplicasShareALimit) {
  const GatewayKey key = make({.limit = PicoUsd{1'000}});
  KeyBudgets one(*db_, clock_, {.holder = "one"});
  KeyBudgets two(*db_, clock_, {.holder = "two"});
  std::vector<Reservation> in_flight;
  const auto fill = [&](KeyBudgets& budgets) {
    std::int64_t admitted = 0;
    while (auto reservation = admit(budgets, key, costs(10))) {
      in_flight.push_back(*std::move(reservation));
      ++admitted;
    }
    return admitted;
  };
  in_flight.push_back(*admit(one, key, costs(10)));
  const std::int64_t of_two = fill(two);
  EXPECT_GT(of_two, 10);
  EXPECT_EQ(1 + of_two + fill(one), 100) << "all of it and no more";
  for (Reservation& reservation : in_flight) reservation.settle({.cost = PicoUsd{4}});
  ASSERT_TRUE(one.flush());
  ASSERT_TRUE(two.flush());
  EXPECT_EQ(spent(key), 400);
  in_flight.clear();
  EXPECT_LE(40 + fill(one) + fill(two), 100);
}

TEST_F(BudgetTest, ADeadReplicasLeaseCountsUntilItExpires) {
  const GatewayKey key = make({.limit = PicoUsd{1'000}});
  KeyBudgets survivor(*db_, clock_, {.holder = "survivor"});
  {
    KeyBudgets dead(*db_, clock_, {.holder = "dead"});
    EXPECT_TRUE(admit(dead, key, costs(900)));
  }
  EXPECT_FALSE(admit(survivor, key, costs(900)));
  clock_.advance({600'000});
  EXPECT_TRUE(admit(survivor, key, costs(900)));
}

TEST_F(BudgetTest, IdleReplicasReturnTheirLease) {
  const GatewayKey key = make({.limit = PicoUsd{1'000}});
  KeyBudgets one(*db_, clock_, {.holder = "one"});
  KeyBudgets two(*db_, clock_, {.holder = "two"});
  EXPECT_TRUE(admit(one, key, costs(900)));
  EXPECT_FALSE(admit(two, key, costs(900)));
  clock_.advance({180'000});
  ASSERT_TRUE(one.flush());
  EXPECT_TRUE(admit(two, key, costs(900)));
}

TEST_F(BudgetTest, LivingReplicasKeepTheirLease) {
  const GatewayKey key = make({.limit = PicoUsd{1'000}});
  KeyBudgets one(*db_, clock_, {.holder = "one"});
  KeyBudgets two(*db_, clock_, {.holder = "two"});
  const auto in_flight = admit(one, key, costs(900));
  ASSERT_TRUE(in_flight);
  clock_.advance({400'000});
  ASSERT_TRUE(one.flush());
  clock_.advance({400'000});
  EXPECT_FALSE(admit(two, key, costs(900)));
}

/// Threads call as fast as they can while others flush; nothing is overrun, and what is written is
/// what was settled.
TEST_F(BudgetTest, CallsAtOnceNeverOverrun) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(seed);
    const GatewayKey key = make({.limit = PicoUsd{20'000}, .max_concurrent = 6});
    KeyBudgets one(*db_, clock_, {.holder = seed == 1 ? "" : "one"});
    KeyBudgets two(*db_, clock_, {.holder = "two"});
    std::atomic<std::int64_t> settled{0};
    std::atomic<std::int64_t> held{0};
    std::atomic<std::int64_t> most_held{0};
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 8; ++i)
      threads.emplace_back([&, i] {
        std::mt19937 random(seed * 100 + i);
        KeyBudgets& budgets = seed > 1 && i % 2 == 1 ? two : one;
        for (int n = 0; n < 60; ++n) {
          const auto most = static_cast<std::int64_t>(random() % 200 + 1);
          auto admission = budgets.admit(key, {.cost = PicoUsd{most}});
          if (!admission || !std::holds_alternative<Reservation>(*admission)) continue;
          const std::int64_t now_held = held += most;
          std::int64_t before = most_held.load();
          while (before < now_held && !most_held.compare_exchange_weak(before, now_held)) {
          }
          const auto real = static_cast<std::int64_t>(random() % (most + 1));
          // What was real stays held: it is spent.
          held -= most - real;
          std::get<Reservation>(*admission).settle({.cost = PicoUsd{real}});
          settled += real;
          if (n % 10 == 0) static_cast<void>(budgets.flush());
        }
      });
    threads.clear();
    ASSERT_TRUE(one.flush());
    ASSERT_TRUE(two.flush());
    EXPECT_LE(most_held.load(), 20'000);
    EXPECT_GT(settled.load(), 10'000) << "or the limit was never near";
    EXPECT_EQ(budgets_.spend(key)->own.total.value, settled.load());
  }
}

}  // namespace
}  // namespace gantry::gateway
