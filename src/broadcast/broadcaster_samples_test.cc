#include <functional>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "broadcast/broadcaster.h"
#include "broadcast/testing/delivery_support.h"
#include "broadcast/testing/fake_destinations.h"
#include "broadcast/testing/metric_requests.h"
#include "broadcast/testing/quick_broadcaster.h"
#include "pipeline/relabel_json.h"

namespace gantry::broadcast {
namespace {

using namespace testing;

class BroadcasterSamplesTest : public ::testing::Test {
 protected:
  ~BroadcasterSamplesTest() override { broadcaster_.reset(); }

  void start() {
    auto opened =
        open_quick_broadcaster(files_, destinations_, transport_, time_, *pace_, registry_);
    ASSERT_TRUE(opened) << opened.error().message;
    broadcaster_ = *std::move(opened);
    const auto started = broadcaster_->start();
    ASSERT_TRUE(started) << started.error().message;
  }

  void offer(const telemetry::AppendResult& stored = {}) {
    codec::WriteRequest request;
    request.series = {numbered_series("up", 1, {1000, 2000})};
    const DecodedRequest decoded(request);
    broadcaster_->offer(StackId(7), decoded.batch(), stored);
  }

  [[nodiscard]] std::uint64_t sent(const Destination& destination) const {
    return broadcaster_->health(destination.id).sent[Signal::Metrics].items;
  }

  storage::FaultyFileSystem files_;
  FakeTime time_{FakeTime::Mode::Stands};
  std::unique_ptr<Pace> pace_ = make_system_pace();
  core::MetricRegistry registry_;
  FakeDestinations destinations_;
  /// Set before start.
  std::function<ExportAnswer(const ExportRequest&)> answer_ = [](const ExportRequest&) {
    return answer_with(204);
  };
  FakeTransport transport_{
      [this](const ExportRequest& request, DurationMs, const CancelToken&) -> TransportResult {
        return answer_(request);
      }};
  std::unique_ptr<Broadcaster> broadcaster_;
};

TEST_F(BroadcasterSamplesTest, GoToThoseWhoTakeMetrics) {
  Destination remote_write = remote_write_destination();
  remote_write.id = "11111111-0000-4000-8000-000000000009";
  destinations_.put(remote_write);
  destinations_.put(influx_destination());
  destinations_.put(grafana_destination());
  start();
  offer();
  EXPECT_TRUE(eventually([&] { return sent(remote_write) == 2; }));
  EXPECT_TRUE(eventually([&] { return sent(influx_destination()) == 2; }));
  EXPECT_EQ(broadcaster_->health(grafana_destination().id).queue.items, 0U);
  EXPECT_EQ(transport_.requests().size(), 2U);
  telemetry::SpanBatch spans;
  spans.resources.resize(1);
  spans.scopes.resize(1);
  spans.spans.push_back({.span_id = 1});
  broadcaster_->offer(StackId(7), spans);
  EXPECT_TRUE(eventually([&] {
    return broadcaster_->health(grafana_destination().id).sent[Signal::Spans].items == 1;
  }));
  EXPECT_EQ(transport_.requests().size(), 3U);
}

TEST_F(BroadcasterSamplesTest, OfAQueueWithoutStartTimestampsAreSentBesideThoseThatHaveThem) {
  Destination second = remote_write_destination();
  second.config.remote_write_version = 2;
  destinations_.put(second);
  answer_ = [](const ExportRequest&) {
    ExportAnswer answer = answer_with(204);
    answer.headers.set("X-Prometheus-Remote-Write-Samples-Written", "1");
    return answer;
  };
  {
    const auto queue = Queue::open(files_, "/data/broadcast", time_, {});
    ASSERT_TRUE(queue) << queue.error().message;
    const DestinationId lane = lane_of(second.id, Signal::Metrics);
    ASSERT_TRUE((*queue)->add_destination(lane));
    codec::WriteRequest old;
    old.series = {numbered_series("up", 1, {1000})};
    const std::string payload = DecodedRequest::encoded(old);
    ASSERT_TRUE((*queue)->append({.stack = 7,
                                  .signal = Signal::Metrics,
                                  .created_ms = time_.now().since_epoch,
                                  .item_count = 1,
                                  .order_key = 1,
                                  .destinations = {lane},
                                  .payload = core::as_bytes(payload)}));
  }
  start();
  codec::WriteRequest request;
  request.series = {numbered_series("up", 1, {2000})};
  request.series[0].samples[0].start_timestamp_ms = 500;
  std::string body;
  codec::encode_remote_write(codec::RemoteWriteVersion::V2, request, body);
  broadcaster_->offer(StackId(7), DecodedRequest(body, codec::RemoteWriteVersion::V2).batch(), {});
  ASSERT_TRUE(eventually([&] { return sent(second) == 2; }));
  std::map<std::int64_t, std::int64_t> starts;  // by the sample's time
  for (const ExportRequest& sent : transport_.requests()) {
    std::string text;
    ASSERT_TRUE(codec::decompress(codec::Encoding::SnappyBlock, sent.body, {}, text));
    const DecodedRequest decoded(text, codec::RemoteWriteVersion::V2);
    const telemetry::MetricBatch& batch = decoded.batch();
    for (std::size_t i = 0; i < batch.samples.size(); ++i)
      starts[batch.samples[i].timestamp_ms] =
          batch.start_timestamps_ms.empty() ? 0 : batch.start_timestamps_ms[i];
  }
  EXPECT_EQ(starts, (std::map<std::int64_t, std::int64_t>{{1000, 0}, {2000, 500}}));
}

TEST_F(BroadcasterSamplesTest, LeaveOutWhatTheStoreRefused) {
  destinations_.put(influx_destination());
  start();
  offer({.refused_samples = {0, 1}});
  EXPECT_EQ(broadcaster_->health(influx_destination().id).queue.items, 0U);
  offer({.refused_samples = {0}});
  EXPECT_TRUE(eventually([&] { return sent(influx_destination()) == 1; }));
  EXPECT_EQ(transport_.requests().at(0).body, "up,i=1 value=1 2000000000\n");
}

TEST_F(BroadcasterSamplesTest, AndSpansGoEachTheirOwnWay) {
  Destination both = gantry_destination();
  both.config.signals = {.traces = true, .metrics = true};
  destinations_.put(both);
  answer_ = [](const ExportRequest& request) {
    return answer_with(request.url.ends_with("/v1/metrics") ? 403 : 200);
  };
  start();
  offer();
  EXPECT_TRUE(eventually(
      [&] { return broadcaster_->health(both.id).statistics.state == DeliveryState::Held; }));
  telemetry::SpanBatch spans;
  spans.resources.resize(1);
  spans.scopes.resize(1);
  spans.spans.push_back({.span_id = 1});
  broadcaster_->offer(StackId(7), spans);
  EXPECT_TRUE(
      eventually([&] { return broadcaster_->health(both.id).sent[Signal::Spans].items == 1; }));
  const DestinationHealth health = broadcaster_->health(both.id);
  EXPECT_EQ(health.queue.items, 1U);
  EXPECT_TRUE(health.statistics.last_error->message.contains("metrics:write"));
}

TEST_F(BroadcasterSamplesTest, AreForgottenWithTheSignal) {
  Destination both = gantry_destination();
  both.config.signals = {.traces = true, .metrics = true};
  destinations_.put(both);
  answer_ = [](const ExportRequest&) { return answer_with(503); };
  start();
  offer();
  EXPECT_EQ(broadcaster_->health(both.id).queue.items, 1U);
  both.config.signals.metrics = false;
  destinations_.put(both);
  broadcaster_->notify();
  EXPECT_TRUE(eventually([&] { return broadcaster_->health(both.id).queue.items == 0; }));
  EXPECT_TRUE(eventually(
      [&] { return broadcaster_->health(both.id).statistics.state == DeliveryState::Active; }));
}

TEST_F(BroadcasterSamplesTest, ThatComeBackAreNotSentAgain) {
  Destination both = gantry_destination();
  both.config.signals = {.traces = true, .metrics = true};
  destinations_.put(both);
  start();
  telemetry::SpanBatch spans;
  spans.resources.resize(1);
  spans.scopes.resize(1);
  spans.spans.push_back({.span_id = 1});
  for (int i = 0; i < 3; ++i) {
    offer();
    broadcaster_->offer(StackId(7), spans);
    spans.spans.push_back({.span_id = static_cast<telemetry::SpanId>(i + 2)});
  }
  const auto sent_of = [&](Signal signal) {
    return broadcaster_->health(both.id).sent[signal].items;
  };
  EXPECT_TRUE(eventually([&] { return sent_of(Signal::Spans) == 3; })) << sent_of(Signal::Spans);
  EXPECT_TRUE(eventually([&] { return sent_of(Signal::Metrics) == 2; }));
  EXPECT_TRUE(eventually([&] { return broadcaster_->health(both.id).queue.items == 0; }));
  EXPECT_EQ(sent_of(Signal::Spans), 3U);
  EXPECT_EQ(sent_of(Signal::Metrics), 2U);
}

TEST_F(BroadcasterSamplesTest, ArePutInAgainForOneDestinationWhetherKnownOrNot) {
  Destination one = influx_destination();
  destinations_.put(one);
  Destination other = remote_write_destination();
  other.id = "11111111-0000-4000-8000-000000000009";
  destinations_.put(other);
  start();
  EXPECT_EQ(broadcaster_->intake(StackId(7), one.id, Signal::Metrics), Intake::Open);
  EXPECT_EQ(broadcaster_->intake(StackId(7), one.id, Signal::Spans), Intake::Unknown);
  EXPECT_EQ(broadcaster_->intake(StackId(8), one.id, Signal::Metrics), Intake::Unknown);
  offer();
  ASSERT_TRUE(eventually([&] { return sent(one) == 2 && sent(other) == 2; }));
  codec::WriteRequest request;
  request.series = {numbered_series("up", 1, {1000, 2000})};
  const DecodedRequest decoded(request);
  const auto requeued = broadcaster_->requeue(StackId(7), one.id, decoded.batch());
  ASSERT_TRUE(requeued) << requeued.error().message;
  EXPECT_EQ(*requeued, 2U);
  EXPECT_TRUE(eventually([&] { return sent(one) == 4; }));
  EXPECT_EQ(sent(other), 2U);
  const auto refused = broadcaster_->requeue(StackId(7), "nobody", decoded.batch());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
}

TEST_F(BroadcasterSamplesTest, OfThePastAreRelabelledButNotAggregated) {
  Destination ruled = influx_destination();
  ruled.metric_relabel_json = R"([{"source_labels":["__name__"],"regex":"up","action":"drop"}])";
  ruled.metric_relabel = *pipeline::parse_relabel_rules(ruled.metric_relabel_json);
  ruled.stream_aggregation_json =
      R"([{"match":"down","interval":"1d","outputs":["count_samples"],"keep_input":false}])";
  destinations_.put(ruled);
  start();
  codec::WriteRequest request;
  request.series = {numbered_series("up", 1, {1000, 2000}), numbered_series("down", 1, {1000})};
  const DecodedRequest decoded(request);
  const auto requeued = broadcaster_->requeue(StackId(7), ruled.id, decoded.batch());
  ASSERT_TRUE(requeued) << requeued.error().message;
  EXPECT_EQ(*requeued, 1U);
  ASSERT_TRUE(eventually([&] { return sent(ruled) == 1; }));
  EXPECT_EQ(transport_.requests().at(0).body, "down,i=1 value=1 1000000000\n");
  broadcaster_->stop({10'000});
  EXPECT_EQ(transport_.requests().size(), 1U) << "no window has seen it";
}

TEST_F(BroadcasterSamplesTest, DoNotWaitForWhoIsDisabled) {
  Destination disabled = influx_destination();
  disabled.is_enabled = false;
  destinations_.put(disabled);
  start();
  offer();
  EXPECT_EQ(broadcaster_->health(disabled.id).queue.items, 0U);
}

TEST_F(BroadcasterSamplesTest, RelabellingDecidesWhatADestinationGets) {
  Destination choosy = remote_write_destination();
  choosy.id = "11111111-0000-4000-8000-000000000009";
  choosy.metric_relabel_json = R"([{"source_labels":["__name__"],"regex":"up","action":"drop"}])";
  choosy.metric_relabel = *pipeline::parse_relabel_rules(choosy.metric_relabel_json);
  destinations_.put(choosy);
  destinations_.put(influx_destination());
  start();
  offer();
  EXPECT_TRUE(eventually([&] { return sent(influx_destination()) == 2; }));
  EXPECT_EQ(broadcaster_->health(choosy.id).queue.items, 0U);
  EXPECT_EQ(transport_.requests().size(), 1U);
}

TEST_F(BroadcasterSamplesTest, OpenWindowsAreSentWhenTheirRulesEnd) {
  Destination summing = remote_write_destination();
  summing.id = "11111111-0000-4000-8000-000000000009";
  summing.stream_aggregation_json =
      R"([{"match":"up","interval":"1d","outputs":["count_samples"],"keep_input":false}])";
  destinations_.put(summing);
  start();
  const auto offer_new = [&](int value) {
    codec::WriteRequest request;
    request.series = {numbered_series("up", value, {time_.now().since_epoch})};
    const DecodedRequest decoded(request);
    broadcaster_->offer(StackId(7), decoded.batch(), {});
  };
  offer_new(1);
  EXPECT_EQ(broadcaster_->health(summing.id).queue.items, 0U);
  Destination changed = summing;
  changed.stream_aggregation_json =
      R"([{"match":"up","interval":"1d","outputs":["sum_samples"],"keep_input":false}])";
  destinations_.put(changed);
  broadcaster_->notify();
  // A delivery is begun anew with its destination, and so are its counts.
  ASSERT_TRUE(eventually([&] { return transport_.requests().size() == 1; }));
  offer_new(2);
  broadcaster_->stop({10'000});
  EXPECT_EQ(transport_.requests().size(), 2U);
}

}  // namespace
}  // namespace gantry::broadcast
