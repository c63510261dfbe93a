#include "promql/series_description.h"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "core/number_format.h"

namespace gantry::promql {
namespace {

std::string show(const SeriesItem& item) {
  if (std::holds_alternative<OmittedItem>(item)) return "_";
  if (std::holds_alternative<StaleItem>(item)) return "stale";
  if (const auto* histogram = std::get_if<SeriesHistogram>(&item)) {
    return telemetry::format_histogram(*histogram->histogram);
  }
  std::string text;
  core::append_float_plain(text, std::get<double>(item));
  return text;
}

std::string expanded(std::string_view line) {
  const auto series = parse_series_description(line);
  if (!series) return series.error().message;
  std::string text = telemetry::format_series(series->labels);
  for (const SeriesItem& item : series->items) text += " " + show(item);
  return text;
}

TEST(SeriesDescription, ExpandsItems) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"x{a=\"1\"} 1 _ stale 2x2\t-3", "x{a=\"1\"} 1 _ stale 2 2 2 -3"},
      {"x 10-2.5x2 _x3 _x0", "x 10 7.5 5 _ _ _"},
      {"x 1e2+1e1x1 NaN -Inf +5", "x 100 110 NaN -Inf 5"},
      {"sum 1", "sum 1"},
      {"{\"x.y\", a=\"b\", drop=\"\"} 1", "{__name__=\"x.y\", a=\"b\"} 1"},
      {"x {{count:3 sum:2.5 z_bucket:1 z_bucket_w:0.001 buckets:[2]}}",
       "x {count:3, sum:2.5, [-0.001,0.001]:1, (0.5,1]:2}"},
  };
  for (const auto& [line, expected] : cases) {
    EXPECT_EQ(expanded(line), expected) << line;
  }
}

TEST(SeriesDescription, RefusesWhatIsNotASeries) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"x 1+1", "1:6: parse error: unexpected end of input in series values"},
      {"x 1x", "1:5: parse error: unexpected end of input in series values"},
      {"x NaNx3", "1:3: parse error: unexpected \"NaNx3\" in series values"},
      {"x stalex3", "1:3: parse error: unexpected \"stalex3\" in series values"},
      {"x 1x99999999", "1:13: parse error: series has more than 1000000 values"},
      {"x{a=~\"b\"} 1", "1:4: parse error: unexpected <op:=~> in label set, expected \"=\""},
      {"x{a=\"b\"", "1:8: parse error: unexpected end of input inside braces"},
      {"x {{schema:9.5}}", "1:12: parse error: histogram schema and offsets are 32-bit integers"},
      {"x {{sum:1", "1:10: parse error: unexpected end of input in series values"},
      {"x {{buckets:[1 2}}", "1:17: parse error: unexpected \"}\" in series values"},
      {"x {{schema:-53 custom_values:[1]}}+{{sum:1}}x1",
       "1:46: parse error: error combining histograms: cannot merge from schema 0 to -53"},
  };
  for (const auto& [line, expected] : cases) EXPECT_EQ(expanded(line), expected) << line;
}

TEST(SeriesDescription, AddsHistograms) {
  // Zero buckets of different widths: the wider one takes the buckets that it covers.
  EXPECT_EQ(expanded("x {{count:4 z_bucket:1 z_bucket_w:0.5 buckets:[1 2] offset:-1}}"
                     "+{{count:2 z_bucket:2 z_bucket_w:1}}x1"),
            "x {count:4, sum:0, [-0.5,0.5]:1, (0.25,0.5]:1, (0.5,1]:2}"
            " {count:6, sum:0, [-1,1]:6}");
  // Custom bounds: the common ones stay.
  EXPECT_EQ(expanded("x {{schema:-53 count:6 custom_values:[1 2 4] buckets:[1 2 3]}}"
                     "+{{schema:-53 count:2 custom_values:[2 4] buckets:[1 1]}}x1"),
            "x {count:6, sum:0, [-Inf,1]:1, (1,2]:2, (2,4]:3}"
            " {count:8, sum:0, [-Inf,2]:4, (2,4]:4}");
}

TEST(SeriesDescription, ReadsStartTimestamps) {
  EXPECT_TRUE(is_start_timestamp_description("x{a=\"b c\"}@st -1m"));
  EXPECT_FALSE(is_start_timestamp_description("x{a=\"@st\"} 1"));
  const auto parsed = parse_start_timestamp_description("x@st _ -1m 0sx1 _x2 -1m+30sx2");
  ASSERT_TRUE(parsed) << parsed.error().message;
  const std::vector<std::optional<std::int64_t>> expected = {
      std::nullopt, -60'000, 0, 0, std::nullopt, std::nullopt, -60'000, -30'000, 0};
  EXPECT_EQ(parsed->offsets_ms, expected);
  EXPECT_FALSE(parse_start_timestamp_description("x@st _x0"));
  EXPECT_FALSE(parse_start_timestamp_description("x@st 1m+1m"));
  EXPECT_FALSE(parse_start_timestamp_description("x 1m"));
}

}  // namespace
}  // namespace gantry::promql
