#include "server/stack_pipelines.h"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "access/testing/control_fixture.h"
#include "pipeline/sampling.h"
#include "pipeline/stack_rule_rows.h"
#include "pipeline/trace_groups.h"
#include "storage/faulty_file_system.h"

namespace gantry::server {
namespace {

using pipeline::StackRules;
using telemetry::SpanBatch;

StackRules rules_of(std::string_view json) {
  const auto body = pipeline::StackRulesBody::parse(json);
  EXPECT_TRUE(body);
  auto rules = body->apply({});
  EXPECT_TRUE(rules) << (rules ? "" : rules.error().message);
  return rules ? *std::move(rules) : StackRules();
}

/// One span of each of these traces.
struct Request {
  explicit Request(const std::vector<std::uint8_t>& traces) {
    batch.resources.resize(1);
    batch.scopes.resize(1);
    for (const std::uint8_t trace : traces) {
      telemetry::BatchSpan span;
      span.trace_id.bytes.back() = trace;
      span.span_id = 1;
      span.name = "s";
      span.start_ns = 1'795'262'400'000'000'000;
      span.end_ns = span.start_ns + 1;
      batch.spans.push_back(span);
    }
  }

  SpanBatch batch;
};

/// One sample of each of these metrics.
class Samples final : public telemetry::SeriesResolver {
 public:
  Samples(std::vector<std::string> names, TimestampMs at) : names_(std::move(names)) {
    batch.resolver = this;
    for (std::uint32_t i = 0; i < names_.size(); ++i) {
      batch.series.push_back({.key = core::hash128(names_[i])});
      batch.samples.push_back({.series = i, .timestamp_ms = at.since_epoch, .value = 1});
    }
  }

  Result<void> resolve(std::uint32_t series, core::Arena&,
                       std::vector<telemetry::LabelView>& labels) const override {
    labels.push_back({.name = "__name__", .value = names_[series]});
    return {};
  }

  telemetry::MetricBatch batch;

 private:
  std::vector<std::string> names_;
};

class StackPipelinesTest : public access::ControlFixture {
 protected:
  void SetUp() override {
    ControlFixture::SetUp();
    if (IsSkipped()) return;
    auto opened = traces::Store::open("/traces", {}, environment());
    ASSERT_TRUE(opened) << opened.error().message;
    traces_behind_ = *std::move(opened);
    auto metrics = metrics::Store::open("/metrics", {},
                                        {.files = files_, .clock = clock_, .registry = registry_});
    ASSERT_TRUE(metrics) << metrics.error().message;
    metrics_behind_ = *std::move(metrics);
    traces_ = pipelines_.attach(stack_, traces_behind_);
    metrics_ = pipelines_.attach(stack_, metrics_behind_);
  }

  [[nodiscard]] traces::StoreEnvironment environment() {
    return {.files = files_, .clock = clock_, .registry = registry_};
  }

  void set_rules(std::string_view json) {
    const StackRules rules = rules_of(json);
    ASSERT_TRUE(change(admin(), [&](access::ControlChange& change) {
      return pipeline::save_stack_rules(org_, change,
                                        {.stack = stack_, .rules = rules, .version = {}});
    }));
    const auto refreshed = pipelines_.refresh();
    ASSERT_TRUE(refreshed) << refreshed.error().message;
  }

  [[nodiscard]] bool is_kept(std::uint8_t trace, double rate) const {
    telemetry::TraceId id;
    id.bytes.back() = trace;
    return pipeline::is_sampled(std::to_string(stack_.value()), pipeline::trace_id_hex(id), rate);
  }

  [[nodiscard]] double dropped(std::string_view stage, std::string_view reason) {
    return static_cast<double>(
        registry_
            .counter("gantry_pipeline_dropped_total", "",
                     {{"stage", std::string(stage)}, {"reason", std::string(reason)}})
            .value());
  }

  storage::FaultyFileSystem files_;
  std::vector<std::size_t> observed_;  ///< Spans, by batch.
  StackPipelines pipelines_{{.db = *db_,
                             .registry = registry_,
                             .clock = clock_,
                             .observe = [this](StackId, const SpanBatch& batch) {
                               observed_.push_back(batch.spans.size());
                             }}};
  std::shared_ptr<traces::Store> traces_behind_;
  std::shared_ptr<metrics::Store> metrics_behind_;
  std::shared_ptr<traces::Store> traces_;
  std::shared_ptr<metrics::Store> metrics_;
};

const std::vector<std::uint8_t> kTraces = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

TEST_F(StackPipelinesTest, WithoutRulesEverythingIsStored) {
  ASSERT_TRUE(pipelines_.start());
  EXPECT_EQ(traces_->append(Request(kTraces).batch)->spans_written, 10U);
  EXPECT_EQ(traces_behind_->statistics().live_spans, 10U);
  EXPECT_EQ(metrics_->append(Samples({"a", "b"}, clock_.now()).batch, {})->samples_written, 2U);
  EXPECT_EQ(metrics_behind_->cardinality(1).series_count, 2U);
  EXPECT_TRUE(observed_.empty());
}

TEST_F(StackPipelinesTest, WhatSamplingLeavesOutIsAcceptedCountedAndObserved) {
  ASSERT_TRUE(pipelines_.start());
  set_rules(R"({"sampling_rate":0.5})");
  std::size_t kept = 0;
  for (const std::uint8_t trace : kTraces) kept += is_kept(trace, 0.5) ? 1 : 0;
  ASSERT_TRUE(kept > 0 && kept < kTraces.size());
  const auto appended = traces_->append(Request(kTraces).batch);
  ASSERT_TRUE(appended) << appended.error().message;
  EXPECT_EQ(appended->spans_written, kTraces.size());
  EXPECT_EQ(traces_behind_->statistics().live_spans, kept);
  EXPECT_EQ(observed_, std::vector<std::size_t>{kTraces.size() - kept});
  EXPECT_EQ(dropped("sampling", "sampling_rate"), static_cast<double>(kTraces.size() - kept));
}

TEST_F(StackPipelinesTest, ABatchOfWhichNothingIsLeftIsAccepted) {
  ASSERT_TRUE(pipelines_.start());
  set_rules(R"({"filter_rules":{"groups":[{"logic":"and","rules":[)"
            R"({"field":"model","operator":"exists"}]}]}})");
  EXPECT_EQ(traces_->append(Request(kTraces).batch)->spans_written, 10U);
  EXPECT_EQ(traces_behind_->statistics().live_spans, 0U);
  EXPECT_TRUE(observed_.empty()) << "what the filter leaves out was never wanted";
  EXPECT_EQ(dropped("filter", "filter_rules"), 10);
}

TEST_F(StackPipelinesTest, AStoreThatRefusesIsHeard) {
  ASSERT_TRUE(pipelines_.start());
  set_rules(R"({"sampling_rate":0.5})");
  ASSERT_TRUE(traces_behind_->close());
  EXPECT_FALSE(traces_->append(Request(kTraces).batch));
  EXPECT_TRUE(observed_.empty()) << "it will come again";
  EXPECT_EQ(dropped("sampling", "sampling_rate"), 0);
}

TEST_F(StackPipelinesTest, RelabelsWhatIsReceivedAndNotWhatGantryMeasures) {
  ASSERT_TRUE(pipelines_.start());
  set_rules(R"({"metric_relabel_configs":[)"
            R"({"source_labels":["__name__"],"regex":"go_.*","action":"drop"}]})");
  const Samples samples({"go_gc", "up"}, clock_.now());
  EXPECT_EQ(metrics_->append(samples.batch, {})->samples_written, 2U);
  EXPECT_EQ(metrics_behind_->cardinality(1).series_count, 1U);
  EXPECT_EQ(dropped("relabel", "metric_relabel_configs"), 1);
  EXPECT_TRUE(pipelines_.append_own(stack_, samples.batch));
  EXPECT_EQ(metrics_behind_->cardinality(1).series_count, 2U);
  EXPECT_FALSE(pipelines_.append_own(foreign_stack_, samples.batch));
}

TEST_F(StackPipelinesTest, AggregatesWhatIsLeftByRelabelling) {
  ASSERT_TRUE(pipelines_.start());
  set_rules(R"({"metric_relabel_configs":[)"
            R"({"source_labels":["__name__"],"regex":"go_.*","action":"drop"}],)"
            R"("stream_aggregation":[{"match":"{__name__=~\"go_gc|up\"}","interval":"1h",)"
            R"("outputs":["count_samples"],"keep_input":false}]})");
  const Samples samples({"go_gc", "up", "down"}, clock_.now());
  EXPECT_EQ(metrics_->append(samples.batch, {})->samples_written, 3U);
  EXPECT_EQ(metrics_behind_->cardinality(1).series_count, 1U) << "down";
  EXPECT_EQ(dropped("relabel", "metric_relabel_configs"), 1);
  EXPECT_EQ(dropped("aggregation", "stream_aggregation"), 1);
  EXPECT_EQ(metrics_->append(samples.batch, {.is_import = true})->samples_written, 3U);
  EXPECT_EQ(metrics_behind_->cardinality(1).series_count, 2U) << "what is imported is kept";
  clock_.advance({1000});
  pipelines_.stop();
  EXPECT_EQ(metrics_behind_->cardinality(1).series_count, 3U) << "and the aggregate";
}

TEST_F(StackPipelinesTest, RulesAreKnownFromTheStartAndEndWhenTheyAreCleared) {
  const StackRules rules = rules_of(R"({"privacy_mode":true,"sampling_rate":0.5})");
  ASSERT_TRUE(change(admin(), [&](access::ControlChange& change) {
    return pipeline::save_stack_rules(org_, change,
                                      {.stack = stack_, .rules = rules, .version = {}});
  }));
  EXPECT_EQ(pipelines_.span_rules(stack_), nullptr);
  ASSERT_TRUE(pipelines_.start());
  ASSERT_NE(pipelines_.span_rules(stack_), nullptr);
  EXPECT_TRUE(pipelines_.span_rules(stack_)->is_private);
  EXPECT_EQ(pipelines_.span_rules(foreign_stack_), nullptr);
  set_rules("{}");
  EXPECT_EQ(pipelines_.span_rules(stack_), nullptr);
  EXPECT_EQ(traces_->append(Request(kTraces).batch)->spans_written, 10U);
  EXPECT_EQ(traces_behind_->statistics().live_spans, 10U);
}

TEST_F(StackPipelinesTest, FollowsWhatItIsToldOf) {
  ASSERT_TRUE(pipelines_.start());
  const StackRules rules = rules_of(R"({"privacy_mode":true})");
  ASSERT_TRUE(change(admin(), [&](access::ControlChange& change) {
    return pipeline::save_stack_rules(org_, change,
                                      {.stack = stack_, .rules = rules, .version = {}});
  }));
  pipelines_.notify();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!pipelines_.span_rules(stack_) && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_NE(pipelines_.span_rules(stack_), nullptr);
}

TEST_F(StackPipelinesTest, CallsAreDecidedAsTheirTraces) {
  ASSERT_TRUE(pipelines_.start());
  set_rules(R"({"sampling_rate":0.5})");
  const auto rules = pipelines_.span_rules(stack_);
  for (const std::uint8_t trace : kTraces) {
    telemetry::TraceId id;
    id.bytes.back() = trace;
    EXPECT_EQ(pipelines_.decide(*rules, stack_, id, "", {}),
              is_kept(trace, 0.5) ? pipeline::TraceFate::Kept : pipeline::TraceFate::SampledOut);
  }
}

TEST_F(StackPipelinesTest, RulesChangeWhileRequestsCome) {
  ASSERT_TRUE(pipelines_.start());
  std::atomic<bool> is_over = false;
  std::thread sender([&] {
    const Samples samples({"go_gc", "up"}, clock_.now());
    while (!is_over) {
      EXPECT_EQ(traces_->append(Request(kTraces).batch)->spans_written, 10U);
      EXPECT_TRUE(metrics_->append(samples.batch, {}));
    }
  });
  for (int i = 0; i < 20; ++i)
    set_rules(i % 2 == 0 ? R"({"privacy_mode":true,"metric_relabel_configs":[)"
                           R"({"source_labels":["__name__"],"regex":"go_.*","action":"drop"}]})"
                         : "{}");
  is_over = true;
  sender.join();
}

}  // namespace
}  // namespace gantry::server
