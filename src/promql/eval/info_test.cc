#include "promql/eval/info.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/worker_pool.h"
#include "promql/engine.h"
#include "promql/testing/memory_source.h"
#include "telemetry/sample.h"

namespace gantry::promql {
namespace {

using promqltest::MemorySource;
using promqltest::Sample;

constexpr std::int64_t kStepMs = 60'000;
constexpr std::int64_t kLookbackMs = 150'000;

using Labels = std::map<std::string, std::string>;

/// One sample a minute; nothing where there is none.
struct TestSeries {
  Labels labels;
  std::vector<std::optional<double>> values;
};

struct World {
  std::vector<TestSeries> elements;
  std::vector<TestSeries> infos;
};

/// Few names and values, so that all that can happen does: several info series of one target,
/// targets without any, labels that collide. Two of one name never have a sample at one time.
World make_world(std::mt19937_64& random) {
  const auto pick = [&](std::uint64_t count) { return random() % count; };
  World world;
  std::set<Labels> taken;
  const auto add = [&](std::vector<TestSeries>& to, Labels labels) {
    std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
    if (taken.insert(labels).second) to.push_back({.labels = std::move(labels), .values = {}});
  };
  const std::vector<std::string> instances = {"", "a", "b", "c.d|e"};
  const std::vector<std::string> zones = {"", "own", "z"};
  for (int i = 0; i < 12; ++i) {
    add(world.elements, {{"__name__", pick(4) == 0 ? "other" : "base"},
                         {"instance", instances[pick(4)]},
                         {"job", pick(5) == 0 ? "" : "j"},
                         {"zone", zones[pick(3)]},
                         {"n", std::to_string(i)}});
  }
  for (int i = 0; i < 14; ++i) {
    add(world.infos, {{"__name__", pick(3) == 0 ? "host_info" : "target_info"},
                      {"instance", instances[pick(4)]},
                      {"job", pick(5) == 0 ? "" : "j"},
                      {"zone", zones[pick(3)]},
                      {"version", std::to_string(pick(3))}});
  }
  constexpr int kSamples = 90;
  std::map<std::string, std::vector<TestSeries*>> by_target;
  for (TestSeries& series : world.infos) {
    series.values.resize(kSamples);
    by_target[series.labels["__name__"] + "|" + series.labels["instance"] + "|" +
              series.labels["job"]]
        .push_back(&series);
    std::erase_if(series.labels, [](const auto& label) { return label.second.empty(); });
  }
  for (auto& [target, group] : by_target) {
    std::size_t current = pick(group.size());
    for (std::size_t i = 0; i < kSamples; ++i) {
      if (pick(20) == 0) current = pick(group.size());
      if (pick(4) != 0) group[current]->values[i] = pick(9) == 0 ? telemetry::stale_nan() : 1;
    }
  }
  for (TestSeries& series : world.elements) {
    series.values.resize(kSamples);
    for (auto& value : series.values) {
      if (pick(3) != 0) value = static_cast<double>(pick(100));
    }
  }
  return world;
}

void load(MemorySource& source, const std::vector<TestSeries>& all) {
  for (const TestSeries& series : all) {
    std::vector<telemetry::Label> labels;
    for (const auto& [name, value] : series.labels) {
      labels.push_back({.name = name, .value = value});
    }
    std::vector<Sample> samples;
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      if (!series.values[i]) continue;
      samples.push_back({.timestamp_ms = static_cast<std::int64_t>(i) * kStepMs,
                         .start_timestamp_ms = 0,
                         .value = *series.values[i],
                         .histogram = nullptr});
    }
    source.append(telemetry::make_labels(std::move(labels)), samples);
  }
}

struct Newest {
  std::int64_t time_ms = 0;
  double value = 0;
};

std::optional<Newest> newest_at(const TestSeries& series, std::int64_t now_ms) {
  for (std::int64_t i = now_ms / kStepMs; i >= 0; --i) {
    if (i * kStepMs <= now_ms - kLookbackMs) return std::nullopt;
    const auto& value = series.values[static_cast<std::size_t>(i)];
    if (!value) continue;
    if (telemetry::is_stale_nan(*value)) return std::nullopt;
    return Newest{.time_ms = i * kStepMs, .value = *value};
  }
  return std::nullopt;
}

std::string label_of(const TestSeries& series, const std::string& name) {
  const auto found = series.labels.find(name);
  return found == series.labels.end() ? std::string() : found->second;
}

/// Values by labels and time.
using Rows = std::map<Labels, std::map<std::int64_t, double>>;

/// What the definition gives, read step by step.
struct Expectation {
  Rows rows;
  std::string error;  ///< Any of the errors; then rows say nothing.
};

struct Call {
  std::string_view text;
  std::set<std::string> names;
  std::optional<std::string> asked_label;  ///< Must match `[12]` when set.
};

/// As Prometheus asks for info series: with some element's instance and some element's job, where
/// any element has one. So a job's info series without instance is not found as soon as another
/// element has an instance.
bool is_looked_at(const World& world, const TestSeries& info) {
  for (const std::string label : {"instance", "job"}) {
    std::set<std::string> wanted;
    for (const TestSeries& element : world.elements) {
      if (label_of(element, "__name__") == "base") wanted.insert(label_of(element, label));
    }
    wanted.erase("");
    if (!wanted.empty() && !wanted.contains(label_of(info, label))) return false;
  }
  return true;
}

void expect_element(const World& world, const Call& call, const TestSeries& element,
                    std::int64_t now_ms, Expectation& out) {
  const std::optional<Newest> own = newest_at(element, now_ms);
  if (!own || label_of(element, "__name__") != "base") return;
  Labels added;
  bool is_found = false;
  for (const std::string& name : call.names) {
    const TestSeries* best = nullptr;
    std::int64_t best_ms = -1;
    for (const TestSeries& info : world.infos) {
      if (label_of(info, "__name__") != name) continue;
      if (label_of(info, "instance") != label_of(element, "instance")) continue;
      if (label_of(info, "job") != label_of(element, "job")) continue;
      if (label_of(info, "instance").empty() && label_of(info, "job").empty()) continue;
      if (!is_looked_at(world, info)) continue;
      if (call.asked_label && label_of(info, *call.asked_label) != "1" &&
          label_of(info, *call.asked_label) != "2") {
        continue;
      }
      const std::optional<Newest> at = newest_at(info, now_ms);
      if (!at || at->time_ms <= best_ms) continue;
      best = &info;
      best_ms = at->time_ms;
    }
    if (best == nullptr) continue;
    is_found = true;
    for (const auto& [label, value] : best->labels) {
      if (label == "__name__" || element.labels.contains(label)) continue;
      if (call.asked_label && label != *call.asked_label) continue;
      if (added.contains(label) && added[label] != value) out.error = "conflicting label: " + label;
      added[label] = value;
    }
  }
  if (!is_found && call.asked_label) return;
  Labels labels = element.labels;
  labels.insert(added.begin(), added.end());
  out.rows[labels][now_ms] = own->value;
}

Rows rows_of(const Answer& answer) {
  Rows rows;
  for (const ResultSeries& series : std::get<std::vector<ResultSeries>>(answer.value)) {
    const Labels labels(series.labels.begin(), series.labels.end());
    for (const Point& point : series.points) rows[labels][point.timestamp_ms] = point.value;
  }
  return rows;
}

// Alike with any number of workers, and as the definition says read step by step.
TEST(Info, AgreesWithItsDefinitionAtEveryStep) {
  const Call calls[] = {
      {.text = "info(base)", .names = {"target_info"}, .asked_label = {}},
      {.text = R"(info(base, {__name__=~".+_info"}))",
       .names = {"host_info", "target_info"},
       .asked_label = {}},
      {.text = R"(info(base, {version=~"[12]"}))",
       .names = {"target_info"},
       .asked_label = "version"},
  };
  core::WorkerPool workers({.thread_count = 4});
  EngineOptions options{.parser = {.experimental_functions = true}, .lookback_ms = kLookbackMs};
  const Engine alone(options);
  options.workers = &workers;
  const Engine shared(options);
  int split = 0;
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 random(seed);
    const World world = make_world(random);
    MemorySource source;
    load(source, world.elements);
    load(source, world.infos);
    for (const Call& call : calls) {
      SCOPED_TRACE(fmt::format("seed {}: {}", seed, call.text));
      Expectation expected;
      for (std::int64_t now_ms = 0; now_ms < 80 * kStepMs; now_ms += kStepMs) {
        for (const TestSeries& element : world.elements) {
          expect_element(world, call, element, now_ms, expected);
        }
      }
      const RangeRequest request{.query = call.text,
                                 .start_ms = 0,
                                 .end_ms = 79 * kStepMs,
                                 .step_ms = kStepMs,
                                 .lookback_ms = {},
                                 .samples_max = {}};
      const Result<Answer> one = alone.range(request, source, CancelToken());
      const Result<Answer> four = shared.range(request, source, CancelToken());
      ASSERT_EQ(one.has_value(), expected.error.empty())
          << (one ? expected.error : one.error().message);
      ASSERT_EQ(four.has_value(), one.has_value());
      if (!one) {
        ++failed;
        EXPECT_TRUE(one.error().message.starts_with("conflicting label: ")) << one.error().message;
        EXPECT_EQ(four.error().message, one.error().message);
        continue;
      }
      EXPECT_EQ(rows_of(*one), expected.rows);
      EXPECT_EQ(rows_of(*four), expected.rows);
      split += rows_of(*one).size() > world.elements.size() ? 1 : 0;
    }
  }
  // The worlds must be such that there is something to see.
  EXPECT_GT(split, 20);
  EXPECT_GT(failed, 5);
}

/// A name for the n-th of many targets.
std::string target(int n) {
  return fmt::format("10.0.{}.{}:9100", n / 256, n % 256);
}

void append_one(MemorySource& source, telemetry::Labels labels, double value) {
  const Sample sample{
      .timestamp_ms = 0, .start_timestamp_ms = 0, .value = value, .histogram = nullptr};
  source.append(telemetry::make_labels(std::move(labels)), {&sample, 1});
}

// More targets than a regular expression of their names could have.
TEST(Info, JoinsManyTargets) {
  constexpr int kTargets = 20'000;
  MemorySource source;
  for (int i = 0; i < kTargets; ++i) {
    append_one(source, {{"__name__", "up"}, {"instance", target(i)}, {"job", "x"}}, 1);
    append_one(source,
               {{"__name__", "target_info"},
                {"instance", target(i)},
                {"job", "x"},
                {"version", i % 4 == 0 ? "old" : "new"}},
               1);
  }
  const Engine engine({.parser = {.experimental_functions = true}});
  const Result<Answer> answer = engine.instant({.query = R"(count(info(up, {version="old"})))",
                                                .time_ms = 0,
                                                .lookback_ms = {},
                                                .samples_max = {}},
                                               source, CancelToken());
  ASSERT_TRUE(answer) << answer.error().message;
  const auto& vector = std::get<std::vector<VectorElement>>(answer->value);
  ASSERT_EQ(vector.size(), 1U);
  EXPECT_EQ(vector[0].value, kTargets / 4);
}

TEST(Info, IsAnExperimentalFunction) {
  const Engine engine({});
  const Result<Answer> answer =
      engine.instant({.query = "info(up)", .time_ms = 0, .lookback_ms = {}, .samples_max = {}},
                     MemorySource(), CancelToken());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::InvalidArgument);
  EXPECT_NE(answer.error().message.find(R"(function "info" is not enabled)"), std::string::npos)
      << answer.error().message;
}

}  // namespace
}  // namespace gantry::promql
