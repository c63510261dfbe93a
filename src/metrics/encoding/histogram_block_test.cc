#include "metrics/encoding/histogram_block.h"

#include <bit>
#include <limits>

#include "rapidcheck/gtest.h"
#include <gtest/gtest.h>

#include "metrics/encoding/read_hints.h"
#include "metrics/encoding/testing/sample_data.h"
#include "metrics/encoding/testing/sample_histograms.h"
#include "telemetry/sample.h"

namespace gantry::metrics {
namespace {

using telemetry::CounterResetHint;
using telemetry::FloatHistogram;
using telemetry::IntegerHistogram;
using telemetry::NativeHistogram;

std::vector<std::byte> encoded(std::span<const NativeHistogram> histograms) {
  std::vector<std::byte> bytes;
  encode_histograms(histograms, bytes);
  return bytes;
}

void expect_comes_back(std::span<const NativeHistogram> histograms) {
  const auto bytes = encoded(histograms);
  std::vector<NativeHistogram> decoded(histograms.size());
  const auto result = decode_histograms(bytes, decoded);
  ASSERT_TRUE(result) << result.error().message;
  std::vector<std::shared_ptr<const FloatHistogram>> floats(histograms.size());
  ASSERT_TRUE(decode_float_histograms(bytes, floats));
  std::vector<FloatHistogram> read;
  for (const NativeHistogram& histogram : histograms) {
    read.push_back(telemetry::to_float(histogram));
  }
  std::vector<FloatHistogram*> pointers;
  for (FloatHistogram& histogram : read) pointers.push_back(&histogram);
  set_read_hints(pointers);
  for (std::size_t i = 0; i < histograms.size(); ++i) {
    EXPECT_TRUE(telemetry::is_identical(histograms[i], decoded[i])) << i;
    EXPECT_TRUE(telemetry::is_identical(read[i], *floats[i])) << i;
  }
}

TEST(HistogramBlockTest, ARequestLatencyComesBackInFewBytes) {
  Random random(1);
  const auto histograms = make_latency_histograms(random, 120);
  expect_comes_back(histograms);
  const auto bytes = encoded(histograms);
  const auto& first = std::get<IntegerHistogram>(histograms[0]);
  const std::size_t cells = first.positive_counts.size() + 3;
  EXPECT_LT(static_cast<double>(bytes.size()) / 120, static_cast<double>(cells) * 1.3);
}

TEST(HistogramBlockTest, NothingIsLost) {
  IntegerHistogram plain{.hint = CounterResetHint::NotReset,
                         .schema = -4,
                         .zero_threshold = 1e-128,
                         .zero_count = std::numeric_limits<std::uint64_t>::max(),
                         .count = (1ULL << 53) + 1,
                         .sum = -0.0,
                         .positive_spans = {{-7, 2}, {3, 1}},
                         .negative_spans = {{std::numeric_limits<std::int32_t>::max(), 1}},
                         .positive_counts = {1, 0, std::numeric_limits<std::uint64_t>::max()},
                         .negative_counts = {9}};
  FloatHistogram floating{.hint = CounterResetHint::Gauge,
                          .schema = 8,
                          .zero_threshold = std::bit_cast<double>(telemetry::kNormalNanBits),
                          .zero_count = 0.1,
                          .count = std::numeric_limits<double>::infinity(),
                          .sum = std::numeric_limits<double>::quiet_NaN(),
                          .positive_spans = {{0, 0}, {1, 2}},
                          .positive_counts = {0.5, -0.0}};
  FloatHistogram custom{.schema = telemetry::kCustomBucketsSchema,
                        .count = 3,
                        .sum = 4,
                        .positive_spans = {{0, 3}},
                        .positive_counts = {1, 1, 1},
                        .custom_values = {0.005, 0.01}};
  IntegerHistogram stale{.sum = telemetry::stale_nan()};
  auto reset = plain;
  reset.hint = CounterResetHint::Reset;
  expect_comes_back(std::vector<NativeHistogram>{plain, reset, floating, custom, custom, stale,
                                                 plain, NativeHistogram(FloatHistogram{})});
}

TEST(HistogramBlockTest, ANewLayoutOnlyCutsTheGroup) {
  Random random(2);
  auto histograms = make_latency_histograms(random, 60);
  for (auto& histogram : make_latency_histograms(random, 60)) {
    auto& wider = std::get<IntegerHistogram>(histogram);
    ++wider.positive_spans.back().length;
    wider.positive_counts.push_back(1);
    histograms.push_back(histogram);
  }
  expect_comes_back(histograms);
}

TEST(HistogramBlockTest, EmptyBlock) {
  expect_comes_back({});
  EXPECT_TRUE(encoded({}).empty());
}

TEST(HistogramBlockTest, SaysWhatFits) {
  IntegerHistogram histogram{.positive_spans = {{0, 2}}, .positive_counts = {1, 2}};
  EXPECT_TRUE(fits_histogram_block(histogram));
  histogram.positive_counts.push_back(3);
  EXPECT_FALSE(fits_histogram_block(histogram)) << "spans and counts disagree";
  IntegerHistogram huge{.positive_spans = {{0, kHistogramBucketsMax + 1}}};
  huge.positive_counts.resize(kHistogramBucketsMax + 1);
  EXPECT_FALSE(fits_histogram_block(huge));
}

TEST(HistogramBlockTest, EveryCutIsDataLoss) {
  Random random(3);
  const auto histograms = make_latency_histograms(random, 10);
  const auto bytes = encoded(histograms);
  std::vector<NativeHistogram> decoded(histograms.size());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const std::vector<std::byte> cut(bytes.begin(),
                                     bytes.begin() + static_cast<std::ptrdiff_t>(length));
    const auto result = decode_histograms(cut, decoded);
    ASSERT_FALSE(result) << length;
    EXPECT_EQ(result.error().code, Code::DataLoss);
  }
}

RC_GTEST_PROP(HistogramBlockProperty, AnyMixtureComesBack, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  expect_comes_back(make_any_histograms(random, random() % 40));
}

RC_GTEST_PROP(HistogramBlockProperty, DamagedBytesNeverReadPastTheEnd, ()) {
  Random random(*rc::gen::arbitrary<std::uint64_t>());
  const auto histograms = make_latency_histograms(random, 20);
  auto bytes = encoded(histograms);
  for (int i = 0; i < 2; ++i) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
  std::vector<NativeHistogram> decoded(histograms.size());
  const auto result = decode_histograms(bytes, decoded);
  RC_ASSERT((result.has_value() || result.error().code == Code::DataLoss));
}

}  // namespace
}  // namespace gantry::metrics
