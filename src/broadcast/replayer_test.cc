#include "broadcast/replayer.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "broadcast/testing/delivery_support.h"
#include "broadcast/testing/replay_fixture.h"
#include "core/mutex.h"

namespace gantry::broadcast {
namespace {

using testing::eventually;

constexpr std::size_t kPageTraces = 3;
constexpr std::int64_t kNanosecondsPerMs = 1'000'000;

/// A trace of one span begins in each millisecond from 1970 on.
class FakeHistory final : public TraceHistory {
 public:
  Result<traces::TracePage> read(StackId /*stack*/, const traces::TracePageRequest& request,
                                 const CancelToken& cancel, telemetry::SpanBatch& batch) override {
    ++reads;
    GANTRY_CHECK(cancel.check());
    batch.clear();
    if (const std::optional<Code> code = failure) return fail(*code, "/data/block is damaged");
    batch.resources.resize(1);
    batch.scopes.resize(1);
    traces::TracePage page{.last = request.after};
    for (std::int64_t ms = 1; ms <= traces && page.traces < kPageTraces; ++ms) {
      telemetry::BatchSpan span{.span_id = 1};
      span.start_ns = static_cast<std::uint64_t>(ms * kNanosecondsPerMs);
      span.trace_id.bytes.back() = static_cast<std::uint8_t>(ms);
      const traces::TracePosition position{.start_ns = ms * kNanosecondsPerMs,
                                           .trace = span.trace_id};
      if (position <= request.after || position.start_ns >= request.end_ns) continue;
      batch.spans.push_back(span);
      page.last = position;
      ++page.traces;
    }
    page.is_last = page.traces < kPageTraces;
    return page;
  }

  std::atomic<int> reads = 0;
  std::atomic<int> traces = 50;
  std::atomic<std::optional<Code>> failure;
};

/// Samples in slices of ten milliseconds, three series in each, one in a page.
class FakeMetrics final : public MetricHistory {
 public:
  static constexpr std::int64_t kSliceMs = 10;
  static constexpr std::uint64_t kGroups = 3;

  class Slice final : public metrics::SampleSlice {
   public:
    Slice(FakeMetrics& owner, std::int64_t start_ms) : owner_(owner), start_ms_(start_ms) {
      ++owner_.open_slices;
    }

    ~Slice() override { --owner_.open_slices; }

    Result<metrics::SamplePage> read(const metrics::SamplePosition& after,
                                     std::size_t /*bytes_max*/, const CancelToken& /*cancel*/,
                                     telemetry::MetricBatch& batch) override {
      batch.clear();
      if (const std::optional<Code> code = owner_.failure) return fail(*code, "a part is damaged");
      batch.series.resize(1);
      const std::uint64_t group = after.group + 1;
      batch.samples.push_back({.series = 0,
                               .timestamp_ms = start_ms_,
                               .value = static_cast<double>(start_ms_ * 10) + double(group)});
      if (group < kGroups)
        return metrics::SamplePage{.last = {.slice_ms = start_ms_, .group = group}};
      return metrics::SamplePage{.last = {.slice_ms = start_ms_ + kSliceMs}, .is_last = true};
    }

   private:
    FakeMetrics& owner_;
    const std::int64_t start_ms_;
  };

  Result<std::unique_ptr<metrics::SampleSlice>> open_slice(
      StackId /*stack*/, const metrics::SampleSliceRequest& request,
      const CancelToken& /*cancel*/) override {
    ++opened;
    return std::make_unique<Slice>(*this, request.after.slice_ms);
  }

  /// Of the first milliseconds, in order.
  static std::vector<int> values(int end_ms) {
    std::vector<int> all;
    for (int ms = 0; ms < end_ms; ms += kSliceMs)
      for (int group = 1; group <= static_cast<int>(kGroups); ++group)
        all.push_back(ms * 10 + group);
    return all;
  }

  std::atomic<int> opened = 0;
  std::atomic<int> open_slices = 0;
  std::atomic<std::optional<Code>> failure;
};

/// Keeps the numbers of traces and the values of samples, and has room for so many of each.
class FakeOutlet final : public ReplayOutlet {
 public:
  Intake intake(StackId /*stack*/, const DestinationId& id, Signal signal) const override {
    const core::Lock lock(mutex_);
    if (signal == Signal::Metrics)
      return samples_.size() < sample_room ? Intake::Open : Intake::Full;
    const auto found = taken_.find(id);
    const std::size_t count = found == taken_.end() ? 0 : found->second.size();
    return count < room ? Intake::Open : Intake::Full;
  }

  std::size_t batch_bytes_max() const override { return 1 << 20; }

  Result<Requeued> requeue(StackId /*stack*/, const DestinationId& id,
                           const telemetry::SpanBatch& batch) override {
    ++offers;
    if (is_failing) return fail(Code::ResourceExhausted, "the disk is full");
    const core::Lock lock(mutex_);
    Requeued requeued;
    for (const telemetry::BatchSpan& span : batch.spans) {
      taken_[id].push_back(span.trace_id.bytes.back());
      // As a filter rule does: odd ones are not for it.
      if (span.trace_id.bytes.back() % 2 == 1) continue;
      ++requeued.traces;
      ++requeued.spans;
    }
    return requeued;
  }

  Result<std::uint64_t> requeue(StackId /*stack*/, const DestinationId& /*id*/,
                                const telemetry::MetricBatch& batch) override {
    if (is_failing) return fail(Code::ResourceExhausted, "the disk is full");
    const core::Lock lock(mutex_);
    for (const auto& sample : batch.samples) samples_.push_back(static_cast<int>(sample.value));
    return batch.samples.size();
  }

  [[nodiscard]] std::vector<int> samples() const {
    const core::Lock lock(mutex_);
    return samples_;
  }

  [[nodiscard]] std::vector<int> taken(const DestinationId& id) const {
    const core::Lock lock(mutex_);
    const auto found = taken_.find(id);
    return found == taken_.end() ? std::vector<int>() : found->second;
  }

  std::atomic<std::size_t> room = 1'000'000;
  std::atomic<std::size_t> sample_room = 1'000'000;
  std::atomic<bool> is_failing = false;
  std::atomic<int> offers = 0;

 private:
  mutable core::Mutex mutex_;
  std::map<DestinationId, std::vector<int>> taken_ GANTRY_GUARDED_BY(mutex_);
  std::vector<int> samples_ GANTRY_GUARDED_BY(mutex_);
};

std::vector<int> numbers(int first, int last) {
  std::vector<int> all;
  for (int number = first; number <= last; ++number) all.push_back(number);
  return all;
}

class ReplayerTest : public testing::ReplayFixture {
 protected:
  ~ReplayerTest() override { replayer_.reset(); }

  void run() {
    replayer_ = std::make_unique<Replayer>(
        Replayer::Environment{.db = *db_,
                              .traces = history_,
                              .metrics = metrics_,
                              .outlet = outlet_,
                              .clock = clock_},
        Replayer::Options{.poll_interval = {1}, .retry_interval = {5}, .read_failures_max = 3});
    replayer_->start();
  }

  [[nodiscard]] bool comes_to(const std::string& id, ReplayState state) {
    return eventually([&] { return find(id)->state == state; });
  }

  FakeHistory history_;
  FakeMetrics metrics_;
  FakeOutlet outlet_;
  std::unique_ptr<Replayer> replayer_;
};

TEST_F(ReplayerTest, SendsEachTraceOfTheRangeOnceInTheirOrder) {
  const std::string id = add_destination();
  run();
  ASSERT_TRUE(start(id, 21));
  replayer_->notify();
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.taken(id), numbers(1, 20));
  const auto replay = find(id);
  EXPECT_EQ(replay->traces_read, 20U);
  EXPECT_EQ(replay->traces_queued, 10U);
  EXPECT_EQ(replay->spans_queued, 10U);
  EXPECT_EQ(replay->position.start_ns, 21 * kNanosecondsPerMs);
  EXPECT_EQ(replay->problem, "");
}

TEST_F(ReplayerTest, AnEmptyHistoryIsAnEnd) {
  const std::string id = add_destination();
  history_.traces = 0;
  ASSERT_TRUE(start(id));
  run();
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.offers, 0);
}

TEST_F(ReplayerTest, PausesWhileTheDestinationHasEnough) {
  const std::string id = add_destination();
  const std::string other = add_destination("other");
  outlet_.room = 5;
  ASSERT_TRUE(start(id));
  run();
  ASSERT_TRUE(eventually([&] { return find(id)->traces_read == 6; }));
  const int reads = history_.reads;
  ASSERT_TRUE(start(other));
  replayer_->notify();
  ASSERT_TRUE(eventually([&] { return find(other)->traces_read == 6; })) << "has room of its own";
  EXPECT_EQ(history_.reads, reads + 2) << "nothing is read that has no place";
  EXPECT_EQ(outlet_.taken(id), numbers(1, 6));
  outlet_.room = 1000;
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  ASSERT_TRUE(comes_to(other, ReplayState::Finished));
  EXPECT_EQ(outlet_.taken(id), numbers(1, 50));
  EXPECT_EQ(outlet_.taken(other), numbers(1, 50));
}

TEST_F(ReplayerTest, ARestartGoesOnWhereItWas) {
  const std::string id = add_destination();
  outlet_.room = 7;
  ASSERT_TRUE(start(id));
  run();
  ASSERT_TRUE(eventually([&] { return find(id)->traces_read == 9; }));
  replayer_->stop();
  EXPECT_EQ(find(id)->state, ReplayState::Running);
  outlet_.room = 1000;
  run();
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.taken(id), numbers(1, 50));
  EXPECT_EQ(find(id)->traces_read, 50U);
}

TEST_F(ReplayerTest, ThePositionWaitsForTheQueue) {
  const std::string id = add_destination();
  outlet_.is_failing = true;
  const auto begun = start(id);
  run();
  ASSERT_TRUE(eventually([&] { return outlet_.offers >= 5; })) << "however often it fails";
  EXPECT_EQ(find(id)->position, begun->position);
  EXPECT_EQ(find(id)->state, ReplayState::Running);
  outlet_.is_failing = false;
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.taken(id), numbers(1, 50));
}

TEST_F(ReplayerTest, FailsWhenTheTracesCannotBeRead) {
  const std::string id = add_destination();
  history_.failure = Code::DataLoss;
  ASSERT_TRUE(start(id));
  run();
  ASSERT_TRUE(comes_to(id, ReplayState::Failed));
  EXPECT_EQ(history_.reads, 3);
  EXPECT_EQ(find(id)->problem, "the stack's traces cannot be read (DATA_LOSS)");
  history_.failure = std::nullopt;
  ASSERT_TRUE(start(id, 4));
  replayer_->notify();
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.taken(id), numbers(1, 3));
}

TEST_F(ReplayerTest, WaitsForAStackThatIsNotOpen) {
  const std::string id = add_destination();
  history_.failure = Code::Unavailable;
  ASSERT_TRUE(start(id, 4));
  run();
  ASSERT_TRUE(eventually([&] { return history_.reads > 6; }));
  EXPECT_EQ(find(id)->state, ReplayState::Running);
  history_.failure = std::nullopt;
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
}

TEST_F(ReplayerTest, SendsTracesAndMetrics) {
  const std::string id = add_metric_destination("both", {.traces = true, .metrics = true});
  run();
  ASSERT_TRUE(start(id, 40));
  replayer_->notify();
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.taken(id), numbers(1, 39));
  EXPECT_EQ(outlet_.samples(), FakeMetrics::values(40));
  EXPECT_EQ(metrics_.opened, 4) << "a slice is read to its end";
  EXPECT_EQ(metrics_.open_slices, 0);
  const auto replay = find(id);
  EXPECT_EQ(replay->samples_read, 12U);
  EXPECT_EQ(replay->samples_queued, 12U);
  EXPECT_EQ(reached(*replay), TimestampMs{40});
}

TEST_F(ReplayerTest, WhoTakesNoTracesGetsNone) {
  const std::string id = add_metric_destination("metrics", {.traces = false, .metrics = true});
  ASSERT_TRUE(start(id, 20));
  run();
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.samples(), FakeMetrics::values(20));
  EXPECT_EQ(history_.reads, 0);
}

TEST_F(ReplayerTest, MetricsPauseForThemselvesAndGoOnWithinASlice) {
  const std::string id = add_metric_destination("both", {.traces = true, .metrics = true});
  outlet_.sample_room = 4;
  ASSERT_TRUE(start(id, 40));
  run();
  ASSERT_TRUE(eventually([&] { return find(id)->samples_read == 4; }));
  ASSERT_TRUE(eventually([&] { return find(id)->traces_read == 39; })) << "they have room";
  EXPECT_EQ(find(id)->state, ReplayState::Running);
  EXPECT_EQ(find(id)->sample_position, (metrics::SamplePosition{.slice_ms = 10, .group = 1}));
  replayer_->stop();
  EXPECT_EQ(metrics_.open_slices, 0) << "the store may be closed";
  outlet_.sample_room = 1000;
  run();
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.samples(), FakeMetrics::values(40));
}

TEST_F(ReplayerTest, MetricsWaitForTheQueueToo) {
  const std::string id = add_metric_destination("metrics", {.traces = false, .metrics = true});
  outlet_.is_failing = true;
  ASSERT_TRUE(start(id, 20));
  run();
  ASSERT_TRUE(eventually([&] { return metrics_.opened > 0; }));
  EXPECT_EQ(find(id)->sample_position, metrics::SamplePosition());
  outlet_.is_failing = false;
  ASSERT_TRUE(comes_to(id, ReplayState::Finished));
  EXPECT_EQ(outlet_.samples(), FakeMetrics::values(20));
}

TEST_F(ReplayerTest, FailsWhenTheMetricsCannotBeRead) {
  const std::string id = add_metric_destination("both", {.traces = true, .metrics = true});
  metrics_.failure = Code::DataLoss;
  ASSERT_TRUE(start(id));
  run();
  ASSERT_TRUE(comes_to(id, ReplayState::Failed));
  EXPECT_EQ(find(id)->problem, "the stack's metrics cannot be read (DATA_LOSS)");
  EXPECT_EQ(metrics_.open_slices, 0);
}

TEST_F(ReplayerTest, EndsInTheMiddleOfASliceWhenMetricsAreNotTakenAnyMore) {
  const std::string id = add_metric_destination("both", {.traces = true, .metrics = true});
  outlet_.sample_room = 4;
  ASSERT_TRUE(start(id, 40));
  run();
  ASSERT_TRUE(eventually([&] { return find(id)->samples_read == 4; }));
  ASSERT_EQ(metrics_.open_slices, 1);
  edit_destination(id, [](Destination& destination) { destination.config.signals = {}; });
  replayer_->notify();
  EXPECT_TRUE(eventually([&] { return metrics_.open_slices == 0; }));
  outlet_.sample_room = 1000;
  EXPECT_EQ(find(id)->state, ReplayState::Cancelled);
  EXPECT_EQ(find(id)->problem, "the destination takes no metrics any more");
  const std::string last = add_destination("last");
  ASSERT_TRUE(start(last, 4));
  replayer_->notify();
  ASSERT_TRUE(comes_to(last, ReplayState::Finished));
  EXPECT_EQ(outlet_.samples().size(), 4U);
}

TEST_F(ReplayerTest, EndsInTheMiddleOfASliceWithItsStack) {
  const std::string id = add_metric_destination("metrics", {.traces = false, .metrics = true});
  outlet_.sample_room = 4;
  const auto begun = start(id, 40);
  run();
  ASSERT_TRUE(eventually([&] { return find(id)->samples_read == 4; }));
  ASSERT_EQ(metrics_.open_slices, 1);
  remove_stack();
  replayer_->notify();
  EXPECT_TRUE(eventually([&] { return metrics_.open_slices == 0; }));
  EXPECT_EQ(outcome(*begun), "cancelled: the stack was deleted");
  EXPECT_EQ(outlet_.samples().size(), 4U);
}

TEST_F(ReplayerTest, WhatIsCancelledOrDeletedEnds) {
  const std::string cancelled = add_destination("cancelled");
  const std::string deleted = add_destination("deleted");
  outlet_.room = 1;
  ASSERT_TRUE(start(cancelled));
  ASSERT_TRUE(start(deleted));
  run();
  ASSERT_TRUE(eventually(
      [&] { return find(cancelled)->traces_read == 3 && find(deleted)->traces_read == 3; }));
  ASSERT_TRUE(cancel(cancelled));
  remove_destination(deleted);
  // Without a notice: at the latest, saving says so.
  outlet_.room = 1000;
  const std::string last = add_destination("last");
  ASSERT_TRUE(start(last));
  replayer_->notify();
  ASSERT_TRUE(comes_to(last, ReplayState::Finished));
  EXPECT_LE(outlet_.taken(cancelled).size(), 2 * kPageTraces);
  EXPECT_LE(outlet_.taken(deleted).size(), 2 * kPageTraces);
  EXPECT_EQ(find(cancelled)->state, ReplayState::Cancelled);
  EXPECT_EQ(find(cancelled)->traces_read, 3U);
}

}  // namespace
}  // namespace gantry::broadcast
