#include "broadcast/dead_letters.h"

#include <gtest/gtest.h>

#include "broadcast/testing/queue_support.h"

namespace gantry::broadcast {
namespace {

using Operation = storage::FaultyFileSystem::Operation;

const storage::Path kLetters = "/data/dead";

class DeadLettersTest : public testing::Test {
 protected:
  DeadLettersTest() { reopen(); }

  void reopen(DeadLetters::Options options = {}) {
    letters_.reset();
    auto opened = DeadLetters::open(house_.files, kLetters, house_.clock, options);
    ASSERT_TRUE(opened) << opened.error().message;
    letters_ = *std::move(opened);
  }

  void add(int first, int count, const Refusal& refusal = {.status = 400, .message = "no"},
           const DestinationId& id = kFirst, Signal signal = Signal::Spans) {
    std::vector<QueuedItem> items;
    for (int i = 0; i < count; ++i) {
      items.push_back({.stack = 7,
                       .signal = signal,
                       .created_ms = kNowMs,
                       .item_count = static_cast<std::uint32_t>(first + i) + 1,
                       .order_key = 3,
                       .payload = item_text(first + i)});
    }
    const auto added = letters_->add(id, items, refusal);
    ASSERT_TRUE(added) << added.error().message;
  }

  /// Newest first, by pages.
  std::vector<int> all(std::size_t page_size = 3) {
    std::vector<int> numbers;
    std::optional<std::uint64_t> before;
    do {
      const auto page = letters_->list(kFirst, before, page_size);
      EXPECT_TRUE(page) << page.error().message;
      if (!page) return numbers;
      EXPECT_LE(page->letters.size(), page_size);
      for (const DeadLetter& letter : page->letters) {
        numbers.push_back(static_cast<int>(letter.item_count) - 1);
      }
      before = page->before;
    } while (before);
    return numbers;
  }

  QueueHouse house_;
  std::unique_ptr<DeadLetters> letters_;
};

std::vector<int> count_down(int last, int count) {
  std::vector<int> numbers = count_up(last - count + 1, count);
  std::ranges::reverse(numbers);
  return numbers;
}

TEST_F(DeadLettersTest, ALetterSaysWhatWasRefusedAndWhy) {
  add(4, 2, {.status = 413, .message = "too large"});
  const auto page = letters_->list(kFirst, {}, 10);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->letters.size(), 2U);
  EXPECT_FALSE(page->before);
  const auto content = letters_->read(kFirst, page->letters[1].id);
  ASSERT_TRUE(content) << content.error().message;
  EXPECT_EQ(content->payload, item_text(4));
  const DeadLetter& letter = content->letter;
  EXPECT_EQ(letter.id, page->letters[1].id);
  EXPECT_EQ(letter.refusal.status, 413U);
  EXPECT_EQ(letter.refusal.message, "too large");
  EXPECT_EQ(letter.refused_ms, kNowMs);
  EXPECT_EQ(letter.stack, 7U);
  EXPECT_EQ(letter.signal, Signal::Spans);
  EXPECT_EQ(letter.item_count, 5U);
  EXPECT_EQ(letter.order_key, 3U);
  EXPECT_EQ(letter.payload_bytes, 100U);
}

TEST_F(DeadLettersTest, PagesAreNewestFirstAndSurviveARestart) {
  for (int i = 0; i < 20; i += 4) add(i, 4);
  add(0, 2, {}, kSecond);
  EXPECT_EQ(all(), count_down(19, 20));
  house_.files.cut_power();
  letters_.reset();
  reopen();
  EXPECT_EQ(all(7), count_down(19, 20));
  EXPECT_EQ(letters_->count(kFirst).letters, 20U);
  EXPECT_EQ(letters_->count(kFirst).bytes, 2000U);
  add(20, 1);
  EXPECT_EQ(all(), count_down(20, 21));
}

TEST_F(DeadLettersTest, TheOldestMakeRoom) {
  reopen({.letters_max = 10, .bytes_max = 100'000});
  for (int i = 0; i < 14; i += 2) add(i, 2);
  EXPECT_EQ(all(), count_down(13, 10));
  EXPECT_EQ(letters_->count(kFirst).evicted, 4U);
  reopen({.letters_max = 10'000, .bytes_max = 450});
  EXPECT_EQ(all(), count_down(13, 4));
  reopen({.letters_max = 1});
  add(14, 5);
  EXPECT_EQ(all(), count_down(18, 5)) << "what was added last stays";
}

TEST_F(DeadLettersTest, WhatIsTooOldGoes) {
  add(0, 2);
  house_.clock.advance({std::int64_t{6} * 24 * 3'600'000});
  add(2, 2);
  house_.clock.advance({std::int64_t{1} * 24 * 3'600'000 + 1});
  ASSERT_TRUE(letters_->maintain());
  EXPECT_EQ(letters_->count(kFirst).letters, 2U);
  EXPECT_EQ(all(), count_down(3, 2));
}

TEST_F(DeadLettersTest, LongMessagesAreCutBetweenCharacters) {
  std::string message(kRefusalMessageBytesMax - 1, 'x');
  message += "é and more";
  add(0, 1, {.status = 400, .message = message});
  EXPECT_EQ(letters_->list(kFirst, {}, 1)->letters[0].refusal.message,
            std::string(kRefusalMessageBytesMax - 1, 'x'));
}

TEST_F(DeadLettersTest, ReplayPutsThemAtTheTailInOrder) {
  house_.add({kFirst, kSecond});
  house_.append(0, 2, {.destinations = {kFirst, kSecond}});
  add(2, 3);
  add(5, 3);
  // Older than the queue lets an item become.
  house_.clock.advance({std::int64_t{3} * 24 * 3'600'000});
  ASSERT_TRUE(house_.queue().maintain());
  EXPECT_EQ(*letters_->replay(kFirst, house_.queue(), 1), 3U) << "as many as came together";
  EXPECT_EQ(all(), count_down(7, 3));
  EXPECT_EQ(*letters_->replay(kFirst, house_.queue(), 100), 3U);
  EXPECT_TRUE(all().empty());
  EXPECT_EQ(letters_->count(kFirst).bytes, 0U);
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(2, 6));
  EXPECT_TRUE(drain(house_.queue(), kSecond).empty());
}

TEST_F(DeadLettersTest, AReplayThatFailsLosesNone) {
  house_.add({kFirst});
  add(0, 3);
  EXPECT_EQ(letters_->replay(kSecond, house_.queue(), 9).value_or(9), 0U) << "it has no letters";
  house_.files.inject({.operation = Operation::Sync, .skip_count = 2, .hit_count = 1});
  const auto failed = letters_->replay(kFirst, house_.queue(), 9);
  ASSERT_FALSE(failed);
  EXPECT_EQ(all(), count_down(2, 3));
  house_.crash();
  reopen();
  EXPECT_EQ(*letters_->replay(kFirst, house_.queue(), 9), 3U);
  const std::vector<int> sent = drain(house_.queue(), kFirst);
  EXPECT_GE(sent.size(), 3U);
  EXPECT_EQ(std::vector(sent.end() - 3, sent.end()), count_up(0, 3));
}

TEST_F(DeadLettersTest, EachSignalGoesBackToItsOwnLane) {
  const DestinationId metrics = lane_of(kFirst, Signal::Metrics);
  house_.add({kFirst});
  add(0, 2, {}, kFirst, Signal::Metrics);
  add(2, 2);
  EXPECT_EQ(*letters_->replay(kFirst, house_.queue(), 9), 2U);
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(2, 2));
  EXPECT_EQ(letters_->replay(kFirst, house_.queue(), 9).error().code, Code::NotFound);
  house_.add({metrics});
  EXPECT_EQ(*letters_->replay(kFirst, house_.queue(), 9), 2U);
  EXPECT_EQ(drain(house_.queue(), metrics), count_up(0, 2));
}

TEST_F(DeadLettersTest, AReplayNeedsADestination) {
  add(0, 3);
  EXPECT_EQ(letters_->replay(kFirst, house_.queue(), 9).error().code, Code::NotFound);
  EXPECT_EQ(letters_->count(kFirst).letters, 3U);
}

TEST_F(DeadLettersTest, ClearRemovesThoseOfOneDestination) {
  add(0, 3);
  add(3, 1, {}, kSecond);
  EXPECT_EQ(*letters_->clear(kFirst), 3U);
  EXPECT_TRUE(all().empty());
  EXPECT_EQ(letters_->count(kSecond).letters, 1U);
  EXPECT_EQ(*letters_->clear("nobody"), 0U);
  reopen();
  EXPECT_EQ(letters_->count(kFirst).letters, 0U);
}

TEST_F(DeadLettersTest, AbsentLettersAreNotFound) {
  add(0, 2);
  const std::uint64_t last = letters_->list(kFirst, {}, 1)->letters[0].id;
  EXPECT_EQ(letters_->read(kFirst, last + 1).error().code, Code::NotFound);
  EXPECT_EQ(letters_->read(kFirst, last + (1 << 16)).error().code, Code::NotFound);
  EXPECT_EQ(letters_->read(kSecond, last).error().code, Code::NotFound);
  EXPECT_EQ(letters_->add("../x", {}, {}).error().code, Code::InvalidArgument);
}

TEST_F(DeadLettersTest, ADamagedHeadIsSetAsideAndADamagedPayloadLeftOut) {
  house_.add({kFirst});
  add(0, 2);
  add(2, 2);
  letters_.reset();
  const storage::Path directory = kLetters / kFirst;
  ASSERT_TRUE(house_.files.corrupt(directory / "000000000001.letters", 25, 1));
  const auto size =
      (*house_.files.open(directory / "000000000002.letters", storage::OpenMode::Read))->size();
  ASSERT_TRUE(house_.files.corrupt(directory / "000000000002.letters", *size - 150, 1));
  reopen();
  EXPECT_EQ(all(), count_down(3, 2));
  EXPECT_TRUE(*house_.files.exists(directory / "quarantine" / "000000000001.letters"));
  EXPECT_EQ(*letters_->replay(kFirst, house_.queue(), 9), 1U);
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(3, 1));
}

TEST_F(DeadLettersTest, DamageThatComesLaterIsSetAsideToo) {
  house_.add({kFirst});
  for (int i = 0; i < 5; ++i) add(i, 1);
  const storage::Path directory = kLetters / kFirst;
  ASSERT_TRUE(house_.files.corrupt(directory / "000000000001.letters", 25, 1));
  ASSERT_TRUE(house_.files.corrupt(directory / "000000000003.letters", 25, 1));
  ASSERT_TRUE(house_.files.corrupt(directory / "000000000005.letters", 25, 1));
  EXPECT_EQ(*letters_->replay(kFirst, house_.queue(), 1), 1U) << "one damaged does not stop all";
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(1, 1));
  EXPECT_EQ(all(1), count_up(3, 1));
  EXPECT_EQ(letters_->count(kFirst).letters, 1U);
  EXPECT_EQ(house_.files.list(directory / "quarantine")->size(), 3U);
}

TEST_F(DeadLettersTest, ReplayedLettersComeTwiceRatherThanNever) {
  house_.add({kFirst});
  add(0, 3);
  house_.files.inject({.operation = Operation::Remove});
  EXPECT_FALSE(letters_->replay(kFirst, house_.queue(), 9));
  house_.crash();
  letters_.reset();
  reopen();
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(0, 3));
  EXPECT_EQ(*letters_->replay(kFirst, house_.queue(), 9), 3U);
  EXPECT_EQ(drain(house_.queue(), kFirst), count_up(0, 3));
}

TEST_F(DeadLettersTest, MoreThanFitsAFileIsSplit) {
  add(0, 1200);
  EXPECT_EQ(letters_->count(kFirst).letters, 1200U);
  EXPECT_EQ(all(500), count_down(1199, 1200));
}

}  // namespace
}  // namespace gantry::broadcast
