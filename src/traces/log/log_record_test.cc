#include "traces/log/log_record.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace gantry::traces {
namespace {

RC_GTEST_PROP(TracesLogRecordPropertyTest, GivesBackTheRequest,
              (const std::string& text, std::uint8_t repeat)) {
  std::string otlp;
  for (int i = 0; i < repeat; ++i) otlp += text;
  std::vector<std::byte> record;
  encode_spans_record(otlp, record);
  std::string buffer;
  const auto decoded = decode_spans_record(record, buffer);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == otlp);
}

TEST(TracesLogRecordTest, CompressesWhatPays) {
  std::vector<std::byte> record;
  encode_spans_record(std::string(1023, 'a'), record);
  EXPECT_EQ(record.size(), 1024U);
  encode_spans_record(std::string(100'000, 'a'), record);
  EXPECT_LT(record.size(), 1000U);
}

TEST(TracesLogRecordTest, RefusesWhatItDidNotWrite) {
  std::string buffer;
  EXPECT_EQ(decode_spans_record({}, buffer).error().code, Code::DataLoss);
  const std::byte unknown[] = {std::byte{7}, std::byte{0}};
  EXPECT_EQ(decode_spans_record(unknown, buffer).error().code, Code::DataLoss);
  std::vector<std::byte> record;
  encode_spans_record(std::string(2000, 'a'), record);
  record.pop_back();
  EXPECT_EQ(decode_spans_record(record, buffer).error().code, Code::DataLoss);
}

}  // namespace
}  // namespace gantry::traces
