#include "broadcast/queue.h"

#include <thread>

#include <gtest/gtest.h>

#include "broadcast/testing/queue_support.h"
#include "storage/log_segment.h"

namespace gantry::broadcast {
namespace {

using Operation = storage::FaultyFileSystem::Operation;

class QueueTest : public testing::Test {
 protected:
  QueueHouse house_;
};

TEST_F(QueueTest, AnItemComesBackAsItWent) {
  house_.add({kFirst});
  const std::string payload("bytes \0 and \xff more", 18);
  ASSERT_TRUE(house_.queue().append({.stack = 4'000'000'000,
                                     .signal = Signal::Spans,
                                     .created_ms = kNowMs - 5,
                                     .item_count = 3,
                                     .order_key = ~std::uint64_t{0},
                                     .destinations = {kFirst},
                                     .payload = core::as_bytes(payload)}));
  const auto items = read_now(house_.queue(), kFirst);
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0].stack, 4'000'000'000);
  EXPECT_EQ(items[0].signal, Signal::Spans);
  EXPECT_EQ(items[0].created_ms, kNowMs - 5);
  EXPECT_EQ(items[0].item_count, 3U);
  EXPECT_EQ(items[0].order_key, ~std::uint64_t{0});
  EXPECT_EQ(items[0].payload, payload);
}

TEST_F(QueueTest, EachDestinationReadsWhatNamesItAtItsOwnPace) {
  house_.add({kFirst, kSecond});
  house_.append(0, 10, {.destinations = {kFirst, kSecond}});
  house_.append(10, 5, {.destinations = {kSecond}});
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(0, 10));
  EXPECT_EQ(house_.queue().depth(kFirst).items, 0U);
  const QueueDepth depth = house_.queue().depth(kSecond);
  EXPECT_EQ(depth.items, 15U);
  EXPECT_EQ(depth.bytes, 1500U);
  EXPECT_EQ(depth.oldest_ms, kNowMs);
  EXPECT_EQ(drain(house_.queue(), kSecond), count_up(0, 15));
  EXPECT_EQ(house_.queue().finished(kSecond, Outcome::Sent), 15U);
}

TEST_F(QueueTest, ANewDestinationBeginsAtTheEndAndUnknownOnesAreLeftOut) {
  house_.add({kFirst});
  house_.append(0, 3, {.destinations = {kSecond, kFirst}});
  house_.add({kSecond});
  EXPECT_EQ(house_.queue().depth(kSecond).items, 0U);
  house_.append(3, 2, {.destinations = {kSecond, kFirst, "nobody"}});
  EXPECT_EQ(drain(house_.queue(), kSecond), count_up(3, 2));
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(0, 5));
  const std::uint64_t bytes = house_.queue().log_bytes();
  house_.append(9, 1, {.destinations = {"nobody"}});
  EXPECT_EQ(house_.queue().log_bytes(), bytes) << "nothing to write";
}

TEST_F(QueueTest, ReadsStopAtTheirLimitsAndALargeItemComesAlone) {
  house_.add({kFirst});
  house_.append(0, 6);
  house_.append(6, 1, {.bytes = 5000});
  house_.append(7, 1);
  EXPECT_EQ(numbers_of(read_now(house_.queue(), kFirst, 4)), count_up(0, 4));
  EXPECT_EQ(numbers_of(read_now(house_.queue(), kFirst, 10, 250)), count_up(4, 2));
  EXPECT_EQ(numbers_of(read_now(house_.queue(), kFirst, 10, 250)), count_up(6, 1));
  EXPECT_EQ(numbers_of(read_now(house_.queue(), kFirst, 10, 250)), count_up(7, 1));
}

TEST_F(QueueTest, SeveralItemsAreAppendedInTheirOrder) {
  house_.add({kFirst, kSecond});
  std::vector<std::string> texts;
  for (int i = 0; i < 20; ++i) texts.push_back(item_text(i));
  std::vector<QueueItem> items;
  for (const std::string& text : texts)
    items.push_back({.stack = 7,
                     .created_ms = kNowMs,
                     .item_count = static_cast<std::uint32_t>(items.size()) + 1,
                     .destinations = {items.size() % 2 == 0 ? kFirst : kSecond},
                     .payload = core::as_bytes(text)});
  ASSERT_TRUE(house_.queue().append_all(items));
  EXPECT_EQ(drain(house_.queue(), kFirst), (std::vector<int>{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}));
  EXPECT_EQ(house_.queue().depth(kSecond).items, 10U);
  ASSERT_TRUE(house_.queue().append_all({}));
}

TEST_F(QueueTest, AnItemThatIsTooLargeQueuesNoneOfItsCompany) {
  house_.add({kFirst});
  const std::string small = item_text(1);
  const std::string large(quick_queue_options().item_bytes_max + std::size_t{1}, 'x');
  const std::vector<QueueItem> items = {
      {.created_ms = kNowMs, .destinations = {kFirst}, .payload = core::as_bytes(small)},
      {.created_ms = kNowMs, .destinations = {kFirst}, .payload = core::as_bytes(large)}};
  const auto appended = house_.queue().append_all(items);
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code, Code::TooLarge);
  EXPECT_EQ(house_.queue().depth(kFirst).items, 0U);
}

TEST_F(QueueTest, AReaderOfAShardGetsNothingElse) {
  house_.add({kFirst});
  for (int i = 0; i < 12; ++i)
    house_.append(i, 1, {.order_key = static_cast<std::uint64_t>(i % 4 + 1)});
  CancelToken token;
  const auto read = [&](std::uint32_t shard) {
    return house_.queue().read(kFirst, {.wait = {0}, .order_shards = 4, .order_shard = shard},
                               token.narrowed_to(monotonic_ns() + 20'000'000));
  };
  const auto first = read(1);
  ASSERT_TRUE(first);
  EXPECT_EQ(numbers_of(*first), (std::vector<int>{0, 4, 8}));
  EXPECT_FALSE(read(1)) << "its key is in flight";
  const auto last = read(0);
  ASSERT_TRUE(last);
  EXPECT_EQ(numbers_of(*last), (std::vector<int>{3, 7, 11}));
  house_.queue().give_back(kFirst, std::vector{first->at(1).position, first->at(2).position});
  EXPECT_FALSE(read(1)) << "an item before them is in flight";
  house_.queue().give_back(kFirst, std::vector{first->at(0).position});
  EXPECT_EQ(numbers_of(*read(1)), (std::vector<int>{0, 4, 8}));
}

TEST_F(QueueTest, GivenBackItemsComeFirst) {
  house_.add({kFirst});
  house_.append(0, 6);
  const auto first = read_now(house_.queue(), kFirst, 2);
  const auto second = read_now(house_.queue(), kFirst, 2);
  EXPECT_EQ(numbers_of(second), count_up(2, 2));
  house_.queue().give_back(kFirst, positions_of(first));
  EXPECT_EQ(numbers_of(read_now(house_.queue(), kFirst, 3)), (std::vector{0, 1, 4}));
}

TEST_F(QueueTest, AnOrderKeyInFlightHoldsBackItsOwnOnly) {
  house_.add({kFirst});
  house_.append(0, 1, {.order_key = 1});
  const auto first = read_now(house_.queue(), kFirst);
  house_.append(1, 2, {.order_key = 1});
  house_.append(3, 1, {.order_key = 2});
  house_.append(4, 1);
  const auto others = read_now(house_.queue(), kFirst);
  EXPECT_EQ(numbers_of(others), (std::vector{3, 4}));
  EXPECT_TRUE(read_now(house_.queue(), kFirst).empty());
  house_.queue().give_back(kFirst, positions_of(first));
  EXPECT_EQ(numbers_of(read_now(house_.queue(), kFirst)), count_up(0, 3));
}

TEST_F(QueueTest, ReadWaitsForTheFirstThenForMore) {
  house_.add({kFirst});
  std::thread writer([&] { house_.append(0, 3); });
  const auto items = house_.queue().read(kFirst, {.items_max = 3, .wait = {60'000}}, {});
  writer.join();
  ASSERT_TRUE(items);
  EXPECT_EQ(numbers_of(*items), count_up(0, 3));
}

TEST_F(QueueTest, ReadEndsWhenCancelledOrRemoved) {
  house_.add({kFirst});
  const CancelToken cancel;
  std::thread stopper([&] { cancel.cancel(); });
  EXPECT_EQ(house_.queue().read(kFirst, {}, cancel).error().code, Code::Cancelled);
  stopper.join();
  std::thread remover([&] { EXPECT_TRUE(house_.queue().remove_destination(kFirst)); });
  EXPECT_EQ(house_.queue().read(kFirst, {}, {}).error().code, Code::NotFound);
  remover.join();
}

TEST_F(QueueTest, ARemovedDestinationIsForgotten) {
  house_.add({kFirst});
  house_.append(0, 3);
  const auto items = read_now(house_.queue(), kFirst, 1);
  ASSERT_TRUE(house_.queue().remove_destination(kFirst));
  EXPECT_EQ(house_.queue().dropped(kFirst, DropReason::Removed), 3U);
  EXPECT_EQ(house_.queue().finish(kFirst, positions_of(items), Outcome::Sent).error().code,
            Code::NotFound);
  EXPECT_EQ(house_.queue().remove_destination(kFirst).error().code, Code::NotFound);
  house_.add({kFirst});
  EXPECT_TRUE(drain(house_.queue(), kFirst).empty());
  house_.reopen();
  EXPECT_EQ(house_.queue().destinations(), std::vector{kFirst});
  ASSERT_TRUE(house_.queue().remove_destination(kFirst));
  house_.reopen();
  EXPECT_TRUE(house_.queue().destinations().empty());
}

TEST_F(QueueTest, IdsThatAreNoFileNamesAreRefused) {
  for (const std::string& id : {std::string(), std::string("../x"), std::string("A"),
                                std::string("a/b"), std::string(65, 'a')}) {
    EXPECT_EQ(house_.queue().add_destination(id).error().code, Code::InvalidArgument) << id;
  }
}

TEST_F(QueueTest, DestinationsAreLimited) {
  QueueHouse house({.destinations_max = 1});
  house.add({kFirst});
  house.add({kFirst});
  const auto added = house.queue().add_destination(kSecond);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Code::ResourceExhausted);
  EXPECT_EQ(house.queue().destinations(), std::vector{kFirst});
}

TEST_F(QueueTest, AnItemOverTheLimitIsRefused) {
  QueueHouse house({.item_bytes_max = 100});
  house.add({kFirst});
  house.append(0, 1);
  EXPECT_EQ(append_item(house.queue(), {.number = 1, .bytes = 101}).error().code, Code::TooLarge);
  EXPECT_EQ(drain(house.queue(), kFirst), count_up(0, 1));
}

TEST_F(QueueTest, ARestartGoesOnWhereTheCursorsAre) {
  house_.add({kFirst, kSecond});
  house_.append(0, 100, {.destinations = {kFirst, kSecond}});
  const auto first = read_now(house_.queue(), kFirst, 10);
  const auto second = read_now(house_.queue(), kFirst, 10);
  ASSERT_TRUE(house_.queue().finish(kFirst, positions_of(second), Outcome::Sent));
  house_.reopen();
  EXPECT_EQ(house_.queue().depth(kFirst).items, 90U);
  EXPECT_EQ(house_.queue().depth(kFirst).bytes, 9000U);
  std::vector<int> expected = count_up(0, 10);
  std::ranges::copy(count_up(20, 80), std::back_inserter(expected));
  EXPECT_EQ(drain(house_.queue(), kFirst), expected) << "in flight again, finished not";
  EXPECT_EQ(drain(house_.queue(), kSecond), count_up(0, 100));
  house_.reopen();
  EXPECT_TRUE(drain(house_.queue(), kFirst).empty());
}

TEST_F(QueueTest, APowerCutLosesNothingAppendedAndFinishesSinceTheLastCursorOnly) {
  house_.add({kFirst});
  house_.append(0, 50);
  ASSERT_TRUE(house_.queue().finish(kFirst, positions_of(read_now(house_.queue(), kFirst, 20)),
                                    Outcome::Sent));
  ASSERT_TRUE(house_.queue().maintain());
  ASSERT_TRUE(house_.queue().finish(kFirst, positions_of(read_now(house_.queue(), kFirst, 20)),
                                    Outcome::Sent));
  house_.crash();
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(20, 30));
}

TEST_F(QueueTest, FinishWritesACursorThatIsTooOld) {
  QueueHouse house({.cursor_interval = {0}});
  house.add({kFirst});
  house.append(0, 10);
  ASSERT_TRUE(house.queue().finish(kFirst, positions_of(read_now(house.queue(), kFirst, 4)),
                                   Outcome::Sent));
  house.crash();
  EXPECT_EQ(drain(house.queue(), kFirst), count_up(4, 6));
}

TEST_F(QueueTest, SegmentsGoWhenEveryCursorOnDiskHasPassedThem) {
  house_.add({kFirst, kSecond, "idle"});
  house_.append(0, 200, {.destinations = {kFirst, kSecond}});
  const std::size_t all = queue_segments(house_.files).size();
  ASSERT_GT(all, 5U);
  drain(house_.queue(), kFirst);
  ASSERT_TRUE(house_.queue().maintain());
  EXPECT_EQ(queue_segments(house_.files).size(), all);
  drain(house_.queue(), kSecond);
  EXPECT_EQ(queue_segments(house_.files).size(), all) << "no cursor is on disk yet";
  ASSERT_TRUE(house_.queue().maintain());
  EXPECT_EQ(queue_segments(house_.files).size(), 1U);
  house_.append(200, 2, {.destinations = {"idle"}});
  house_.reopen();
  EXPECT_EQ(drain(house_.queue(), "idle"), count_up(200, 2));
  EXPECT_TRUE(drain(house_.queue(), kFirst).empty());
}

TEST_F(QueueTest, NoSegmentGoesWhileACursorCannotBeWritten) {
  house_.add({kFirst});
  house_.append(0, 100);
  drain(house_.queue(), kFirst);
  house_.files.inject({.operation = Operation::Rename});
  EXPECT_FALSE(house_.queue().maintain());
  EXPECT_GT(queue_segments(house_.files).size(), 2U);
  ASSERT_TRUE(house_.queue().maintain());
  EXPECT_EQ(queue_segments(house_.files).size(), 1U);
}

TEST_F(QueueTest, AFullQueueDropsTheOldestOfThatDestinationOnly) {
  QueueHouse house({.segment_bytes_max = 4096, .bytes_max = 1000});
  house.add({kFirst, kSecond});
  house.append(0, 10, {.destinations = {kFirst, kSecond}});
  drain(house.queue(), kSecond);
  EXPECT_EQ(house.queue().dropped(kFirst, DropReason::QueueFull), 0U);
  const auto flying = read_now(house.queue(), kFirst, 2);
  house.append(10, 5, {.destinations = {kFirst, kSecond}});
  EXPECT_EQ(house.queue().dropped(kFirst, DropReason::QueueFull), 5U);
  EXPECT_EQ(house.queue().dropped(kSecond, DropReason::QueueFull), 0U);
  EXPECT_EQ(house.queue().depth(kFirst).bytes, 1000U);
  ASSERT_TRUE(house.queue().finish(kFirst, positions_of(flying), Outcome::Sent));
  EXPECT_EQ(drain(house.queue(), kFirst), count_up(7, 8)) << "what was in flight is not dropped";
  EXPECT_EQ(drain(house.queue(), kSecond), count_up(10, 5));
}

TEST_F(QueueTest, WhatIsTooOldIsDroppedBeforeSendingAndByMaintenance) {
  QueueHouse house({.age_max = {1000}});
  house.add({kFirst, kSecond});
  house.append(0, 3, {.destinations = {kFirst, kSecond}, .created_ms = kNowMs - 500});
  house.append(3, 2, {.destinations = {kFirst, kSecond}});
  house.clock.advance({501});
  EXPECT_EQ(drain(house.queue(), kFirst), count_up(3, 2));
  EXPECT_EQ(house.queue().dropped(kFirst, DropReason::TooOld), 3U);
  house.clock.advance({500});
  ASSERT_TRUE(house.queue().maintain());
  EXPECT_EQ(house.queue().dropped(kSecond, DropReason::TooOld), 5U);
  EXPECT_EQ(house.queue().depth(kSecond).items, 0U);
}

TEST_F(QueueTest, AnOldItemOfOneDestinationDoesNotKeepTheWholeLog) {
  QueueHouse house({.segment_bytes_max = 4096, .log_bytes_max = 16384});
  house.add({kFirst, kSecond});
  house.append(0, 1, {.destinations = {kFirst}});
  house.append(1, 200, {.destinations = {kSecond}});
  drain(house.queue(), kSecond);
  ASSERT_TRUE(house.queue().maintain());
  EXPECT_LE(house.queue().log_bytes(), 16384U);
  EXPECT_EQ(house.queue().dropped(kFirst, DropReason::QueueFull), 1U);
  EXPECT_EQ(house.queue().depth(kFirst).items, 0U);
}

TEST_F(QueueTest, ADamagedPayloadIsSkippedAndCounted) {
  house_.add({kFirst, kSecond});
  house_.append(0, 3, {.destinations = {kFirst, kSecond}});
  const auto items = read_now(house_.queue(), kSecond);
  const storage::LogPosition second = items[1].position;
  ASSERT_TRUE(house_.files.corrupt(kQueueDirectory / "log" / storage::segment_name(second.segment),
                                   items[2].position.offset_bytes - 10, 3));
  EXPECT_EQ(drain(house_.queue(), kFirst), (std::vector{0, 2}));
  EXPECT_EQ(house_.queue().dropped(kFirst, DropReason::Corrupt), 1U);
  EXPECT_EQ(house_.queue().dropped(kSecond, DropReason::Corrupt), 0U);
  EXPECT_EQ(house_.queue().depth(kFirst).items, 0U);
}

/// One byte of the item's head, or of its record's length.
class QueueDamageTest : public QueueTest, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(QueueDamageTest, ADamagedHeadCostsAtMostTheRestOfItsSegment) {
  house_.add({kFirst, kSecond});
  house_.append(0, 60, {.destinations = {kFirst, kSecond}});
  const auto items = read_now(house_.queue(), kSecond);
  ASSERT_EQ(items.size(), 60U);
  const storage::LogPosition at = items[2].position;
  ASSERT_EQ(at.segment, items[3].position.segment);
  ASSERT_NE(at.segment, items[59].position.segment);
  ASSERT_TRUE(house_.files.corrupt(kQueueDirectory / "log" / storage::segment_name(at.segment),
                                   at.offset_bytes + GetParam(), 5));
  const auto check = [&] {
    const std::vector<int> numbers = drain(house_.queue(), kFirst);
    EXPECT_TRUE(std::ranges::is_sorted(numbers));
    EXPECT_EQ(std::ranges::count(numbers, 1), 1);
    EXPECT_EQ(std::ranges::count(numbers, 2), 0);
    EXPECT_EQ(std::ranges::count(numbers, 59), 1);
    EXPECT_EQ(house_.queue().depth(kFirst).items, 0U);
    return 60 - numbers.size();
  };
  const std::size_t lost = check();
  EXPECT_EQ(house_.queue().dropped(kFirst, DropReason::Corrupt), lost) << "while it is running";
}

TEST_P(QueueDamageTest, IsCountedByARestartToo) {
  house_.add({kFirst});
  house_.append(0, 60);
  const auto items = read_now(house_.queue(), kFirst);
  const storage::LogPosition at = items[2].position;
  house_.queue().give_back(kFirst, positions_of(items));
  ASSERT_TRUE(house_.queue().finish(kFirst, positions_of(read_now(house_.queue(), kFirst, 1)),
                                    Outcome::Sent));
  house_.close();
  ASSERT_TRUE(house_.files.corrupt(kQueueDirectory / "log" / storage::segment_name(at.segment),
                                   at.offset_bytes + GetParam(), 5));
  house_.reopen();
  const std::uint64_t left = house_.queue().depth(kFirst).items;
  EXPECT_EQ(house_.queue().dropped(kFirst, DropReason::Corrupt), 59 - left);
  const std::vector<int> numbers = drain(house_.queue(), kFirst);
  EXPECT_EQ(numbers.size(), left);
  EXPECT_EQ(numbers.front(), 1);
  EXPECT_EQ(numbers.back(), 59);
}

INSTANTIATE_TEST_SUITE_P(Bytes, QueueDamageTest, testing::Values(0, 3, 17, 21, 30, 60));

TEST_F(QueueTest, AMissingSegmentIsSkippedAndCounted) {
  house_.add({kFirst});
  house_.append(0, 100);
  const std::vector<std::string> segments = queue_segments(house_.files);
  ASSERT_GT(segments.size(), 3U);
  ASSERT_TRUE(house_.files.remove(kQueueDirectory / "log" / segments[1]));
  const std::vector<int> numbers = drain(house_.queue(), kFirst);
  EXPECT_EQ(numbers.front(), 0);
  EXPECT_EQ(numbers.back(), 99);
  EXPECT_LT(numbers.size(), 100U);
  EXPECT_EQ(house_.queue().dropped(kFirst, DropReason::Corrupt), 100 - numbers.size());
  EXPECT_EQ(house_.queue().depth(kFirst).items, 0U);
}

TEST_F(QueueTest, AMissingSegmentDoesNotKeepItFromOpening) {
  house_.add({kFirst});
  house_.append(0, 100);
  const std::vector<std::string> segments = queue_segments(house_.files);
  house_.close();
  ASSERT_TRUE(house_.files.remove(kQueueDirectory / "log" / segments[1]));
  house_.reopen();
  const std::uint64_t left = house_.queue().depth(kFirst).items;
  const std::vector<int> numbers = drain(house_.queue(), kFirst);
  EXPECT_EQ(numbers.size(), left);
  EXPECT_EQ(numbers.front(), 0);
  EXPECT_EQ(numbers.back(), 99);
}

TEST_F(QueueTest, AFailedWriteIsNobodysItem) {
  house_.add({kFirst});
  house_.append(0, 5);
  house_.files.inject({.operation = Operation::Sync});
  EXPECT_FALSE(append_item(house_.queue(), {.number = 5}));
  EXPECT_EQ(house_.queue().depth(kFirst).items, 5U);
  house_.append(6, 5);
  std::vector<int> expected = count_up(0, 5);
  std::ranges::copy(count_up(6, 5), std::back_inserter(expected));
  EXPECT_EQ(drain(house_.queue(), kFirst), expected);
  EXPECT_EQ(house_.queue().dropped(kFirst, DropReason::Corrupt), 0U);
  EXPECT_EQ(house_.queue().depth(kFirst).items, 0U);
}

TEST_F(QueueTest, ADamagedCursorStartsAtTheOldestSegment) {
  house_.add({kFirst, kSecond});
  house_.append(0, 10, {.destinations = {kFirst, kSecond}});
  drain(house_.queue(), kFirst);
  house_.close();
  const storage::Path cursor = kQueueDirectory / "cursors" / (kFirst + ".cursor");
  ASSERT_TRUE(house_.files.corrupt(cursor, 20, 2));
  house_.reopen();
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(0, 10)) << "twice rather than never";
  EXPECT_EQ(drain(house_.queue(), kSecond), count_up(0, 10));
  EXPECT_TRUE(
      *house_.files.exists(kQueueDirectory / "cursors" / "quarantine" / (kFirst + ".cursor")));
}

TEST_F(QueueTest, AFullDiskRefusesItemsAndLosesNone) {
  house_.add({kFirst});
  house_.append(0, 20);
  house_.files.set_capacity(1);
  EXPECT_EQ(append_item(house_.queue(), {.number = 20}).error().code, Code::ResourceExhausted);
  EXPECT_EQ(house_.queue().depth(kFirst).items, 20U);
  house_.files.set_capacity(~std::uint64_t{0});
  auto appended = append_item(house_.queue(), {.number = 21});
  for (int i = 0; i < 100 && !appended; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    appended = append_item(house_.queue(), {.number = 21});
  }
  ASSERT_TRUE(appended) << appended.error().message;
  std::vector<int> expected = count_up(0, 20);
  expected.push_back(21);
  EXPECT_EQ(drain(house_.queue(), kFirst), expected);
}

TEST_F(QueueTest, AFullDiskCanBeEmptiedAgain) {
  house_.add({kFirst});
  house_.append(0, 100);
  drain(house_.queue(), kFirst);
  // What is written already is over this: not a byte more, but for what is given up.
  house_.files.set_capacity(200 << 10);
  EXPECT_EQ(append_item(house_.queue(), {.number = 100}).error().code, Code::ResourceExhausted);
  ASSERT_TRUE(house_.queue().maintain());
  EXPECT_EQ(queue_segments(house_.files).size(), 1U);
}

TEST_F(QueueTest, AReadThatFailsLeavesNothingInFlight) {
  house_.add({kFirst});
  house_.append(0, 5);
  house_.files.inject({.operation = Operation::Read, .skip_count = 5});
  const auto failed = house_.queue().read(kFirst, {.wait = {0}}, {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::Internal);
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(0, 5));
}

TEST_F(QueueTest, ReadAheadIsBoundedByWhatIsHeldBack) {
  QueueHouse house({.read_ahead_items_max = 10});
  house.add({kFirst});
  house.append(0, 1, {.order_key = 5});
  const auto first = read_now(house.queue(), kFirst);
  house.append(1, 10, {.order_key = 5});
  house.append(11, 1, {.order_key = 6});
  EXPECT_TRUE(read_now(house.queue(), kFirst).empty()) << "ten places are taken";
  ASSERT_TRUE(house.queue().finish(kFirst, positions_of(first), Outcome::Dropped));
  EXPECT_EQ(house.queue().finished(kFirst, Outcome::Dropped), 1U);
  EXPECT_EQ(drain(house.queue(), kFirst), count_up(1, 11));
}

TEST_F(QueueTest, ManyThreadsAtOnce) {
  constexpr int kWriters = 3;
  constexpr int kItems = 200;
  house_.add({kFirst, kSecond});
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (int i = 0; i < kItems; ++i) {
        EXPECT_TRUE(
            append_item(house_.queue(), {.number = writer * kItems + i,
                                         .destinations = {kFirst, kSecond},
                                         .order_key = static_cast<std::uint64_t>(writer) + 1}));
      }
    });
  }
  std::array<std::vector<int>, 2> got;
  std::array<int, 2> turns{};
  for (std::size_t reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&, reader] {
      const DestinationId& id = reader == 0 ? kFirst : kSecond;
      while (got.at(reader).size() < kWriters * kItems) {
        const auto items = house_.queue().read(id, {.items_max = 7, .wait = {1}}, {});
        ASSERT_TRUE(items);
        if (++turns.at(reader) % 3 == 0) {
          house_.queue().give_back(id, positions_of(*items));
          continue;
        }
        std::ranges::copy(numbers_of(*items), std::back_inserter(got.at(reader)));
        ASSERT_TRUE(house_.queue().finish(id, positions_of(*items), Outcome::Sent));
        ASSERT_TRUE(house_.queue().maintain());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::vector<int>& numbers : got) {
    for (int writer = 0; writer < kWriters; ++writer) {
      std::vector<int> of_writer;
      std::ranges::copy_if(numbers, std::back_inserter(of_writer),
                           [&](int number) { return number / kItems == writer; });
      EXPECT_EQ(of_writer, count_up(writer * kItems, kItems)) << "in order per key";
    }
  }
  EXPECT_EQ(house_.queue().depth(kFirst).items, 0U);
}

}  // namespace
}  // namespace gantry::broadcast
