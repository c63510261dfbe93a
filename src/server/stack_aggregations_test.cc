#include "server/stack_aggregations.h"

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/arena.h"

namespace gantry::server {
namespace {

constexpr StackId kStack{1'000'000};
constexpr StackId kOther{1'000'001};
constexpr std::string_view kSums =
    R"([{"match":"m","interval":"10s","outputs":["sum_samples"],"keep_input":false}])";
constexpr std::string_view kCounts =
    R"([{"match":"m","interval":"10s","outputs":["count_samples"]}])";

/// A sample of the metric m.
class Sample final : public telemetry::SeriesResolver {
 public:
  Sample(double value, TimestampMs at) {
    batch.resolver = this;
    batch.series.push_back({.key = core::hash128("m")});
    batch.samples.push_back({.timestamp_ms = at.since_epoch, .value = value});
  }

  Result<void> resolve(std::uint32_t, core::Arena&,
                       std::vector<telemetry::LabelView>& labels) const override {
    labels.push_back({.name = "__name__", .value = "m"});
    return {};
  }

  telemetry::MetricBatch batch;
};

class StackAggregationsTest : public testing::Test {
 protected:
  /// "stack name value" of each sample.
  Result<telemetry::AppendResult> append(StackId stack, const telemetry::MetricBatch& batch) {
    if (is_refusing_) return fail(Code::Unavailable, "the disk is full");
    for (const telemetry::FloatSample& sample : batch.samples) {
      core::Arena arena;
      std::vector<telemetry::LabelView> labels;
      EXPECT_TRUE(batch.resolver->resolve(sample.series, arena, labels));
      std::string name;
      for (const telemetry::LabelView& label : labels)
        if (label.name == telemetry::kMetricNameLabel) name = label.value;
      appended_.push_back(fmt::format("{} {} {}", stack.value(), name, sample.value));
    }
    return telemetry::AppendResult{.samples_written = batch.samples.size()};
  }

  std::shared_ptr<pipeline::StreamAggregation> run(StackId stack, std::string_view json) {
    auto running = aggregations_.run(stack, std::string(json));
    EXPECT_TRUE(running) << (running ? "" : running.error().message);
    return running ? *running : nullptr;
  }

  /// Whether the sample goes on beside the aggregates.
  bool observe(pipeline::StreamAggregation& aggregation, double value) {
    const Sample sample(value, clock_.now());
    return aggregation.observe(sample.batch, clock_.now()).dropped_count() == 0;
  }

  void pass(std::int64_t seconds) {
    clock_.advance({seconds * 1000});
    aggregations_.collect_round(clock_.now());
  }

  using Lines = std::vector<std::string>;

  ManualClock clock_{TimestampMs{1'795'262'400'000}};
  core::MetricRegistry registry_;
  bool is_refusing_ = false;
  Lines appended_;
  StackAggregations aggregations_{
      clock_, registry_,
      [this](StackId stack, const telemetry::MetricBatch& batch) { return append(stack, batch); }};
};

TEST_F(StackAggregationsTest, WhatIsFinishedIsAppendedToItsStack) {
  const auto first = run(kStack, kSums);
  const auto other = run(kOther, kCounts);
  EXPECT_FALSE(observe(*first, 2));
  EXPECT_FALSE(observe(*first, 3));
  EXPECT_TRUE(observe(*other, 4)) << "its input is kept";
  pass(5);
  EXPECT_TRUE(appended_.empty());
  pass(5);
  EXPECT_EQ(appended_, (Lines{"1000000 m:10s_sum_samples 5", "1000001 m:10s_count_samples 1"}));
}

TEST_F(StackAggregationsTest, TheSameRulesGoOn) {
  const auto before = run(kStack, kSums);
  observe(*before, 2);
  const auto after = run(kStack, kSums);
  EXPECT_EQ(before, after);
  observe(*after, 3);
  pass(10);
  EXPECT_EQ(appended_, Lines{"1000000 m:10s_sum_samples 5"});
}

TEST_F(StackAggregationsTest, OtherRulesBeginAnewOnceNobodyFeedsTheOldOnes) {
  auto before = run(kStack, kSums);
  observe(*before, 2);
  const auto after = run(kStack, kCounts);
  EXPECT_NE(before, after);
  observe(*before, 3);  // of a request that began before
  pass(1);
  EXPECT_TRUE(appended_.empty());
  before.reset();
  pass(1);
  EXPECT_EQ(appended_, Lines{"1000000 m:10s_sum_samples 5"}) << "though the window has not ended";
  EXPECT_EQ(run(kStack, ""), nullptr);
}

TEST_F(StackAggregationsTest, RulesThatCannotBeReadChangeNothing) {
  const auto before = run(kStack, kSums);
  EXPECT_FALSE(aggregations_.run(kStack, "[{}]"));
  EXPECT_EQ(run(kStack, kSums), before);
}

TEST_F(StackAggregationsTest, TheEndWritesWindowsThatHaveNotEnded) {
  const auto running = run(kStack, kSums);
  aggregations_.start();
  observe(*running, 2);
  clock_.advance({1000});
  aggregations_.stop();
  EXPECT_EQ(appended_, Lines{"1000000 m:10s_sum_samples 2"});
  aggregations_.stop();
  EXPECT_EQ(appended_.size(), 1U);
}

TEST_F(StackAggregationsTest, GoesOnAfterARefusal) {
  const auto running = run(kStack, kSums);
  observe(*running, 2);
  is_refusing_ = true;
  pass(10);
  is_refusing_ = false;
  observe(*running, 3);
  pass(10);
  EXPECT_EQ(appended_, Lines{"1000000 m:10s_sum_samples 3"});
}

}  // namespace
}  // namespace gantry::server
