#include "collect/collector.h"

#include <atomic>
#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "core/mutex.h"
#include "telemetry/sample.h"

namespace gantry::collect {
namespace {

Family gauge(std::string name, std::vector<std::pair<core::MetricLabels, double>> samples) {
  Family family{
      .name = name, .help = name + " help", .type = telemetry::MetricType::Gauge, .samples = {}};
  for (auto& [labels, value] : samples) {
    family.samples.push_back({.name = name, .labels = labels, .value = value});
  }
  return family;
}

/// A batch as text, as a store would see it: "series timestamp value".
std::map<std::string, std::string> flatten(const telemetry::MetricBatch& batch) {
  std::map<std::string, std::string> out;
  core::Arena arena;
  for (const telemetry::FloatSample& sample : batch.samples) {
    std::vector<telemetry::LabelView> views;
    EXPECT_TRUE(batch.resolver->resolve(sample.series, arena, views));
    std::vector<telemetry::Label> labels;
    for (const auto& view : views)
      labels.push_back({std::string(view.name), std::string(view.value)});
    const std::string series = telemetry::format_series(telemetry::make_labels(labels));
    const std::string value = telemetry::is_stale_nan(sample.value)
                                  ? "stale"
                                  : std::to_string(static_cast<int>(sample.value));
    EXPECT_TRUE(out.emplace(series, std::to_string(sample.timestamp_ms) + " " + value).second)
        << series;
  }
  EXPECT_EQ(batch.series.size(), batch.samples.size());
  return out;
}

std::map<std::string, std::string> without_duration(std::map<std::string, std::string> all) {
  all.erase(R"(scrape_duration_seconds{instance="h", job="j"})");
  return all;
}

class TargetTest : public ::testing::Test {
 protected:
  std::map<std::string, std::string> collect(std::vector<Family> families, std::int64_t at) {
    next_ = std::move(families);
    return without_duration(flatten(target_.collect({at})));
  }

  std::vector<Family> next_;
  Target target_{{.job = "j", .instance = "h"}, [this](TimestampMs) { return next_; }};
};

TEST_F(TargetTest, ProducesWhatAScrapeWould) {
  const auto batch = collect({gauge("a", {{{{"x", "1"}}, 5}, {{{"x", "2"}}, 6}})}, 15000);
  const std::map<std::string, std::string> expected{
      {R"(a{instance="h", job="j", x="1"})", "15000 5"},
      {R"(a{instance="h", job="j", x="2"})", "15000 6"},
      {R"(up{instance="h", job="j"})", "15000 1"},
      {R"(scrape_samples_scraped{instance="h", job="j"})", "15000 2"},
      {R"(scrape_samples_post_metric_relabeling{instance="h", job="j"})", "15000 2"},
      {R"(scrape_series_added{instance="h", job="j"})", "15000 2"}};
  EXPECT_EQ(batch, expected);
}

TEST_F(TargetTest, SendsMetadata) {
  next_ = {gauge("a", {})};
  const auto& batch = target_.collect({0});
  ASSERT_EQ(batch.metadata.size(), 1U);
  EXPECT_EQ(batch.metadata[0].family, "a");
  EXPECT_EQ(batch.metadata[0].help, "a help");
  EXPECT_EQ(batch.metadata[0].type, telemetry::MetricType::Gauge);
}

TEST_F(TargetTest, MarksSeriesThatWentAwayOnce) {
  const std::string first = R"(a{instance="h", job="j", x="1"})";
  const std::string second = R"(a{instance="h", job="j", x="2"})";
  collect({gauge("a", {{{{"x", "1"}}, 5}, {{{"x", "2"}}, 6}})}, 0);
  auto batch = collect({gauge("a", {{{{"x", "2"}}, 7}})}, 15000);
  EXPECT_EQ(batch[first], "15000 stale");
  EXPECT_EQ(batch[second], "15000 7");
  EXPECT_EQ(batch[R"(scrape_series_added{instance="h", job="j"})"], "15000 0");
  batch = collect({gauge("a", {{{{"x", "2"}}, 8}})}, 30000);
  EXPECT_FALSE(batch.contains(first));
  batch = collect({gauge("a", {{{{"x", "1"}}, 9}, {{{"x", "2"}}, 9}})}, 45000);
  EXPECT_EQ(batch[first], "45000 9");
  EXPECT_EQ(batch[R"(scrape_series_added{instance="h", job="j"})"], "45000 1");
}

TEST_F(TargetTest, IsDownWithoutFamilies) {
  collect({gauge("a", {{{}, 5}})}, 0);
  const auto batch = collect({}, 15000);
  EXPECT_EQ(batch.at(R"(up{instance="h", job="j"})"), "15000 0");
  EXPECT_EQ(batch.at(R"(a{instance="h", job="j"})"), "15000 stale");
  EXPECT_EQ(batch.at(R"(scrape_samples_scraped{instance="h", job="j"})"), "15000 0");
}

TEST_F(TargetTest, KeepsTheTargetsOwnJobLabel) {
  const auto batch = collect({gauge("a", {{{{"job", "x"}, {"instance", "y"}}, 1}})}, 0);
  EXPECT_TRUE(
      batch.contains(R"(a{exported_instance="y", exported_job="x", instance="h", job="j"})"));
}

TEST_F(TargetTest, TakesTheFirstOfEqualSeries) {
  auto batch = collect(
      {gauge("a", {{{{"x", "1"}}, 5}, {{{"x", "1"}}, 6}, {{{"x", "1"}, {"y", ""}}, 7}})}, 0);
  EXPECT_EQ(batch[R"(a{instance="h", job="j", x="1"})"], "0 5");
  EXPECT_EQ(batch[R"(scrape_samples_scraped{instance="h", job="j"})"], "0 3");
}

TEST_F(TargetTest, KeysFollowTheLabels) {
  next_ = {gauge("a", {{{{"x", "1"}}, 5}})};
  const core::Hash128 first = target_.collect({0}).series.front().key;
  EXPECT_EQ(target_.collect({1}).series.front().key, first);
  next_ = {gauge("a", {{{{"x", "2"}}, 5}})};
  EXPECT_NE(target_.collect({2}).series.front().key, first);
}

double metric(const core::MetricRegistry& registry, std::string_view name) {
  for (const auto& family : registry.collect()) {
    if (family.name == name) return family.samples.front().value;
  }
  return -1;
}

std::vector<std::unique_ptr<Target>> one_target() {
  std::vector<std::unique_ptr<Target>> targets;
  targets.push_back(std::make_unique<Target>(
      Target::Options{.job = "j", .instance = "h"},
      [](TimestampMs) { return std::vector<Family>{gauge("a", {{{}, 1}})}; }));
  return targets;
}

TEST(Collector, CountsWhatTheSinkTakesAndRefuses) {
  core::MetricRegistry registry;
  const ManualClock clock({0});
  bool is_full = false;
  Collector collector(
      {}, one_target(),
      [&](const telemetry::MetricBatch&) -> Result<void> {
        if (is_full) return fail(Code::Unavailable, "the disk is full");
        return {};
      },
      registry, clock);
  collector.collect_round({15000});
  EXPECT_EQ(metric(registry, "gantry_collect_samples_total"), 6);
  EXPECT_EQ(metric(registry, "gantry_collect_failures_total"), 0);
  is_full = true;
  collector.collect_round({30000});
  EXPECT_EQ(metric(registry, "gantry_collect_samples_total"), 6);
  EXPECT_EQ(metric(registry, "gantry_collect_failures_total"), 1);
}

/// Each call is a millisecond later than the one before: time passes as it is looked at.
class SteppingClock final : public Clock {
 public:
  [[nodiscard]] TimestampMs now() const override {
    return {now_ms_.fetch_add(1, std::memory_order_relaxed)};
  }

 private:
  mutable std::atomic<std::int64_t> now_ms_{1};
};

TEST(Collector, CollectsAtMultiplesOfTheInterval) {
  core::MetricRegistry registry;
  const SteppingClock clock;
  core::Mutex mutex;
  core::ConditionVariable changed;
  std::vector<std::int64_t> times;
  Collector collector(
      {.interval = {10}}, one_target(),
      [&](const telemetry::MetricBatch& batch) -> Result<void> {
        const core::Lock lock(mutex);
        times.push_back(batch.samples.front().timestamp_ms);
        changed.notify_all();
        return {};
      },
      registry, clock);
  collector.start();
  {
    core::Lock lock(mutex);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (times.size() < 5) {
      ASSERT_NE(changed.wait_until(lock, deadline), std::cv_status::timeout);
    }
  }
  collector.stop();
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i] % 10, 0);
    if (i > 0) {
      EXPECT_GT(times[i], times[i - 1]);
    }
  }
}

TEST(Collector, StopsWhileItWaits) {
  core::MetricRegistry registry;
  const ManualClock clock({1});
  std::atomic<int> count = 0;
  Collector collector(
      {.interval = {3'600'000}}, one_target(),
      [&](const telemetry::MetricBatch&) -> Result<void> {
        ++count;
        return {};
      },
      registry, clock);
  collector.start();
  const auto started = std::chrono::steady_clock::now();
  collector.stop();
  collector.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(1));
  EXPECT_EQ(count, 0);
}

}  // namespace
}  // namespace gantry::collect
