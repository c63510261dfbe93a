#include "api/tempo_support.h"

#include <gtest/gtest.h>

#include "api/tempo_json.h"

namespace gantry::api {
namespace {

std::string id_text(std::string_view text) {
  const auto id = parse_trace_id(text);
  return id ? "…" + short_trace_id(*id) : id.error().message;
}

TEST(TempoTraceId, IsPaddedOnTheLeft) {
  EXPECT_EQ(id_text("1a"), "…1a");
  EXPECT_EQ(id_text("1"), "…1");
  EXPECT_EQ(id_text("abc"), "…abc");
  EXPECT_EQ(id_text("D6E9329d67b6146a"), "…d6e9329d67b6146a");
  EXPECT_EQ(id_text("5b8efff798038103d269b633813fc60c"), "…5b8efff798038103d269b633813fc60c");
  EXPECT_EQ(id_text("00000000000000000000000000000000"), "…");
  EXPECT_EQ(parse_trace_id("1a")->bytes[15], 0x1a);
  EXPECT_EQ(parse_trace_id("abc")->bytes[14], 0x0a);
}

TEST(TempoTraceId, RefusesOtherTextsInTempoWords) {
  EXPECT_EQ(id_text("12x4"),
            "trace IDs can only contain hex characters: invalid character 'x' at position 3");
  EXPECT_EQ(id_text(std::string(33, 'a')), "trace IDs can't be larger than 128 bits");
}

TEST(GoDuration, ReadsWhatGoReads) {
  struct Case {
    std::string_view text;
    std::optional<std::int64_t> expected;
  };

  for (const Case& c :
       {Case{"0", 0}, Case{"1ns", 1}, Case{"15s", 15'000'000'000}, Case{"1m30s", 90'000'000'000},
        Case{"1.5h", 5'400'000'000'000}, Case{"100ms", 100'000'000}, Case{"2us", 2000},
        Case{"2µs", 2000}, Case{"-1s", -1'000'000'000}, Case{"+1s", 1'000'000'000},
        Case{".5s", 500'000'000}, Case{"", std::nullopt}, Case{"5", std::nullopt},
        Case{"s", std::nullopt}, Case{"1d", std::nullopt}, Case{"1.2.3s", std::nullopt},
        Case{"1s ", std::nullopt}, Case{"-", std::nullopt}, Case{"9999999999999h", std::nullopt}})
    EXPECT_EQ(parse_go_duration(c.text), c.expected) << c.text;
}

net::Request asked(std::string_view query, std::string_view accept = {}) {
  net::Request request;
  request.raw_query = query;
  if (!accept.empty()) request.headers.set("Accept", std::string(accept));
  return request;
}

TEST(TempoParameters, TreatEmptyAsAbsent) {
  const auto parameters = TempoParameters::read(asked("a=&limit=5&bad=x"));
  ASSERT_TRUE(parameters);
  EXPECT_FALSE(parameters->has("a"));
  EXPECT_EQ(parameters->integer("a").value(), std::nullopt);
  EXPECT_EQ(parameters->integer("limit").value(), 5);
  EXPECT_EQ(parameters->integer("bad").error().message,
            "invalid bad: strconv.ParseInt: parsing \"x\": invalid syntax");
}

std::string range_text(std::string_view query) {
  const auto range = read_seconds(*TempoParameters::read(asked(query)));
  if (!range) return range.error().message;
  return std::to_string(range->start_ns()) + " " + std::to_string(range->end_ns());
}

TEST(TempoSeconds, AreAnOpenOrClosedRange) {
  EXPECT_EQ(range_text(""), "0 9223372036854775807");
  EXPECT_EQ(range_text("start=1&end=2"), "1000000000 2999999999");
  EXPECT_EQ(range_text("start=2&end=2"),
            "http parameter start must be before end. received start=2 end=2");
  EXPECT_EQ(range_text("start=1.5"),
            "invalid start: strconv.ParseInt: parsing \"1.5\": invalid syntax");
  EXPECT_EQ(range_text("end=-1"), "invalid end: -1 is not a time in Unix seconds");
  EXPECT_EQ(range_text("end=4294967296"), "invalid end: 4294967296 is not a time in Unix seconds");
}

TEST(TempoQueryText, HasTempoLimit) {
  const std::string most(128 << 10, 'x');
  EXPECT_TRUE(read_query_text(*TempoParameters::read(asked("q=" + most)), "q"));
  EXPECT_EQ(read_query_text(*TempoParameters::read(asked("q=x" + most)), "q").error().message,
            "TraceQL expression exceeds the configured maximum size of 131072 bytes, reduce the "
            "query expression size or contact your system administrator");
}

TEST(TempoFormat, IsLookedForInTheHeader) {
  EXPECT_EQ(accepted_format(asked("")), TempoFormat::Json);
  EXPECT_EQ(accepted_format(asked("", "*/*")), TempoFormat::Json);
  EXPECT_EQ(accepted_format(asked("", "application/json, application/protobuf")),
            TempoFormat::Protobuf);
}

TEST(TempoErrors, HaveTempoStatuses) {
  EXPECT_EQ(tempo_error({Code::InvalidArgument, "m"}).status, 400);
  EXPECT_EQ(tempo_error({Code::ResourceExhausted, "m"}).status, 422);
  EXPECT_EQ(tempo_error({Code::Cancelled, "m"}).status, 499);
  EXPECT_EQ(tempo_error({Code::DeadlineExceeded, "m"}).status, 504);
  EXPECT_EQ(tempo_error({Code::Unavailable, "m"}).status, 503);
  EXPECT_EQ(tempo_error({Code::DataLoss, "m"}).status, 500);
}

}  // namespace
}  // namespace gantry::api
