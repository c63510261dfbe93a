#include "codec/influx_encoder.h"

#include <limits>
#include <map>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/influx_line.h"
#include "codec/testing/remote_write_requests.h"

namespace gantry::codec {
namespace {

struct Encoded {
  std::string lines;
  InfluxOmissions omitted;
};

Encoded encode(const WriteRequest& request) {
  const std::string body = testing::encoded(RemoteWriteVersion::V1, request);
  RemoteWriteDecoder decoder;
  EXPECT_TRUE(decoder.decode(RemoteWriteVersion::V1, body));
  Encoded out;
  out.omitted = append_influx_lines(decoder.batch(), out.lines);
  return out;
}

WriteSeries series_of(telemetry::Labels labels, double value = 1) {
  return {.labels = std::move(labels), .samples = {{.timestamp_ms = 7, .value = value}}};
}

TEST(InfluxEncoder, WritesALineForEachSample) {
  WriteSeries up = series_of({{"__name__", "up"}, {"instance", "a:1"}, {"job", "node"}});
  up.samples.push_back({.timestamp_ms = 1'465'839'830'100, .value = -2.5e-9});
  const Encoded encoded = encode({.series = {up, series_of({{"__name__", "x"}})}, .metadata = {}});
  EXPECT_EQ(encoded.lines,
            "up,instance=a:1,job=node value=1 7000000\n"
            "up,instance=a:1,job=node value=-2.5e-09 1465839830100000000\n"
            "x value=1 7000000\n");
  EXPECT_EQ(encoded.omitted.total(), 0U);
}

TEST(InfluxEncoder, EscapesWhatWouldEndAName) {
  EXPECT_EQ(
      encode({.series = {series_of({{"__name__", "a b,c=d"}, {"k=1", "v, w=x"}})}, .metadata = {}})
          .lines,
      "a\\ b\\,c=d,k\\=1=v\\,\\ w\\=x value=1 7000000\n");
}

TEST(InfluxEncoder, LeavesOutAndCountsWhatCannotBeSaid) {
  WriteRequest request;
  for (const std::string_view bad : {"two\nlines", "end\\"})
    request.series.push_back(series_of({{"__name__", "m"}, {"k", std::string(bad)}}));
  request.series.push_back(series_of({{"__name__", "#m"}}));
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {telemetry::stale_nan(), infinity, -infinity})
    request.series.push_back(series_of({{"__name__", "n"}}, value));
  WriteSeries histogram{.labels = {{"__name__", "h"}}};
  histogram.histograms = {{.timestamp_ms = 1, .histogram = testing::integer_histogram()}};
  request.series.push_back(histogram);
  const Encoded encoded = encode(request);
  EXPECT_EQ(encoded.lines, "");
  EXPECT_EQ(encoded.omitted.labels, 3U);
  EXPECT_EQ(encoded.omitted.values, 3U);
  EXPECT_EQ(encoded.omitted.histograms, 1U);
}

/// Text with what is special in the protocol, and nothing that it cannot say.
rc::Gen<std::string> speakable() {
  return rc::gen::map(rc::gen::nonEmpty(rc::gen::container<std::string>(
                          rc::gen::element('a', 'Z', '0', '_', ',', '=', ' ', '\\', '"', '#'))),
                      [](const std::string& text) { return "x" + text + "x"; });
}

RC_GTEST_PROP(InfluxEncoder, LinesParseToWhatTheyWereMadeOf, ()) {
  const auto name = *speakable();
  const auto tags =
      *rc::gen::container<std::map<std::string, std::string>>(speakable(), speakable());
  const auto value = *rc::gen::arbitrary<double>();
  const auto timestamp_ms = *rc::gen::inRange<std::int64_t>(-1'000'000, 2'000'000'000'000);
  WriteSeries series{.labels = {{"__name__", name}},
                     .samples = {{.timestamp_ms = timestamp_ms, .value = value}}};
  for (const auto& [key, text] : tags) series.labels.push_back({key, text});
  const Encoded encoded = encode({.series = {series}, .metadata = {}});
  core::Arena arena;
  InfluxLineParser parser(encoded.lines, {}, arena);
  InfluxPoint point;
  const auto has_point = parser.next(point);
  RC_ASSERT((has_point.has_value() && *has_point));
  RC_ASSERT(point.measurement == name);
  std::map<std::string, std::string> read;
  for (const InfluxTag& tag : point.tags) read.emplace(tag.key, tag.value);
  RC_ASSERT(read == tags);
  RC_ASSERT(point.fields.size() == 1U && point.fields[0].key == "value");
  RC_ASSERT(point.fields[0].value.number == value);
  RC_ASSERT(point.timestamp == timestamp_ms * 1'000'000);
  const auto has_more = parser.next(point);
  RC_ASSERT((has_more.has_value() && !*has_more));
}

}  // namespace
}  // namespace gantry::codec
