#include "traces/block/column_codec.h"

#include <algorithm>
#include <limits>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::traces {
namespace {

using Bytes = std::vector<std::byte>;
using Integers = std::vector<std::int64_t>;
using storage::ByteReader;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Bytes encoded_numbers(const Integers& values, int level = 1) {
  Bytes bytes;
  ColumnEncoder(level).numbers(values, bytes);
  return bytes;
}

bool comes_back(const Integers& values, int level = 1) {
  const Bytes bytes = encoded_numbers(values, level);
  ByteReader reader(bytes);
  Integers decoded(values.size());
  decode_numbers(reader, decoded);
  return reader.at_end() && decoded == values;
}

TEST(ColumnCodecTest, NumbersOfEveryShapeComeBack) {
  EXPECT_TRUE(comes_back({}));
  EXPECT_TRUE(comes_back({kMin}));
  EXPECT_TRUE(comes_back({kMin, kMax}));
  EXPECT_TRUE(comes_back({kMax, kMin, 0, -1, 1}));
  EXPECT_TRUE(comes_back(Integers(100'000, -7)));
  Integers ascending(70'000);
  for (std::size_t i = 0; i < ascending.size(); ++i) ascending[i] = static_cast<std::int64_t>(i);
  EXPECT_TRUE(comes_back(ascending)) << "more than an integer block holds";
}

TEST(ColumnCodecTest, NumbersTakeNoMoreThanTheyMust) {
  std::mt19937_64 random(1);
  Integers few_kinds(16'384);
  Integers logarithmic(16'384);
  Integers microseconds(16'384);
  for (std::size_t i = 0; i < few_kinds.size(); ++i) {
    few_kinds[i] = random() % 10 == 0 ? static_cast<std::int64_t>(random() % 5) : 2;
    logarithmic[i] = static_cast<std::int64_t>((random() % (1 << 20)) >> (random() % 20));
    microseconds[i] = static_cast<std::int64_t>(random() % 50'000) * 1000;
  }
  EXPECT_LT(encoded_numbers(few_kinds).size(), few_kinds.size() * 3 / 16);
  EXPECT_LT(encoded_numbers(logarithmic).size(), logarithmic.size() * 2);
  EXPECT_LT(encoded_numbers(microseconds).size(), microseconds.size() * 165 / 80);
}

RC_GTEST_PROP(ColumnCodecTest, AnyNumbersComeBack, (const Integers& values, bool compresses)) {
  RC_ASSERT(comes_back(values, compresses ? 1 : 0));
}

RC_GTEST_PROP(ColumnCodecTest, RandomBytesNeverReadOutside,
              (const std::vector<std::uint8_t>& random)) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(random));
  for (const std::size_t count : {0U, 1U, 5U, 100U}) {
    ByteReader reader(bytes);
    Integers numbers(count);
    decode_numbers(reader, numbers);
    ByteReader row_reader(bytes);
    std::vector<std::uint32_t> rows;
    const std::size_t found = decode_rows(row_reader, static_cast<std::uint32_t>(count), rows);
    if (!row_reader.failed()) {
      RC_ASSERT(found <= count);
      RC_ASSERT(std::ranges::adjacent_find(rows, std::greater_equal()) == rows.end());
      RC_ASSERT((rows.empty() || rows.back() < count));
    }
    ByteReader text_reader(bytes);
    TextArray texts;
    decode_texts(text_reader, count, texts);
  }
}

RC_GTEST_PROP(ColumnCodecTest, RowsComeBack, ()) {
  const auto row_count = *rc::gen::inRange<std::uint32_t>(0, 3000);
  const auto percent = *rc::gen::inRange(0, 101);
  std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < row_count; ++row) {
    if (static_cast<int>(random() % 100) < percent) rows.push_back(row);
  }
  Bytes bytes;
  ColumnEncoder(1).rows(rows, row_count, bytes);
  ByteReader reader(bytes);
  std::vector<std::uint32_t> decoded;
  RC_ASSERT(decode_rows(reader, row_count, decoded) == rows.size());
  RC_ASSERT(reader.at_end());
  if (rows.size() == row_count) {
    RC_ASSERT(decoded.empty());
  } else {
    RC_ASSERT(decoded == rows);
  }
}

RC_GTEST_PROP(ColumnCodecTest, TextsComeBack, (const std::set<std::string>& texts)) {
  std::vector<std::string> short_ones(texts.begin(), texts.end());
  std::erase_if(short_ones, [](const auto& text) { return text.size() > kShortTextBytesMax; });
  const std::vector<std::string_view> views(short_ones.begin(), short_ones.end());
  Bytes bytes;
  ColumnEncoder(1).texts(views, bytes);
  ByteReader reader(bytes);
  TextArray decoded;
  decode_texts(reader, views.size(), decoded);
  RC_ASSERT(reader.at_end());
  RC_ASSERT(decoded.ends.size() == views.size());
  std::uint64_t start = 0;
  for (std::size_t i = 0; i < views.size(); ++i) {
    RC_ASSERT(std::string_view(decoded.bytes.data() + start, decoded.ends[i] - start) == views[i]);
    start = decoded.ends[i];
  }
}

TEST(ColumnCodecTest, ATextWithoutBytesComesBack) {
  const std::string_view empty;
  Bytes bytes;
  ColumnEncoder(1).texts({&empty, 1}, bytes);
  ByteReader reader(bytes);
  TextArray decoded;
  decode_texts(reader, 1, decoded);
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(decoded.ends, std::vector<std::uint64_t>{0});
}

TEST(ColumnCodecTest, CountsThatLieAreRefused) {
  const Bytes too_many_rows = {std::byte{6}};
  ByteReader reader(too_many_rows);
  std::vector<std::uint32_t> rows;
  decode_rows(reader, 5, rows);
  EXPECT_TRUE(reader.failed());
  const Bytes unknown = {std::byte{9}, std::byte{0}};
  ByteReader other(unknown);
  Integers numbers(3);
  decode_numbers(other, numbers);
  EXPECT_TRUE(other.failed());
}

}  // namespace
}  // namespace gantry::traces
