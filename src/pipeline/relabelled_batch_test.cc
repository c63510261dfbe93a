#include "pipeline/relabelled_batch.h"

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "metrics/store.h"
#include "pipeline/relabel_json.h"
#include "pipeline/testing/collected_text.h"
#include "storage/faulty_file_system.h"

namespace gantry::pipeline {
namespace {

using telemetry::LabelView;
using Lines = std::vector<std::string>;

/// 2026-11-21 12:00:00 UTC.
constexpr TimestampMs kNow{1'795'262'400'000};

/// One sample of each series that is added.
class Request final : public telemetry::SeriesResolver {
 public:
  Request() { batch.resolver = this; }

  Request& add(std::vector<LabelView> series, double value) {
    const auto index = static_cast<std::uint32_t>(labels_.size());
    batch.series.push_back({.key = {.high = seed_, .low = index}});
    batch.samples.push_back(
        {.series = index, .timestamp_ms = kNow.since_epoch + index, .value = value});
    labels_.push_back(std::move(series));
    return *this;
  }

  /// Other keys than those of requests before.
  void set_seed(std::uint64_t seed) { seed_ = seed; }

  Result<void> resolve(std::uint32_t series, core::Arena&,
                       std::vector<LabelView>& labels) const override {
    ++resolve_count;
    if (labels_[series].empty()) return fail(Code::InvalidArgument, "no labels");
    labels.insert(labels.end(), labels_[series].begin(), labels_[series].end());
    return {};
  }

  telemetry::MetricBatch batch;
  mutable int resolve_count = 0;

 private:
  std::uint64_t seed_ = 1;
  std::vector<std::vector<LabelView>> labels_;
};

RelabelRules rules_of(std::string_view json) {
  auto rules = parse_relabel_rules(json);
  EXPECT_TRUE(rules) << (rules ? "" : rules.error().message);
  return rules ? *std::move(rules) : RelabelRules();
}

/// Without the times.
Lines lines_of(const telemetry::MetricBatch& batch) {
  Lines lines = testing::sample_lines(batch);
  for (std::string& line : lines) line.resize(line.rfind('@'));
  return lines;
}

constexpr std::string_view kDropGo =
    R"([{"source_labels":["__name__"],"regex":"go_.*","action":"drop"},)"
    R"({"regex":"pod","action":"labeldrop"}])";

TEST(RelabelledBatch, DropsSeriesAndChangesLabels) {
  Request request;
  request.add({{"__name__", "go_gc"}}, 1)
      .add({{"__name__", "up"}, {"pod", "p-1"}, {"job", "a"}}, 2)
      .add({{"__name__", "go_info"}}, 3)
      .add({{"__name__", "down"}}, 4);
  request.batch.start_timestamps_ms = {10, 20, 30, 40};
  request.batch.exemplars = {{.series = 0, .value = 1, .labels = {}},
                             {.series = 3, .value = 2, .labels = {}}};
  request.batch.body_bytes = 99;
  Relabeller relabeller(rules_of(kDropGo));
  const RelabelledBatch relabelled(relabeller, request.batch);
  EXPECT_EQ(lines_of(relabelled.batch()), (Lines{"down 4", "up{job=\"a\"} 2"}));
  EXPECT_EQ(relabelled.batch().start_timestamps_ms, (std::vector<std::int64_t>{20, 40}));
  ASSERT_EQ(relabelled.batch().exemplars.size(), 1U);
  EXPECT_EQ(relabelled.batch().exemplars[0].series, 1U);
  EXPECT_EQ(relabelled.batch().body_bytes, 99U);
  EXPECT_EQ(relabelled.dropped_count(), 2U);
}

TEST(RelabelledBatch, HistogramsGoWithTheirSeries) {
  Request request;
  request.add({{"__name__", "go_gc"}}, 1).add({{"__name__", "latency"}}, 2);
  request.batch.histograms.resize(2);
  request.batch.histograms[0].series = 1;
  request.batch.histograms[1].series = 0;
  Relabeller relabeller(rules_of(kDropGo));
  const RelabelledBatch relabelled(relabeller, request.batch);
  ASSERT_EQ(relabelled.batch().histograms.size(), 1U);
  EXPECT_EQ(relabelled.batch().histograms[0].series, 0U);
  EXPECT_EQ(relabelled.dropped_count(), 2U);
}

TEST(RelabelledBatch, TheSendersVerdictKnowsItsOwnPositions) {
  Request request;
  request.add({{"__name__", "go_gc"}}, 1)
      .add({{"__name__", "up"}}, 2)
      .add({{"__name__", "go_info"}}, 3)
      .add({{"__name__", "down"}}, 4);
  Relabeller relabeller(rules_of(kDropGo));
  const RelabelledBatch relabelled(relabeller, request.batch);
  telemetry::AppendResult result;
  result.samples_written = 1;
  result.samples_rejected = 1;
  result.refused_samples = {1};
  const telemetry::AppendResult of_input = relabelled.of_input(std::move(result));
  EXPECT_EQ(of_input.samples_written, 3U) << "what was left out is as good as written";
  EXPECT_EQ(of_input.samples_rejected, 1U);
  EXPECT_EQ(of_input.refused_samples, std::vector<std::uint32_t>{3});
}

TEST(RelabelledBatch, ASeriesIsRelabelledOnce) {
  Request request;
  request.add({{"__name__", "up"}}, 1).add({{"__name__", "go_gc"}}, 2);
  Relabeller relabeller(rules_of(kDropGo));
  const auto key = RelabelledBatch(relabeller, request.batch).batch().series.at(0).key;
  EXPECT_EQ(request.resolve_count, 2);
  const RelabelledBatch again(relabeller, request.batch);
  EXPECT_EQ(request.resolve_count, 2);
  EXPECT_EQ(again.batch().series.at(0).key, key);
  EXPECT_EQ(again.dropped_count(), 1U);
}

TEST(RelabelledBatch, ForgetsAllWhenThereAreTooMany) {
  Relabeller relabeller(rules_of(kDropGo), 2);
  Request request;
  request.add({{"__name__", "a"}}, 1).add({{"__name__", "b"}}, 2).add({{"__name__", "c"}}, 3);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(lines_of(RelabelledBatch(relabeller, request.batch).batch()),
              (Lines{"a 1", "b 2", "c 3"}));
  EXPECT_LE(relabeller.look_up(request.batch).size(), 3U);
}

class RelabelledStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = metrics::Store::open("/data/metrics", {},
                                       {.files = files_, .clock = clock_, .registry = registry_});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = *std::move(opened);
  }

  telemetry::AppendResult append(Relabeller& relabeller, const telemetry::MetricBatch& batch) {
    const RelabelledBatch relabelled(relabeller, batch);
    auto result = store_->append(relabelled.batch(), {});
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result ? relabelled.of_input(*std::move(result)) : telemetry::AppendResult();
  }

  storage::FaultyFileSystem files_;
  ManualClock clock_{kNow};
  core::MetricRegistry registry_;
  std::unique_ptr<metrics::Store> store_;
};

TEST_F(RelabelledStoreTest, SeriesThatBecomeOneAreOne) {
  Relabeller relabeller(rules_of(kDropGo));
  Request request;
  request.add({{"__name__", "up"}, {"pod", "1"}}, 1).add({{"__name__", "up"}, {"pod", "2"}}, 2);
  EXPECT_EQ(append(relabeller, request.batch).samples_written, 2U);
  EXPECT_EQ(store_->cardinality(1).series_count, 1U);
  Request later;
  later.set_seed(2);
  later.add({{"__name__", "up"}, {"pod", "3"}}, 2);
  later.batch.samples[0].timestamp_ms += 1000;
  EXPECT_EQ(append(relabeller, later.batch).samples_written, 1U);
  EXPECT_EQ(store_->cardinality(1).series_count, 1U);
}

TEST_F(RelabelledStoreTest, WhatIsNoSeriesIsRefusedAsItCame) {
  Relabeller relabeller(rules_of(kDropGo));
  Request request;
  request.add({{"__name__", "go_gc"}}, 1)
      .add({{"__name__", "up"}, {"a", "1"}, {"a", "2"}}, 2)
      .add({}, 3)
      .add({{"job", "nameless"}}, 4);
  const telemetry::AppendResult result = append(relabeller, request.batch);
  EXPECT_EQ(result.samples_written, 1U);
  EXPECT_EQ(result.samples_rejected, 3U);
  EXPECT_EQ(result.rejected(telemetry::RejectReason::InvalidLabels), 3U);
}

RC_GTEST_PROP(RelabelledBatch, RulesThatDoNothingChangeNothing, ()) {
  Relabeller relabeller{RelabelRules()};
  Request request;
  std::deque<std::string> values;
  for (const auto& value : *rc::gen::arbitrary<std::vector<std::string>>()) {
    values.push_back(value);
    request.add({{"__name__", "m"}, {"v", values.back()}}, 1);
  }
  const RelabelledBatch relabelled(relabeller, request.batch);
  RC_ASSERT(relabelled.dropped_count() == 0U);
  RC_ASSERT(lines_of(relabelled.batch()) == lines_of(request.batch));
}

}  // namespace
}  // namespace gantry::pipeline
