#include <limits>

#include <gtest/gtest.h>

#include "broadcast/delivery.h"
#include "broadcast/metric_items.h"
#include "broadcast/testing/delivery_support.h"
#include "broadcast/testing/metric_requests.h"

namespace gantry::broadcast {
namespace {

using namespace testing;

/// Answers by `rule`, and keeps what arrived with a 2xx.
class MetricReceiver final : public Transport {
 public:
  using Rule = std::function<TransportResult(const ExportRequest&, int call)>;

  explicit MetricReceiver(Rule rule) : rule_(std::move(rule)) {}

  TransportResult send(const ExportRequest& request, DurationMs /*timeout*/,
                       const CancelToken& /*cancel*/) override {
    const TransportResult result = rule_(request, calls_++);
    if (!result || result->status / 100 != 2) return result;
    std::string body;
    EXPECT_TRUE(codec::decompress(codec::Encoding::SnappyBlock, request.body, {}, body));
    const bool is_v2 = request.headers.find("content-type").contains("v2");
    const DecodedRequest decoded(
        body, is_v2 ? codec::RemoteWriteVersion::V2 : codec::RemoteWriteVersion::V1);
    const core::Lock lock(mutex_);
    for (const auto& [series, timestamps] : decoded.timestamps())
      taken_[series].insert(taken_[series].end(), timestamps.begin(), timestamps.end());
    most_samples_ = std::max(most_samples_, decoded.batch().samples.size());
    return result;
  }

  [[nodiscard]] std::map<std::string, std::vector<std::int64_t>> taken() const {
    const core::Lock lock(mutex_);
    return taken_;
  }

  [[nodiscard]] std::size_t most_samples() const {
    const core::Lock lock(mutex_);
    return most_samples_;
  }

  [[nodiscard]] int calls() const { return calls_; }

 private:
  Rule rule_;
  std::atomic<int> calls_{0};
  mutable core::Mutex mutex_;
  std::map<std::string, std::vector<std::int64_t>> taken_ GANTRY_GUARDED_BY(mutex_);
  std::size_t most_samples_ GANTRY_GUARDED_BY(mutex_) = 0;
};

/// Requests of 40 series, one after the other in time.
void append_rounds(DeliveryHouse& house, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    codec::WriteRequest request;
    for (int i = 0; i < 40; ++i) request.series.push_back(numbered_series("m", i, {round * 1000}));
    const DecodedRequest decoded(request);
    for (const MetricItem& item : encode_metric_items(decoded.batch(), {}, {}))
      ASSERT_TRUE(house.queue->append({.stack = 7,
                                       .signal = Signal::Metrics,
                                       .created_ms = house.time.now().since_epoch,
                                       .item_count = item.samples,
                                       .order_key = item.order_key,
                                       .destinations = house.queue->destinations(),
                                       .payload = core::as_bytes(item.payload)}));
  }
}

void expect_all_in_order(const MetricReceiver& receiver, int rounds) {
  const auto taken = receiver.taken();
  EXPECT_EQ(taken.size(), 40U);
  for (const auto& [series, timestamps] : taken) {
    EXPECT_TRUE(std::ranges::is_sorted(timestamps)) << series;
    EXPECT_EQ(std::set<std::int64_t>(timestamps.begin(), timestamps.end()).size(),
              static_cast<std::size_t>(rounds))
        << series;
  }
}

TEST(DeliveryOfMetrics, KeepsTheOrderOfASeriesWhateverFails) {
  DeliveryHouse house(FakeTime::Mode::Jumps, remote_write_destination());
  append_rounds(house, 50);
  MetricReceiver receiver([](const ExportRequest&, int call) -> TransportResult {
    if (call % 3 == 1) return answer_with(503);
    if (call % 7 == 2) return failure(TransportFailure::Broken);
    return answer_with(204);
  });
  const auto statistics = house.deliver_all(receiver, {.events_per_batch_max = 3});
  EXPECT_EQ(statistics.sent_items, 2000U);
  EXPECT_EQ(statistics.dead_events, 0U);
  expect_all_in_order(receiver, 50);
}

TEST(DeliveryOfMetrics, SaysHowOftenARequestWasTried) {
  DeliveryHouse house(FakeTime::Mode::Jumps, remote_write_destination());
  append_rounds(house, 1);
  core::Mutex mutex;
  std::multiset<std::string> attempts;
  MetricReceiver receiver([&](const ExportRequest& request, int) {
    const core::Lock lock(mutex);
    attempts.emplace(request.headers.find("Retry-Attempt"));
    return answer_with(
        attempts.count("2") < kOrderShards && attempts.size() < 3 * kOrderShards ? 503 : 200);
  });
  house.deliver_all(receiver);
  EXPECT_EQ(attempts.count(""), kOrderShards);
  EXPECT_GE(attempts.count("1"), 1U);
}

TEST(DeliveryOfMetrics, BoundsTheSamplesOfARequest) {
  DeliveryHouse house(FakeTime::Mode::Jumps, remote_write_destination());
  append_rounds(house, 50);
  MetricReceiver receiver([](const ExportRequest&, int) { return answer_with(200); });
  house.deliver_all(receiver, {.samples_per_request_max = 100});
  EXPECT_LE(receiver.most_samples(), 100U);
  EXPECT_GE(receiver.calls(), 20);
  expect_all_in_order(receiver, 50);
}

TEST(DeliveryOfMetrics, SpeaksVersion1ToWhoKnowsNoOther) {
  Destination destination = remote_write_destination();
  destination.config.remote_write_version = 2;
  DeliveryHouse house(FakeTime::Mode::Jumps, destination);
  append_rounds(house, 3);
  MetricReceiver receiver([](const ExportRequest& request, int) {
    return answer_with(request.headers.find("content-type").contains("v2") ? 415 : 200);
  });
  const auto statistics = house.deliver_all(receiver);
  EXPECT_EQ(statistics.sent_items, 120U);
  expect_all_in_order(receiver, 3);
}

TEST(DeliveryOfMetrics, SpeaksVersion2ToWhoSaysWhatWasWritten) {
  Destination destination = remote_write_destination();
  destination.config.remote_write_version = 2;
  DeliveryHouse house(FakeTime::Mode::Jumps, destination);
  append_rounds(house, 3);
  MetricReceiver receiver([](const ExportRequest& request, int) {
    EXPECT_TRUE(request.headers.find("content-type").contains("v2"));
    ExportAnswer answer = answer_with(204);
    answer.headers.set("X-Prometheus-Remote-Write-Samples-Written", "1");
    return answer;
  });
  house.deliver_all(receiver);
  expect_all_in_order(receiver, 3);
}

TEST(DeliveryOfMetrics, SaysHowMuchInfluxCannotSay) {
  DeliveryHouse house(FakeTime::Mode::Jumps, influx_destination());
  codec::WriteRequest request;
  request.series = {numbered_series("m", 1, {1000}), numbered_series("m", 2, {1000})};
  request.series[1].samples[0].value = std::numeric_limits<double>::quiet_NaN();
  const std::string payload = DecodedRequest::encoded(request);
  request.series.erase(request.series.begin());
  const std::string unspeakable = DecodedRequest::encoded(request);
  std::string body;
  FakeTransport transport([&](const ExportRequest& sent, DurationMs, const CancelToken&) {
    body = sent.body;
    return answer_with(204);
  });
  const auto append = [&](const std::string& text, std::uint32_t count) {
    ASSERT_TRUE(house.queue->append({.stack = 7,
                                     .signal = Signal::Metrics,
                                     .created_ms = house.time.now().since_epoch,
                                     .item_count = count,
                                     .order_key = 1,
                                     .destinations = house.queue->destinations(),
                                     .payload = core::as_bytes(text)}));
  };
  append(payload, 2);
  const auto statistics = house.deliver_all(transport);
  EXPECT_EQ(body, "m,i=1 value=1 1000000000\n");
  EXPECT_EQ(statistics.sent_items, 1U);
  EXPECT_EQ(statistics.rejected_items, 1U);
  append(unspeakable, 1);
  EXPECT_EQ(house.deliver_all(transport).rejected_items, 1U);
  EXPECT_EQ(transport.requests().size(), 1U) << "there was nothing to send";
}

}  // namespace
}  // namespace gantry::broadcast
