#include "broadcast/metric_items.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "broadcast/testing/metric_requests.h"
#include "codec/testing/remote_write_requests.h"

namespace gantry::broadcast {
namespace {

using testing::DecodedRequest;
using testing::numbered_series;
using testing::queued;
using testing::request_with_starts;
using Timestamps = std::map<std::string, std::vector<std::int64_t>>;

codec::WriteRequest many_series(int count) {
  codec::WriteRequest request;
  for (int i = 0; i < count; ++i)
    request.series.push_back(numbered_series("m", i, {3000, 1000, 2000}));
  return request;
}

/// What items say together, in their order.
Timestamps timestamps_of(const std::vector<MetricItem>& items) {
  Timestamps all;
  for (const MetricItem& item : items)
    for (const auto& [series, timestamps] : DecodedRequest(item.payload).timestamps())
      all[series].insert(all[series].end(), timestamps.begin(), timestamps.end());
  return all;
}

TEST(MetricItems, ASeriesHasOneKeyAndAscends) {
  const DecodedRequest request(many_series(100));
  const auto items = encode_metric_items(request.batch(), {}, {});
  ASSERT_EQ(items.size(), kOrderShards);
  std::set<std::string> seen;
  std::uint32_t samples = 0;
  for (const MetricItem& item : items) {
    EXPECT_GE(item.order_key, 1U);
    EXPECT_LE(item.order_key, kOrderShards);
    samples += item.samples;
    for (const auto& [series, timestamps] : DecodedRequest(item.payload).timestamps()) {
      EXPECT_TRUE(seen.insert(series).second) << series << " is in two shards";
      EXPECT_EQ(timestamps, (std::vector<std::int64_t>{1000, 2000, 3000}));
    }
  }
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_EQ(samples, 300U);
  const auto again = encode_metric_items(DecodedRequest(many_series(100)).batch(), {}, {});
  for (std::size_t i = 0; i < items.size(); ++i) EXPECT_EQ(again[i].payload, items[i].payload);
}

TEST(MetricItems, KeepToTheirLimits) {
  const DecodedRequest request(many_series(100));
  const auto by_samples =
      encode_metric_items(request.batch(), {}, {.samples_max = 7, .bytes_max = 1 << 20});
  for (const MetricItem& item : by_samples) EXPECT_LE(item.samples, 7U);
  EXPECT_EQ(timestamps_of(by_samples), timestamps_of(encode_metric_items(request.batch(), {}, {})));
  const auto by_bytes = encode_metric_items(request.batch(), {}, {.bytes_max = 400});
  EXPECT_GT(by_bytes.size(), 20U);
  for (const MetricItem& item : by_bytes) EXPECT_LE(item.payload.size(), 500U);
  EXPECT_EQ(timestamps_of(by_bytes), timestamps_of(by_samples));
}

TEST(MetricItems, LeaveOutWhatTheStoreRefused) {
  codec::WriteRequest request;
  request.series.push_back(numbered_series("kept", 1, {1000, 2000, 3000}));
  request.series.push_back(numbered_series("gone", 2, {1000}));
  codec::WriteSeries histograms{.labels = {{.name = "__name__", .value = "h"}}};
  for (const std::int64_t timestamp_ms : {1, 2})
    histograms.histograms.push_back(
        {.timestamp_ms = timestamp_ms, .histogram = codec::testing::integer_histogram()});
  request.series.push_back(histograms);
  const DecodedRequest decoded(request);
  const auto items = encode_metric_items(
      decoded.batch(), {.refused_samples = {1, 3}, .refused_histograms = {0}}, {});
  EXPECT_EQ(timestamps_of(items), (Timestamps{{R"(kept{i="1"})", {1000, 3000}}, {"h", {2}}}));
  const auto none = encode_metric_items(
      decoded.batch(), {.refused_samples = {0, 1, 2, 3}, .refused_histograms = {0, 1}}, {});
  EXPECT_TRUE(none.empty());
}

TEST(MetricItems, CarryHistogramsAndExemplarsWhole) {
  const codec::WriteRequest request = codec::testing::full_request();
  const DecodedRequest decoded(request);
  std::string all;
  for (const MetricItem& item : encode_metric_items(decoded.batch(), {}, {})) all += item.payload;
  const DecodedRequest again(all);
  ASSERT_EQ(again.batch().histograms.size(), decoded.batch().histograms.size());
  for (std::size_t i = 0; i < again.batch().histograms.size(); ++i)
    EXPECT_TRUE(telemetry::is_identical(again.batch().histograms[i].histogram,
                                        decoded.batch().histograms[i].histogram));
  ASSERT_EQ(again.batch().exemplars.size(), 1U);
  EXPECT_EQ(again.batch().exemplars[0].value, 0.67);
  EXPECT_EQ(again.batch().samples.size(), 3U);
}

/// By the series' text; 0: none.
std::map<std::string, std::int64_t> starts_of(const DecodedRequest& request) {
  const telemetry::MetricBatch& batch = request.batch();
  std::map<std::string, std::int64_t> starts;
  for (std::size_t i = 0; i < batch.samples.size(); ++i)
    starts[request.series(batch.samples[i].series)] =
        batch.start_timestamps_ms.empty() ? 0 : batch.start_timestamps_ms[i];
  for (const auto& sample : batch.histograms)
    starts[request.series(sample.series)] = sample.start_timestamp_ms;
  return starts;
}

TEST(MetricItems, KeepStartTimestamps) {
  const std::string messages = queued(request_with_starts());
  codec::RemoteWriteDecoder decoder;
  ASSERT_TRUE(decode_metric_items(messages, decoder));
  EXPECT_EQ(std::ranges::count(decoder.batch().start_timestamps_ms, 400), 1);
  EXPECT_EQ(decoder.batch().histograms.at(0).start_timestamp_ms, 500);
  RemoteWrite2Translator translator;
  const auto message = translator.translate(messages);
  ASSERT_TRUE(message);
  EXPECT_EQ(starts_of(DecodedRequest(*message, codec::RemoteWriteVersion::V2)),
            (std::map<std::string, std::int64_t>{
                {R"(work_total{i="1"})", 400}, {R"(work_total{i="2"})", 0}, {"took", 500}}));
}

TEST(MetricItems, OfBeforeHaveNoStartTimestamps) {
  RemoteWrite2Translator translator;
  const auto message = translator.translate(DecodedRequest::encoded(request_with_starts()) +
                                            queued(request_with_starts()));
  ASSERT_TRUE(message);
  const DecodedRequest decoded(*message, codec::RemoteWriteVersion::V2);
  ASSERT_EQ(decoded.batch().start_timestamps_ms.size(), 4U);
  EXPECT_EQ(std::ranges::count(decoded.batch().start_timestamps_ms, 0), 3);
  EXPECT_EQ(std::ranges::count(decoded.batch().start_timestamps_ms, 400), 1);
}

TEST(MetricItems, HistogramsStayInOnePiece) {
  codec::WriteRequest request;
  for (int i = 0; i < 50; ++i)
    for (const char* const name : {"h_bucket", "h_sum", "h_count"})
      for (const char* const bound : {"0.5", "1", "2", "+Inf"}) {
        codec::WriteSeries series = numbered_series(name, i, {1000});
        if (series.labels.front().value == "h_bucket")
          series.labels =
              telemetry::make_labels({{"__name__", name}, {"i", std::to_string(i)}, {"le", bound}});
        else if (std::string_view(bound) != "1")
          continue;
        request.series.push_back(std::move(series));
      }
  std::ranges::sort(request.series, {}, &codec::WriteSeries::labels);
  const DecodedRequest decoded(request);
  const auto items = encode_metric_items(decoded.batch(), {}, {.samples_max = 20});
  EXPECT_GT(items.size(), kOrderShards);
  std::size_t all = 0;
  for (const MetricItem& item : items) {
    EXPECT_LE(item.samples, 20U);
    EXPECT_EQ(item.samples % 6, 0U);
    all += item.samples;
    std::map<std::string, int> parts;
    for (const auto& [series, timestamps] : DecodedRequest(item.payload).timestamps()) {
      const std::size_t at = series.find("i=");
      ++parts[series.substr(at, series.find('"', at + 3) - at)];
    }
    for (const auto& [histogram, count] : parts) EXPECT_EQ(count, 6) << histogram;
  }
  EXPECT_EQ(all, 300U);
}

TEST(MetricItems, BringWhatIsKnownOfFamiliesBeforeTheFirstSamplesOfAShard) {
  std::vector<MetricItem> items = {{.order_key = 1, .samples = 1, .payload = "a"},
                                   {.order_key = 1, .samples = 1, .payload = "b"},
                                   {.order_key = 3, .samples = 1, .payload = "c"}};
  add_metadata("m", items);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0].payload + items[1].payload + items[2].payload, "mabmc");
  items.clear();
  add_metadata("", items);
  EXPECT_TRUE(items.empty());
  add_metadata("m", items);
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0].payload, "m");
}

TEST(MetadataRhythm, LetsAnEntryThroughOnceAMinute) {
  codec::WriteRequest request;
  request.metadata = {{.family = "up", .type = telemetry::MetricType::Gauge, .help = "old"}};
  const DecodedRequest old_help(request);
  request.metadata.front().help = "new";
  const DecodedRequest new_help(request);
  MetadataRhythm rhythm;
  const std::string first = rhythm.take_due(7, old_help.batch(), {0});
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(DecodedRequest(first).batch().metadata.at(0).help, "old");
  EXPECT_EQ(rhythm.take_due(7, old_help.batch(), {59'999}), "");
  EXPECT_NE(rhythm.take_due(8, old_help.batch(), {59'999}), "") << "another stack";
  EXPECT_NE(rhythm.take_due(7, new_help.batch(), {59'999}), "") << "what is new";
  EXPECT_EQ(rhythm.take_due(7, old_help.batch(), {60'000}), first);
}

TEST(RemoteWrite2, SaysWithSeriesWhatCameInMessagesOfItsOwn) {
  RemoteWrite2Translator translator;
  codec::WriteRequest request;
  request.metadata = {{.family = "work", .type = telemetry::MetricType::Counter, .help = "Done."}};
  const auto nothing = translator.translate(DecodedRequest::encoded(request));
  ASSERT_TRUE(nothing);
  EXPECT_EQ(*nothing, "") << "no series";
  request.metadata.clear();
  request.series = {numbered_series("work_total", 1, {1000}), numbered_series("other", 2, {2000})};
  const auto message = translator.translate(DecodedRequest::encoded(request));
  ASSERT_TRUE(message);
  const DecodedRequest decoded(*message, codec::RemoteWriteVersion::V2);
  EXPECT_EQ(decoded.timestamps(),
            (Timestamps{{R"(work_total{i="1"})", {1000}}, {R"(other{i="2"})", {2000}}}));
  ASSERT_FALSE(decoded.batch().metadata.empty());
  EXPECT_EQ(decoded.batch().metadata[0].help, "Done.");
  EXPECT_EQ(decoded.batch().metadata[0].type, telemetry::MetricType::Counter);
}

TEST(RemoteWrite2, RefusesWhatIsNoMessage) {
  RemoteWrite2Translator translator;
  EXPECT_EQ(translator.translate("\xff\xff").error().code, Code::InvalidArgument);
}

}  // namespace
}  // namespace gantry::broadcast
