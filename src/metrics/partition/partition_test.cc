#include <numeric>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "metrics/partition/manifest.h"
#include "metrics/partition/merge_policy.h"
#include "storage/faulty_file_system.h"

namespace gantry::metrics {
namespace {

TEST(Day, NamesAndBorders) {
  EXPECT_EQ(day_of(0), 0);
  EXPECT_EQ(day_of(kDayMs - 1), 0);
  EXPECT_EQ(day_of(kDayMs), 1);
  EXPECT_EQ(day_of(-1), -1);
  EXPECT_EQ(day_of(-kDayMs), -1);
  EXPECT_EQ(day_of(-kDayMs - 1), -2);
  EXPECT_EQ(day_name(0), "1970-01-01");
  EXPECT_EQ(day_name(20778), "2026-11-21");
  EXPECT_EQ(day_name(-1), "1969-12-31");
  EXPECT_EQ((PartEntry{.number = 42, .day = 0}).path(), "partitions/1970-01-01/000000000042");
}

Manifest some_manifest() {
  Manifest manifest;
  manifest.next_part_number = 9;
  manifest.tombstone_sequence = 2;
  manifest.log_start = {.segment = 7, .offset_bytes = 16};
  manifest.annotations_number = 3;
  manifest.parts = {{.number = 1, .day = -5, .clean_sequence = 0},
                    {.number = 8, .day = 20778, .clean_sequence = 2}};
  manifest.tombstones = {
      {.sequence = 2,
       .start_ms = -100,
       .end_ms = 100,
       .matchers = {*promql::Matcher::make(promql::MatchOp::Regex, "job", "a|b")}}};
  manifest.quarantined = {{.name = "partitions/x", .time_ms_min = 1, .time_ms_max = 2}};
  return manifest;
}

TEST(Manifest, RoundTripThroughAFile) {
  storage::FaultyFileSystem files;
  const auto missing = read_manifest(files, "/manifest");
  ASSERT_TRUE(missing.has_value());
  EXPECT_TRUE(missing->parts.empty());
  ASSERT_TRUE(write_manifest(files, "/manifest", some_manifest()));
  const auto manifest = read_manifest(files, "/manifest");
  ASSERT_TRUE(manifest.has_value());
  EXPECT_EQ(manifest->next_part_number, 9U);
  EXPECT_EQ(manifest->log_start, (storage::LogPosition{.segment = 7, .offset_bytes = 16}));
  EXPECT_EQ(manifest->annotations_number, 3U);
  ASSERT_EQ(manifest->parts.size(), 2U);
  EXPECT_EQ(manifest->parts[0].day, -5);
  EXPECT_EQ(manifest->parts[1].clean_sequence, 2U);
  ASSERT_EQ(manifest->tombstones.size(), 1U);
  EXPECT_EQ(manifest->tombstones[0].start_ms, -100);
  EXPECT_EQ(manifest->tombstones[0].matchers.at(0).value(), "a|b");
  EXPECT_EQ(manifest->quarantined.at(0).name, "partitions/x");
}

TEST(Manifest, AnyFlippedBitIsNoticed) {
  std::vector<std::byte> bytes;
  encode_manifest(some_manifest(), bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<std::byte> damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(decode_manifest(damaged)) << bit;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_manifest(std::span(bytes).first(size))) << size;
  }
}

TEST(Manifest, ANewerFormatIsRefusedByName) {
  std::vector<std::byte> bytes;
  encode_manifest(Manifest(), bytes);
  bytes[8] = std::byte{2};
  const auto manifest = decode_manifest(bytes);
  ASSERT_FALSE(manifest.has_value());
  EXPECT_EQ(manifest.error().code, Code::FailedPrecondition);
  EXPECT_NE(manifest.error().message.find("has format 2, this program knows up to 1"),
            std::string::npos);
}

TEST(MergePolicy, MergesNeighboursOfLikeSize) {
  const auto choose = [](std::vector<std::uint64_t> sizes, DayState state = DayState::Growing) {
    const auto choice = choose_merge(sizes, state);
    return choice ? std::pair(choice->first, choice->count) : std::pair<std::size_t, std::size_t>();
  };
  using Pair = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(choose({}), Pair());
  EXPECT_EQ(choose({10, 10, 10}), Pair());
  EXPECT_EQ(choose({10, 10, 10, 10}), Pair(0, 4));
  EXPECT_EQ(choose({1000, 10, 10, 10, 10}), Pair(1, 4));
  EXPECT_EQ(choose({1000, 300, 100, 30, 10}), Pair());
  EXPECT_EQ(choose({1000, 1000}, DayState::Closed), Pair(0, 2));
  EXPECT_EQ(choose({1000, 1}, DayState::Closed), Pair());
  EXPECT_EQ(choose({1000}, DayState::Closed), Pair());
}

RC_GTEST_PROP(MergePolicy, KeepsPartsFewAndRewritesSeldom, ()) {
  // A day of flushes of varying size.
  std::vector<std::uint64_t> sizes;
  std::uint64_t written = 0;
  std::uint64_t total = 0;
  const int flushes = *rc::gen::inRange(1, 300);
  for (int i = 0; i < flushes; ++i) {
    const std::uint64_t size = *rc::gen::inRange<std::uint64_t>(50, 200);
    sizes.push_back(size);
    total += size;
    while (const auto choice = choose_merge(sizes, DayState::Growing)) {
      RC_ASSERT(choice->count >= 2U);
      RC_ASSERT(choice->first + choice->count <= sizes.size());
      const auto first = sizes.begin() + static_cast<std::ptrdiff_t>(choice->first);
      const auto last = first + static_cast<std::ptrdiff_t>(choice->count);
      const std::uint64_t sum = std::accumulate(first, last, std::uint64_t{0});
      written += sum;
      *first = sum;
      sizes.erase(first + 1, last);
    }
    RC_ASSERT(sizes.size() <= 24U);
  }
  RC_ASSERT(written <= total * 7);
}

}  // namespace
}  // namespace gantry::metrics
