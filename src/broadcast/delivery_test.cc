#include "broadcast/delivery.h"

#include <random>

#include <gtest/gtest.h>

#include "broadcast/testing/delivery_support.h"

namespace gantry::broadcast {
namespace {

using namespace testing;

TransportResult taken(const Received& /*received*/) {
  return answer_with(200, "{}");
}

bool has(const Received& received, int number) {
  return std::ranges::find(received.numbers, number) != received.numbers.end();
}

TEST(Delivery, MergesEventsIntoOneRequest) {
  for (const Destination& destination : {grafana_destination(), gantry_destination()}) {
    DeliveryHouse house(FakeTime::Mode::Jumps, destination);
    house.append(0, 100);
    FakeReceiver receiver(taken);
    const auto statistics = house.deliver_all(receiver);
    EXPECT_EQ(receiver.calls(), 1);
    EXPECT_EQ(statistics.sent_events, 100U);
    EXPECT_EQ(statistics.sent_items, 100U);
    EXPECT_TRUE(statistics.last_success);
    EXPECT_FALSE(statistics.last_error);
    EXPECT_EQ(statistics.send_seconds.cumulative_counts.back(), 1U);
    EXPECT_EQ(statistics.state, DeliveryState::Stopped);
    house.expect_accounted(receiver, statistics, 100);
  }
}

TEST(Delivery, KeepsToTheLimitsOfABatch) {
  DeliveryHouse house;
  house.append(0, 25);
  std::atomic<std::size_t> largest = 0;
  std::atomic<int> most = 0;
  FakeReceiver receiver([&](const Received& received) {
    largest = std::max(largest.load(), received.numbers.size());
    most = std::max(most.load(), received.concurrent);
    return taken(received);
  });
  const auto statistics =
      house.deliver_all(receiver, {.events_per_batch_max = 2, .batches_in_flight_max = 3});
  EXPECT_EQ(largest, 2U);
  EXPECT_LE(most, 3);
  EXPECT_EQ(receiver.calls(), 13);
  house.expect_accounted(receiver, statistics, 25);
}

TEST(Delivery, SurvivesAReceiverThatIsDown) {
  DeliveryHouse house;
  house.append(0, 100);
  constexpr int kDown = 40;
  std::atomic<int> crowd = 0;
  FakeReceiver receiver([&](const Received& received) {
    // Three others may have been let through before the fifth failure came.
    if (received.call >= 8 && received.call < kDown)
      crowd = std::max(crowd.load(), received.concurrent);
    return received.call < kDown ? failure(TransportFailure::Connect) : taken(received);
  });
  const auto statistics = house.deliver_all(receiver, {.events_per_batch_max = 10});
  EXPECT_EQ(crowd, 1) << "more than a probe";
  EXPECT_EQ(retries(statistics, FailureKind::Connect), static_cast<std::uint64_t>(kDown));
  EXPECT_EQ(statistics.failures_in_row, 0U);
  EXPECT_EQ(statistics.last_error->kind, FailureKind::Connect);
  EXPECT_EQ(statistics.sent_events, 100U);
  house.expect_accounted(receiver, statistics, 100);
}

TEST(Delivery, BacksOffTwiceAsLongEachTime) {
  DeliveryHouse house;
  house.append(0, 1);
  std::vector<std::int64_t> times;
  FakeReceiver receiver([&](const Received& received) {
    times.push_back(house.time.elapsed().count);
    return received.call < 8 ? failure(TransportFailure::Dns) : taken(received);
  });
  house.deliver_all(receiver);
  std::vector<std::int64_t> gaps;
  for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
  // Chance is in the middle: three quarters.
  EXPECT_EQ(gaps,
            (std::vector<std::int64_t>{750, 1500, 3000, 6000, 12'000, 24'000, 45'000, 45'000}));
}

TEST(Delivery, SurvivesAReceiverThatFlaps) {
  DeliveryHouse house;
  house.append(0, 60);
  FakeReceiver receiver([&](const Received& received) -> TransportResult {
    if (received.call % 3 == 0) return answer_with(503);
    if (received.call % 3 == 1) return failure(TransportFailure::Timeout);
    return taken(received);
  });
  const auto statistics = house.deliver_all(receiver, {.events_per_batch_max = 5});
  EXPECT_EQ(statistics.sent_events, 60U);
  EXPECT_GT(retries(statistics, FailureKind::ServerError), 0U);
  EXPECT_GT(retries(statistics, FailureKind::Timeout), 0U);
  house.expect_accounted(receiver, statistics, 60);
}

TEST(Delivery, WaitsAsLongAsTheReceiverSays) {
  DeliveryHouse house;
  house.append(0, 3);
  std::int64_t again_ms = 0;
  FakeReceiver receiver([&](const Received& received) -> TransportResult {
    again_ms = house.time.elapsed().count;
    if (received.call > 0) return taken(received);
    ExportAnswer answer = answer_with(429);
    answer.headers.add("Retry-After", "30");
    return answer;
  });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(again_ms, 30'000);
  EXPECT_EQ(retries(statistics, FailureKind::RateLimited), 1U);
  house.expect_accounted(receiver, statistics, 3);
}

TEST(Delivery, FindsTheEventToBlame) {
  DeliveryHouse house;
  house.append(0, 100);
  FakeReceiver receiver([](const Received& received) -> TransportResult {
    return has(received, 42) ? answer_with(400, R"({"message":"bad span"})") : taken(received);
  });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(house.buried(), std::vector<int>{42});
  EXPECT_EQ(house.last_refusal().status, 400U);
  EXPECT_EQ(house.last_refusal().message,
            "the receiver refused the data with 400; the answer: bad span");
  EXPECT_LE(receiver.calls(), 15);
  EXPECT_EQ(house.time.elapsed().count, 0) << "a refusal costs no waiting";
  house.expect_accounted(receiver, statistics, 100);
}

TEST(Delivery, SplitsWhatIsTooLarge) {
  DeliveryHouse house;
  house.append(0, 64);
  FakeReceiver receiver([](const Received& received) -> TransportResult {
    return received.numbers.size() > 10 || has(received, 5) ? answer_with(413) : taken(received);
  });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(house.buried(), std::vector<int>{5});
  EXPECT_EQ(house.last_refusal().status, 413U);
  house.expect_accounted(receiver, statistics, 64);
}

TEST(Delivery, BuriesWhatIsRefusedForGood) {
  DeliveryHouse house;
  house.append(0, 8);
  FakeReceiver receiver([](const Received&) { return answer_with(410); });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(receiver.calls(), 1);
  EXPECT_EQ(statistics.dead_events, 8U);
  house.expect_accounted(receiver, statistics, 8);
}

TEST(Delivery, GivesUpOnServerErrorsThatMayBeForEver) {
  DeliveryHouse house;
  house.append(0, 2);
  FakeReceiver receiver([](const Received&) { return answer_with(500, "panic"); });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(receiver.calls(), 4);
  EXPECT_EQ(statistics.dead_events, 2U);
  EXPECT_EQ(house.last_refusal().status, 500U);
  EXPECT_EQ(house.last_refusal().message, "the receiver answered 500; the answer: panic");
}

TEST(Delivery, SendsAgainWhatWasCutOff) {
  DeliveryHouse house;
  house.append(0, 10);
  FakeReceiver receiver([](const Received& received) -> TransportResult {
    if (received.call == 0) return failure(TransportFailure::Timeout);
    if (received.call == 1) return failure(TransportFailure::Broken);
    return taken(received);
  });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(receiver.calls(), 3);
  EXPECT_EQ(retries(statistics, FailureKind::Timeout), 1U);
  EXPECT_EQ(retries(statistics, FailureKind::Connect), 1U);
  house.expect_accounted(receiver, statistics, 10);
}

TEST(Delivery, HoldsUntilTheTokenIsRotated) {
  DeliveryHouse house(FakeTime::Mode::Stands);
  house.append(0, 30);
  std::atomic<bool> is_valid = false;
  std::atomic<int> crowd = 0;
  FakeReceiver receiver([&](const Received& received) -> TransportResult {
    if (is_valid) return taken(received);
    crowd = std::max(crowd.load(), received.concurrent);
    return answer_with(401);
  });
  auto delivery = house.start(receiver, {.events_per_batch_max = 10, .batches_in_flight_max = 1});
  for (int calls = 1; calls < 4; ++calls) {
    ASSERT_TRUE(eventually([&] {
      return delivery->statistics().failures_in_row == static_cast<std::uint32_t>(calls);
    }));
    EXPECT_EQ(delivery->statistics().state, DeliveryState::Held);
    EXPECT_EQ(receiver.calls(), calls);
    if (calls == 3) is_valid = true;
    house.time.advance_to(calls * std::int64_t{60'000});
  }
  ASSERT_TRUE(eventually([&] { return house.is_empty(); }));
  ASSERT_TRUE(eventually([&] { return delivery->statistics().state == DeliveryState::Active; }));
  delivery->stop({0});
  const auto statistics = delivery->statistics();
  EXPECT_EQ(crowd, 1);
  EXPECT_EQ(retries(statistics, FailureKind::Unauthorized), 3U);
  EXPECT_EQ(statistics.last_error->status, 401U);
  EXPECT_FALSE(statistics.last_error->message.contains("glc_secret"));
  EXPECT_EQ(statistics.dead_events, 0U);
  house.expect_accounted(receiver, statistics, 30);
}

TEST(Delivery, TriesTheOtherEncodingOnce) {
  DeliveryHouse house;
  house.append(0, 10);
  FakeReceiver receiver([](const Received& received) -> TransportResult {
    return received.content_type == "application/json" ? answer_with(415) : taken(received);
  });
  const auto statistics = house.deliver_all(receiver, {.events_per_batch_max = 5});
  EXPECT_EQ(statistics.sent_events, 10U);
  EXPECT_EQ(house.time.elapsed().count, 0);
  house.expect_accounted(receiver, statistics, 10);
}

TEST(Delivery, HoldsWhenNeitherEncodingIsTaken) {
  DeliveryHouse house;
  house.append(0, 1);
  FakeReceiver receiver([](const Received& received) -> TransportResult {
    return received.call < 4 ? answer_with(415) : taken(received);
  });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(receiver.calls(), 5);
  EXPECT_EQ(house.time.elapsed().count, 180'000);
  house.expect_accounted(receiver, statistics, 1);
}

TEST(Delivery, CountsWhatIsRejectedInPart) {
  DeliveryHouse house;
  house.append(0, 5);
  FakeReceiver receiver([](const Received&) {
    return answer_with(200, R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}})");
  });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(receiver.calls(), 1);
  EXPECT_EQ(statistics.sent_events, 5U);
  EXPECT_EQ(statistics.sent_items, 3U);
  EXPECT_EQ(statistics.rejected_items, 2U);
  EXPECT_EQ(statistics.last_error->message, "the receiver rejected 2 spans; the answer: old");
}

TEST(Delivery, GivesUpOnWhatIsTooOld) {
  DeliveryHouse house;
  house.append(0, 20);
  FakeReceiver receiver([](const Received&) { return answer_with(503); });
  const auto statistics = house.deliver_all(receiver, {.events_per_batch_max = 3});
  EXPECT_EQ(statistics.dead_events, 20U);
  EXPECT_GE(house.time.elapsed().count, 24 * 3'600'000);
  EXPECT_TRUE(house.last_refusal().message.starts_with("older than 86400 s (broadcast.max_age)"));
  house.expect_accounted(receiver, statistics, 20);
}

TEST(Delivery, BuriesWhatCannotBeRead) {
  DeliveryHouse house;
  house.append(0, 3);
  house.append_bytes("\x0a\xff");
  house.append(3, 3);
  FakeReceiver receiver(taken);
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(statistics.sent_events, 6U);
  EXPECT_EQ(statistics.dead_events, 1U);
  EXPECT_EQ(house.last_refusal().message, "an event in the queue is not readable");
  EXPECT_EQ(receiver.taken().size(), 6U);
}

TEST(Delivery, NamesAConfigurationThatCannotWork) {
  DeliveryHouse house(FakeTime::Mode::Stands);
  house.destination.config.instance_id = "";
  house.append(0, 1);
  FakeReceiver receiver(taken);
  auto delivery = house.start(receiver);
  ASSERT_TRUE(eventually([&] { return delivery->statistics().failures_in_row == 1; }));
  EXPECT_EQ(delivery->statistics().state, DeliveryState::Held);
  EXPECT_EQ(delivery->statistics().last_error->message,
            "instanceId: must be the number of the instance");
  delivery->stop({0});
  EXPECT_EQ(receiver.calls(), 0);
  EXPECT_EQ(house.queue->depth(house.destination.id).items, 1U);
}

TEST(Delivery, LosesNothingWhenItStopsWhileWaiting) {
  DeliveryHouse house(FakeTime::Mode::Stands);
  house.append(0, 40);
  FakeReceiver down([](const Received&) { return failure(TransportFailure::Connect); });
  auto delivery = house.start(down, {.events_per_batch_max = 10});
  ASSERT_TRUE(eventually([&] { return delivery->statistics().failures_in_row >= 4; }));
  EXPECT_EQ(delivery->statistics().state, DeliveryState::Failing);
  delivery->stop({500});
  EXPECT_EQ(delivery->statistics().batches_in_flight, 0U);
  EXPECT_EQ(house.queue->depth(house.destination.id).items, 40U);
  delivery.reset();
  FakeReceiver up(taken);
  house.expect_accounted(up, house.deliver_all(up), 40);
}

TEST(Delivery, LosesNothingWhenItStopsWhileTheReceiverHangs) {
  DeliveryHouse house(FakeTime::Mode::Stands);
  house.append(0, 40);
  FakeReceiver hanging(hang);
  auto delivery = house.start(hanging, {.events_per_batch_max = 10});
  ASSERT_TRUE(eventually([&] { return hanging.calls() == 4; }));
  delivery->stop({0});
  EXPECT_EQ(house.queue->depth(house.destination.id).items, 40U);
  FakeReceiver up(taken);
  house.expect_accounted(up, house.deliver_all(up), 40);
}

TEST(Delivery, DrainsWhenItStops) {
  DeliveryHouse house(FakeTime::Mode::Stands);
  FakeReceiver receiver(taken);
  auto delivery = house.start(receiver, {.events_per_batch_max = 3});
  house.append(0, 50);
  delivery->stop({10'000});
  house.expect_accounted(receiver, delivery->statistics(), 50);
  EXPECT_TRUE(house.is_empty());
  delivery->stop({0});  // Once more does nothing.
}

TEST(Delivery, DrainsTheRestWhenABatchFails) {
  DeliveryHouse house(FakeTime::Mode::Stands);
  house.append(0, 50);
  FakeReceiver receiver([](const Received& received) -> TransportResult {
    return has(received, 7) ? answer_with(503) : taken(received);
  });
  auto delivery = house.start(receiver, {.events_per_batch_max = 5, .batches_in_flight_max = 1});
  ASSERT_TRUE(eventually([&] { return delivery->statistics().failures_in_row == 1; }));
  delivery->stop({500});
  EXPECT_EQ(receiver.taken().size(), 45U);
  EXPECT_EQ(receiver.calls(), 10);
  EXPECT_EQ(house.queue->depth(house.destination.id).items, 5U);
}

TEST(Delivery, AHangingReceiverHoldsNoOther) {
  DeliveryHouse house(FakeTime::Mode::Stands);
  Destination other = collector_destination();
  ASSERT_TRUE(house.queue->add_destination(other.id));
  house.append(0, 100);
  FakeReceiver hanging(hang);
  auto stuck = house.start(hanging, {.events_per_batch_max = 10});
  ASSERT_TRUE(eventually([&] { return hanging.calls() == 4; }));
  const DestinationId stuck_id = std::exchange(house.destination, other).id;
  FakeReceiver up(taken);
  house.expect_accounted(up, house.deliver_all(up), 100);
  EXPECT_EQ(house.queue->depth(stuck_id).items, 100U);
  stuck->stop({0});
}

TEST(Delivery, KeepsWhatCannotBeBuried) {
  DeliveryHouse house;
  house.append(0, 4);
  FakeReceiver receiver([&](const Received& received) -> TransportResult {
    if (received.call == 2) house.files.set_capacity(~std::uint64_t{0});
    return answer_with(410);
  });
  house.files.set_capacity(0);
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(receiver.calls(), 3);
  EXPECT_EQ(statistics.dead_events, 4U);
  EXPECT_GE(house.time.elapsed().count, 10'000);
  house.expect_accounted(receiver, statistics, 4);
}

TEST(Delivery, EndsWhenTheDestinationIsRemoved) {
  DeliveryHouse house(FakeTime::Mode::Stands);
  FakeReceiver receiver(taken);
  auto delivery = house.start(receiver);
  ASSERT_TRUE(house.queue->remove_destination(house.destination.id));
  delivery->stop({0});
  EXPECT_EQ(receiver.calls(), 0);
}

/// Whatever the receiver does for a while, each event arrives or is a dead letter.
TEST(Delivery, AccountsForEveryEvent) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    DeliveryHouse house;
    house.append(0, 150);
    core::Mutex mutex;
    std::mt19937 random(seed);
    FakeReceiver receiver([&](const Received& received) -> TransportResult {
      if (received.call > 120) return taken(received);
      core::Lock lock(mutex);
      static constexpr int kStatuses[] = {200, 200, 202, 302, 400, 401, 404, 413,
                                          415, 422, 429, 500, 502, 503, 418};
      const auto choice = random() % 20;
      if (choice < std::size(kStatuses)) return answer_with(kStatuses[choice]);
      return failure(static_cast<TransportFailure>(random() % 5));
    });
    const auto statistics = house.deliver_all(receiver, {.events_per_batch_max = 16});
    house.expect_accounted(receiver, statistics, 150);
  }
}

}  // namespace
}  // namespace gantry::broadcast
