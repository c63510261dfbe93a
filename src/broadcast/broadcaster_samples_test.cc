#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "broadcast/broadcaster.h"
#include "broadcast/testing/delivery_support.h"
#include "broadcast/testing/fake_destinations.h"
#include "broadcast/testing/metric_requests.h"

namespace gantry::broadcast {
namespace {

using namespace testing;

class BroadcasterSamplesTest : public ::testing::Test {
 protected:
  ~BroadcasterSamplesTest() override { broadcaster_.reset(); }

  void start() {
    Broadcaster::Options options{.maintain_interval = {5}, .retry_interval = {20}};
    options.delivery.batch_wait = {0};
    auto opened = Broadcaster::open({.files = files_,
                                     .directory = "/data/broadcast",
                                     .destinations = destinations_,
                                     .transport = transport_,
                                     .clock = time_,
                                     .pace = *pace_,
                                     .registry = registry_},
                                    options);
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
    return broadcaster_->health(destination.id).statistics.sent_items;
  }

  storage::FaultyFileSystem files_;
  FakeTime time_{FakeTime::Mode::Stands};
  std::unique_ptr<Pace> pace_ = make_system_pace();
  core::MetricRegistry registry_;
  FakeDestinations destinations_;
  FakeTransport transport_{
      [](const ExportRequest&, DurationMs, const CancelToken&) { return answer_with(204); }};
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
  EXPECT_TRUE(eventually([&] { return sent(grafana_destination()) == 1; }));
  EXPECT_EQ(transport_.requests().size(), 3U);
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

TEST_F(BroadcasterSamplesTest, DoNotWaitForWhoIsDisabled) {
  Destination disabled = influx_destination();
  disabled.is_enabled = false;
  destinations_.put(disabled);
  start();
  offer();
  EXPECT_EQ(broadcaster_->health(disabled.id).queue.items, 0U);
}

}  // namespace
}  // namespace gantry::broadcast
