#include "broadcast/metric_rules.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "broadcast/testing/destinations.h"
#include "broadcast/testing/metric_requests.h"
#include "pipeline/relabel_json.h"

namespace gantry::broadcast {
namespace {

using namespace testing;
using Lines = std::vector<std::string>;

/// A minute begins.
constexpr std::int64_t kStart = 1'795'262'400'000;

class MetricRulesTest : public ::testing::Test {
 protected:
  static Destination destination(std::string_view relabel, std::string_view aggregation) {
    Destination made = remote_write_destination();
    made.metric_relabel_json = relabel;
    auto rules = pipeline::parse_relabel_rules(relabel.empty() ? "null" : relabel);
    EXPECT_TRUE(rules) << rules.error().message;
    if (rules) made.metric_relabel = *std::move(rules);
    made.stream_aggregation_json = aggregation;
    return made;
  }

  /// `series value@ms since kStart` of what a sink gets.
  MetricRules::Sink into(Lines& lines) {
    return [&lines](const telemetry::MetricBatch& batch) {
      for (const telemetry::FloatSample& sample : batch.samples) {
        core::Arena arena;
        std::vector<telemetry::LabelView> views;
        ASSERT_TRUE(batch.resolver->resolve(sample.series, arena, views));
        std::vector<telemetry::Label> labels;
        for (const telemetry::LabelView& view : views)
          labels.push_back({.name = std::string(view.name), .value = std::string(view.value)});
        lines.push_back(fmt::format("{} {}@{}",
                                    telemetry::format_series(telemetry::make_labels(labels)),
                                    sample.value, sample.timestamp_ms - kStart));
      }
    };
  }

  core::MetricRegistry registry_;
};

TEST_F(MetricRulesTest, ThereAreNoneWithoutRules) {
  EXPECT_EQ(MetricRules::make(destination("", ""), registry_, {kStart}), nullptr);
}

TEST_F(MetricRulesTest, RelabelThenAggregateWhatTheStoreTook) {
  const Destination with_rules = destination(
      R"([{"source_labels":["__name__"],"regex":"go_.*","action":"drop"},
                      {"regex":"instance","action":"labeldrop"}])",
      R"([{"match":"up","interval":"1m","outputs":["sum_samples"],"keep_input":false}])");
  const auto rules = MetricRules::make(with_rules, registry_, {kStart});
  ASSERT_TRUE(rules);
  EXPECT_TRUE(rules->are_of(with_rules));
  EXPECT_FALSE(rules->are_of(destination(with_rules.metric_relabel_json, "")));

  codec::WriteRequest request;
  request.series = {numbered_series("up", 1, {kStart + 1000, kStart + 2000, kStart + 3000}),
                    numbered_series("go_threads", 1, {kStart + 1000}),
                    numbered_series("work", 1, {kStart + 1000, kStart + 2000})};
  const DecodedRequest decoded(request);
  // The store has refused the second sample of `up` and the last one of `work`.
  Lines lines;
  rules->pass(decoded.batch(), {.refused_samples = {1, 5}}, {kStart + 3000}, into(lines));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("work")) << lines[0];
  EXPECT_TRUE(lines[0].ends_with("1@1000")) << lines[0];

  lines.clear();
  rules->collect({kStart + 59'999}, into(lines));
  EXPECT_EQ(lines, Lines{});
  rules->collect({kStart + 60'000}, into(lines));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("up:1m_sum_samples")) << lines[0];
  EXPECT_TRUE(lines[0].ends_with(" 2@60000")) << lines[0];
}

TEST_F(MetricRulesTest, FlushHandsOnWhatIsNotOver) {
  const auto rules = MetricRules::make(
      destination("", R"([{"match":"up","interval":"1m","outputs":["count_samples"]}])"), registry_,
      {kStart});
  ASSERT_TRUE(rules);
  codec::WriteRequest request;
  request.series = {numbered_series("up", 1, {kStart, kStart + 1})};
  const DecodedRequest decoded(request);
  Lines lines;
  rules->pass(decoded.batch(), {}, {kStart + 1}, into(lines));
  EXPECT_EQ(lines.size(), 2U) << "the input stays";
  lines.clear();
  rules->flush({kStart + 5000}, into(lines));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].ends_with(" 2@5000")) << lines[0];
}

}  // namespace
}  // namespace gantry::broadcast
