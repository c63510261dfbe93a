#include "codec/remote_write_starts.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/remote_write.h"
#include "codec/remote_write_encoder.h"
#include "codec/testing/conformance.h"
#include "codec/testing/remote_write_requests.h"

namespace gantry::codec {
namespace {

using testing::encoded;
using testing::full_request;
using testing::integer_histogram;
using testing::simple_series;

std::string with_starts(const WriteRequest& request) {
  std::string message;
  encode_remote_write(RemoteWriteVersion::V1, request, message, {.has_start_timestamps = true});
  return message;
}

WriteRequest request_with_starts() {
  WriteRequest request = full_request();
  request.series[0].samples[1].start_timestamp_ms = 1700;
  request.series[1].histograms[0].start_timestamp_ms = -1;
  return request;
}

TEST(RemoteWriteStarts, AreReadByWhoAsksForThem) {
  const std::string message = with_starts(request_with_starts());
  RemoteWriteDecoder decoder;
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V1, message, {.has_start_timestamps = true}));
  EXPECT_EQ(decoder.batch().start_timestamps_ms, (std::vector<std::int64_t>{0, 1700, 0}));
  EXPECT_EQ(decoder.batch().histograms.at(0).start_timestamp_ms, -1);
  EXPECT_EQ(decoder.batch().histograms.at(1).start_timestamp_ms, 0);
  ASSERT_TRUE(decoder.decode(RemoteWriteVersion::V1, message)) << "as any receiver";
  EXPECT_TRUE(decoder.batch().start_timestamps_ms.empty());
  EXPECT_EQ(decoder.batch().histograms.at(0).start_timestamp_ms, 0);
}

TEST(RemoteWriteStarts, AreTakenOut) {
  const WriteRequest request = request_with_starts();
  const std::string plain = encoded(RemoteWriteVersion::V1, request);
  EXPECT_LT(plain.size(), with_starts(request).size());
  EXPECT_EQ(without_start_timestamps(with_starts(request)), plain);
  EXPECT_EQ(without_start_timestamps(with_starts(request) + plain + with_starts(request)),
            plain + plain + plain);
  EXPECT_EQ(without_start_timestamps(""), "");
}

TEST(RemoteWriteStarts, AllElseStaysAsItIs) {
  // Field 15; a series of a label and field 6, a sample with field 4, and field 7.
  const std::string message = testing::from_hex(
      "7803"
      "0a180a050a016112003001120b09000000000000f03f20013a00");
  EXPECT_EQ(without_start_timestamps(message), message);
}

TEST(RemoteWriteStarts, BytesThatAreNoMessageAreRefused) {
  for (const std::string_view bytes : {"\xff\xff", "\x0a\x05\x12", "\x0a\x03\x12\x05\x09"})
    EXPECT_EQ(without_start_timestamps(bytes).error().code, Code::InvalidArgument);
}

RC_GTEST_PROP(RemoteWriteStarts, WhatIsLeftIsWhatWasWithoutThem, ()) {
  WriteRequest request;
  const int count = *rc::gen::inRange(0, 5);
  for (int i = 0; i < count; ++i) {
    WriteSeries series = simple_series("m" + std::to_string(i));
    for (const auto start : *rc::gen::arbitrary<std::vector<std::int64_t>>()) {
      series.samples.push_back({.timestamp_ms = *rc::gen::arbitrary<std::int64_t>(),
                                .value = 1,
                                .start_timestamp_ms = start});
      series.histograms.push_back(
          {.timestamp_ms = 1, .start_timestamp_ms = start, .histogram = integer_histogram()});
    }
    request.series.push_back(std::move(series));
  }
  const auto left = without_start_timestamps(with_starts(request));
  RC_ASSERT(left.has_value());
  RC_ASSERT(*left == encoded(RemoteWriteVersion::V1, request));
}

}  // namespace
}  // namespace gantry::codec
