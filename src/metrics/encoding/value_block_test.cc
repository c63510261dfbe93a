#include "metrics/encoding/value_block.h"

#include <bit>
#include <functional>
#include <string>

#include "rapidcheck/gtest.h"
#include <gtest/gtest.h>

#include "metrics/encoding/testing/sample_data.h"

namespace gantry::metrics {
namespace {

std::vector<std::byte> encoded(std::span<const double> values) {
  std::vector<std::byte> bytes;
  encode_values(values, bytes);
  return bytes;
}

/// Whether the column comes back bit by bit; reports where not.
bool comes_back(std::span<const double> values) {
  const auto bytes = encoded(values);
  std::vector<double> decoded(values.size(), 12345.678);
  const auto result = decode_values(bytes, decoded);
  if (!result) {
    ADD_FAILURE() << result.error().message;
    return false;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::bit_cast<std::uint64_t>(values[i]) == std::bit_cast<std::uint64_t>(decoded[i])) {
      continue;
    }
    ADD_FAILURE() << "value " << i << " of " << values.size() << ": " << values[i] << " became "
                  << decoded[i];
    return false;
  }
  return true;
}

struct ShapeCase {
  const char* name;
  std::function<std::vector<double>(Random&, std::size_t)> make;
  double bytes_per_value_max;  ///< At 1024 values.
};

class ValueShapeTest : public testing::TestWithParam<ShapeCase> {};

TEST_P(ValueShapeTest, ComesBackAtEveryLength) {
  Random random(1);
  for (std::size_t count : {0U, 1U, 2U, 3U, 5U, 31U, 63U, 64U, 65U, 127U, 128U, 1000U, 1024U}) {
    EXPECT_TRUE(comes_back(GetParam().make(random, count)));
  }
}

TEST_P(ValueShapeTest, TakesNoMoreThanExpected) {
  Random random(2);
  const auto bytes = encoded(GetParam().make(random, 1024));
  EXPECT_LE(static_cast<double>(bytes.size()) / 1024, GetParam().bytes_per_value_max);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ValueShapeTest,
    testing::Values(
        ShapeCase{"zero", [](Random&, std::size_t n) { return make_constant(n, 0); }, 0.005},
        ShapeCase{"negative_zero", [](Random&, std::size_t n) { return make_constant(n, -0.0); },
                  0.01},
        ShapeCase{"stale",
                  [](Random&, std::size_t n) { return make_constant(n, telemetry::stale_nan()); },
                  0.01},
        ShapeCase{"counter", [](Random& r, std::size_t n) { return make_counter(r, n, 300); },
                  1.15},
        ShapeCase{"linear_counter", [](Random& r, std::size_t n) { return make_counter(r, n, 1); },
                  0.01},
        ShapeCase{"decimal_counter", make_decimal_counter, 1.40},
        ShapeCase{"decimal_gauge", make_decimal_gauge, 1.03},
        ShapeCase{"byte_gauge", make_byte_gauge, 1.15}, ShapeCase{"steps", make_steps, 0.16},
        ShapeCase{"resets", make_with_resets, 1.25}, ShapeCase{"noise", make_noise, 6.8},
        ShapeCase{"bit_patterns", make_bit_patterns, 8.01}),
    [](const auto& shape) { return std::string(shape.param.name); });

TEST(ValueBlockTest, ExponentsFromZeroToFifteenAreFound) {
  Random random(3);
  for (int exponent = 0; exponent <= 15; ++exponent) {
    std::vector<double> values;
    for (int i = 0; i < 500; ++i) {
      values.push_back(static_cast<double>(random() % 1000) / std::pow(10, exponent));
    }
    EXPECT_TRUE(comes_back(values));
    EXPECT_LT(encoded(values).size(), 700U) << "exponent " << exponent;
  }
}

TEST(ValueBlockTest, AFewExceptionsDoNotSpoilADecimalBlock) {
  Random random(4);
  auto values = make_decimal_gauge(random, 1000);
  for (std::size_t i = 0; i < values.size(); i += 100) values[i] = telemetry::stale_nan();
  values[999] = std::numeric_limits<double>::infinity();
  values[998] = -0.0;
  EXPECT_TRUE(comes_back(values));
  EXPECT_LT(encoded(values).size(), 1250U);
}

TEST(ValueBlockTest, ADigitThatTheSampleMissedIsFoundLater) {
  std::vector<double> values(1000, 7);
  for (std::size_t i = 1; i < values.size(); i += 2) values[i] = static_cast<double>(i) / 8;
  for (std::size_t i = 0; i < values.size(); i += 31) values[i] = 3;
  EXPECT_TRUE(comes_back(values));
  EXPECT_LT(encoded(values).size(), 2600U);
}

TEST(ValueBlockTest, FloatsOfSinglePrecisionAreShorterThanRaw) {
  Random random(5);
  std::vector<double> values;
  for (int i = 0; i < 1000; ++i) {
    values.push_back(static_cast<double>(static_cast<float>(random() % 1000) / 7.0F));
  }
  EXPECT_TRUE(comes_back(values));
  EXPECT_LT(encoded(values).size(), 4500U);
}

TEST(ValueBlockTest, IntegersNearTheLimitsComeBack) {
  std::vector<double> values;
  for (const double base : {0x1p51, 0x1p52, 0x1p53, 0x1p61, 0x1p62, 0x1p63, 0x1p64}) {
    for (int i = -3; i <= 3; ++i) {
      values.push_back(base + i);
      values.push_back(-base + i);
      values.push_back((base + i) / 1000);
    }
  }
  EXPECT_TRUE(comes_back(values));
  for (const double value : values) EXPECT_TRUE(comes_back({&value, 1}));
}

TEST(ValueBlockTest, LargestBlockComesBack) {
  Random random(6);
  EXPECT_TRUE(comes_back(make_decimal_gauge(random, storage::kBlockValuesMax)));
}

TEST(ValueBlockTest, AppendsAndDoesNotReplace) {
  std::vector<std::byte> bytes(3, std::byte{9});
  encode_values(std::vector<double>{1, 2, 3}, bytes);
  EXPECT_EQ(bytes[2], std::byte{9});
  std::vector<double> values(3);
  EXPECT_TRUE(decode_values(std::span(bytes).subspan(3), values));
  EXPECT_EQ(values, (std::vector<double>{1, 2, 3}));
}

TEST(ValueBlockTest, EveryCutIsDataLoss) {
  Random random(7);
  for (const auto& values :
       {make_decimal_gauge(random, 100), make_steps(random, 100), make_noise(random, 100),
        make_with_resets(random, 100), make_bit_patterns(random, 20), make_constant(5, -0.0)}) {
    const auto bytes = encoded(values);
    std::vector<double> decoded(values.size());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      // In a buffer of its own, so that the sanitizer sees a read past the end.
      const std::vector<std::byte> cut(bytes.begin(),
                                       bytes.begin() + static_cast<std::ptrdiff_t>(length));
      const auto result = decode_values(cut, decoded);
      ASSERT_FALSE(result) << length;
      EXPECT_EQ(result.error().code, Code::DataLoss);
    }
    auto longer = bytes;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode_values(longer, decoded)) << "and so is a byte too many";
  }
}

RC_GTEST_PROP(ValueBlockProperty, AnyBitPatternsComeBack, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  RC_ASSERT(comes_back(make_bit_patterns(random, random() % 300)));
}

RC_GTEST_PROP(ValueBlockProperty, MixturesComeBack, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  std::vector<double> values;
  while (values.size() < 400) {
    const std::size_t count = random() % 100;
    const auto piece = random() % 4 == 0   ? make_bit_patterns(random, count % 5)
                       : random() % 3 == 0 ? make_decimal_gauge(random, count)
                       : random() % 2 == 0 ? make_counter(random, count, 1 + random() % 100'000)
                                           : make_constant(count, static_cast<double>(random()));
    values.insert(values.end(), piece.begin(), piece.end());
  }
  RC_ASSERT(comes_back(values));
}

RC_GTEST_PROP(ValueBlockProperty, DamagedBytesNeverReadPastTheEnd, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  const auto values = random() % 2 == 0 ? make_with_resets(random, 200) : make_steps(random, 200);
  auto bytes = encoded(values);
  for (int i = 0; i < 3; ++i) {
    bytes[random() % bytes.size()] = static_cast<std::byte>(random());
  }
  std::vector<double> decoded(values.size());
  const auto result = decode_values(bytes, decoded);
  RC_ASSERT((result.has_value() || result.error().code == Code::DataLoss));
}

}  // namespace
}  // namespace gantry::metrics
