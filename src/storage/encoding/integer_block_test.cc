#include "storage/encoding/integer_block.h"

#include <limits>
#include <random>

#include "rapidcheck/gtest.h"
#include <gtest/gtest.h>

#include "storage/encoding/bit_pack.h"

namespace gantry::storage {
namespace {

using Random = std::mt19937_64;
using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

std::vector<std::byte> encoded(const Integers& values) {
  std::vector<std::byte> bytes;
  encode_integers(values, bytes);
  return bytes;
}

Integers decoded(std::span<const std::byte> bytes, std::size_t count) {
  Integers values(count, -77);
  const auto result = decode_integers(bytes, values);
  EXPECT_TRUE(result) << result.error().message;
  return values;
}

TEST(BitPackTest, EveryWidthAndLengthComesBack) {
  Random random(1);
  for (unsigned width = 0; width <= 64; ++width) {
    const std::uint64_t mask = width == 64 ? ~0ULL : (1ULL << width) - 1;
    for (std::size_t count : {0U, 1U, 7U, 63U, 64U, 65U, 200U}) {
      std::vector<std::uint64_t> values(count);
      for (auto& value : values) value = random() & mask;
      std::vector<std::byte> bytes;
      pack_bits(values, width, bytes);
      ASSERT_EQ(bytes.size(), packed_bytes(count, width));
      std::vector<std::uint64_t> unpacked(count, 1);
      unpack_bits(bytes, width, unpacked);
      ASSERT_EQ(unpacked, values) << width << " bits, " << count << " values";
    }
  }
}

/// The plain twin of the unrolled kernels: bit i of value n is bit n * width + i of the bytes.
TEST(BitPackTest, LayoutIsLowestBitFirst) {
  const std::vector<std::uint64_t> values = {5, 1, 6, 3};
  std::vector<std::byte> bytes;
  pack_bits(values, 3, bytes);
  const unsigned bits = 5U | 1U << 3 | 6U << 6 | 3U << 9;
  EXPECT_EQ(bytes, (std::vector<std::byte>{std::byte(bits & 0xff), std::byte(bits >> 8)}));
}

struct SizeCase {
  const char* name;
  Integers values;
  std::size_t bytes_max;
};

Integers ramp(std::int64_t first, std::int64_t step, std::size_t count) {
  Integers values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = first + static_cast<std::int64_t>(i) * step;
  return values;
}

Integers with(Integers values, std::size_t index, std::int64_t value) {
  values[index] = value;
  return values;
}

Integers gap_at(Integers values, std::size_t index, std::int64_t gap) {
  for (std::size_t i = index; i < values.size(); ++i) values[i] += gap;
  return values;
}

Integers jittered(std::size_t count, std::int64_t jitter) {
  Random random(9);
  Integers values = ramp(1'700'000'000'000, 15'000, count);
  for (auto& value : values) value += static_cast<std::int64_t>(random() % std::uint64_t(jitter));
  return values;
}

Integers multiples(std::size_t count, std::int64_t factor) {
  Random random(10);
  Integers values(count);
  for (auto& value : values) value = static_cast<std::int64_t>(random() % 100) * factor + 17;
  return values;
}

class IntegerSizeTest : public testing::TestWithParam<SizeCase> {};

TEST_P(IntegerSizeTest, ComesBackInFewBytes) {
  const auto bytes = encoded(GetParam().values);
  EXPECT_EQ(decoded(bytes, GetParam().values.size()), GetParam().values);
  EXPECT_LE(bytes.size(), GetParam().bytes_max);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, IntegerSizeTest,
    testing::Values(SizeCase{"one", {42}, 2}, SizeCase{"constant", Integers(1000, -5), 2},
                    SizeCase{"ramp", ramp(1'700'000'000'000, 15'000, 1000), 12},
                    SizeCase{"ramp_down", ramp(0, -1, 1000), 5},
                    SizeCase{"one_missed_scrape",
                             gap_at(ramp(1'700'000'000'000, 15'000, 1000), 500, 15'000), 20},
                    SizeCase{"one_outlier", with(Integers(1000, 3), 700, 1'000'000'000'000), 25},
                    SizeCase{"jitter_of_8_ms", jittered(1000, 8), 530},
                    SizeCase{"extremes", {kMin, kMax, kMin, 0, kMax}, 60},
                    SizeCase{"multiples_of_1000", multiples(1000, 1000), 900},
                    SizeCase{"multiples_of_4096", multiples(1000, 4096), 900},
                    SizeCase{"runs",
                             [] {
                               Integers values;
                               for (int i = 0; i < 100; ++i)
                                 values.insert(values.end(), 10, i * i % 7);
                               return values;
                             }(),
                             110}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(IntegerBlockTest, EmptyColumnHasNoBytes) {
  EXPECT_TRUE(encoded({}).empty());
  EXPECT_TRUE(decode_integers({}, {}));
  const std::byte extra{0};
  EXPECT_FALSE(decode_integers({&extra, 1}, {}));
}

TEST(IntegerBlockTest, EveryCutIsDataLoss) {
  for (const Integers& values : {jittered(70, 1000), multiples(70, 60), Integers{kMin, kMax, 1},
                                 gap_at(ramp(5, 7, 100), 50, 1'000'000)}) {
    const auto bytes = encoded(values);
    Integers into(values.size());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const std::vector<std::byte> cut(bytes.begin(),
                                       bytes.begin() + static_cast<std::ptrdiff_t>(length));
      const auto result = decode_integers(cut, into);
      ASSERT_FALSE(result) << length;
      EXPECT_EQ(result.error().code, Code::DataLoss);
    }
  }
}

TEST(TimestampBlockTest, EqualColumnsMakeEqualBytes) {
  const Integers values = jittered(300, 20);
  std::vector<std::byte> first;
  std::vector<std::byte> second;
  encode_timestamps(values, first);
  encode_integers(jittered(10, 5), second);
  second.clear();
  encode_timestamps(values, second);
  EXPECT_EQ(first, second);
}

TEST(TimestampBlockTest, RefusesWhatDoesNotAscend) {
  const Integers values = {10, 20, 20, 30};
  std::vector<std::byte> bytes;
  encode_timestamps(values, bytes);
  Integers into(values.size());
  const auto result = decode_timestamps(bytes, into);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::DataLoss);
}

RC_GTEST_PROP(IntegerBlockProperty, AnythingComesBack, (const Integers& values)) {
  RC_ASSERT(decoded(encoded(values), values.size()) == values);
}

RC_GTEST_PROP(IntegerBlockProperty, WalksWithOutliersComeBack, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  const std::uint64_t step = 1ULL << random() % 40;
  const std::uint64_t outlier_every = 1 + random() % 200;
  const std::int64_t factor = 1 + static_cast<std::int64_t>(random() % 3) * 499;
  Integers values;
  std::uint64_t value = random();
  for (std::size_t i = random() % 600; i > 0; --i) {
    value += random() % step * static_cast<std::uint64_t>(factor);
    values.push_back(static_cast<std::int64_t>(value));
    if (random() % outlier_every == 0) value = random();
  }
  RC_ASSERT(decoded(encoded(values), values.size()) == values);
}

RC_GTEST_PROP(IntegerBlockProperty, DamagedBytesNeverReadPastTheEnd, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  auto bytes = encoded(random() % 2 == 0 ? jittered(150, 50) : multiples(150, 7));
  bytes[random() % bytes.size()] = static_cast<std::byte>(random());
  Integers into(150);
  const auto result = decode_integers(bytes, into);
  RC_ASSERT((result.has_value() || result.error().code == Code::DataLoss));
}

}  // namespace
}  // namespace gantry::storage
