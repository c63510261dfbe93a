// Runs the metrics cases of the conformance data: what Tempo's engine answers, in several groups
// and with several workers.

#include <bit>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/worker_pool.h"
#include "traceql/engine.h"
#include "traceql/metrics/series_table.h"
#include "traceql/parser.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/otlp_dataset.h"
#include "traceql/testing/span_builder.h"

namespace gantry::traceql {
namespace {

using nlohmann::json;
using testing::MemorySource;

/// Labels as one text with types ("k=(int)200"), and samples by time.
using PrintedSeries = std::map<std::string, std::map<std::int64_t, double>>;

std::string print_label(const std::string& key, const Static& value) {
  return key + "=" + std::string(static_type_text(value.type)) + ":" + metrics::label_text(value);
}

std::string join(std::vector<std::string> labels) {
  std::ranges::sort(labels);
  std::string text;
  for (const std::string& label : labels) text += label + ";";
  return text;
}

Static parse_any_value(const json& value) {
  if (value.contains("stringValue")) return Static::of_string(value["stringValue"]);
  if (value.contains("intValue")) {
    return Static::of_int(std::stoll(value["intValue"].get<std::string>()));
  }
  if (value.contains("boolValue")) return Static::of_bool(value["boolValue"]);
  return Static::of_float(value.at("doubleValue"));
}

PrintedSeries print_expected(const json& expected, std::int64_t instant_ms) {
  PrintedSeries printed;
  for (const json& series : expected.at("series")) {
    std::vector<std::string> labels;
    for (const auto& [key, value] : series.at("labels").items()) {
      labels.push_back(print_label(key, parse_any_value(value)));
    }
    auto& samples = printed[join(std::move(labels))];
    if (series.contains("value")) {
      samples[instant_ms] = series["value"];
      continue;
    }
    for (const json& sample : series.at("samples")) samples[sample[0]] = sample[1];
  }
  return printed;
}

PrintedSeries print_answer(const MetricsAnswer& answer) {
  PrintedSeries printed;
  for (const MetricsSeries& series : answer.series) {
    if (series.samples.empty()) continue;  // Left out on the wire.
    std::vector<std::string> labels;
    for (const NamedValue& label : series.labels) {
      labels.push_back(print_label(label.key, label.value));
    }
    auto& samples = printed[join(std::move(labels))];
    for (const auto& [time_ms, value] : series.samples) samples[time_ms] = value;
  }
  return printed;
}

void expect_samples(const std::map<std::int64_t, double>& actual,
                    const std::map<std::int64_t, double>& expected, const std::string& labels) {
  ASSERT_EQ(actual.size(), expected.size()) << labels;
  for (const auto& [time_ms, value] : expected) {
    const auto found = actual.find(time_ms);
    ASSERT_NE(found, actual.end()) << labels << " at " << time_ms;
    EXPECT_NEAR(found->second, value, std::abs(value) * 1e-9) << labels << " at " << time_ms;
  }
}

/// compare() cuts among values of equal frequency, and Tempo does so at random: what must agree is
/// how many values of which frequency each attribute shows.
std::map<std::string, std::multiset<double>> frequencies(const PrintedSeries& printed) {
  std::map<std::string, std::multiset<double>> by_attribute;
  for (const auto& [labels, samples] : printed) {
    double total = 0;
    for (const auto& [time_ms, value] : samples) total += value;
    const std::size_t second = labels.find(';') + 1;
    const std::string attribute = labels.substr(second, labels.find('=', second) - second);
    by_attribute[labels.substr(0, second) + attribute].insert(total);
  }
  return by_attribute;
}

void expect_answer(const MetricsAnswer& answer, const PrintedSeries& expected, bool is_compare) {
  const PrintedSeries actual = print_answer(answer);
  if (is_compare) {
    EXPECT_EQ(frequencies(actual), frequencies(expected));
  } else {
    EXPECT_EQ(actual.size(), expected.size());
  }
  std::size_t found_count = 0;
  for (const auto& [labels, samples] : expected) {
    const auto found = actual.find(labels);
    if (found != actual.end()) {
      ++found_count;
      expect_samples(found->second, samples, labels);
    } else if (!is_compare) {
      ADD_FAILURE() << "no series " << labels;
    }
  }
  if (is_compare) EXPECT_GT(found_count, expected.size() / 2);
}

/// Everything of the answer, numbers as their bits.
std::string fingerprint(const MetricsAnswer& answer) {
  const auto bits = [](double value) {
    return std::to_string(std::bit_cast<std::uint64_t>(value));
  };
  std::string text;
  for (const MetricsSeries& series : answer.series) {
    for (const NamedValue& label : series.labels) text += print_label(label.key, label.value) + ";";
    for (const auto& [time_ms, value] : series.samples) {
      text += std::to_string(time_ms) + "=" + bits(value) + " ";
    }
    for (const MetricsExemplar& exemplar : series.exemplars) {
      text += "exemplar " + std::to_string(exemplar.timestamp_ms) + "=" + bits(exemplar.value);
      for (const NamedValue& label : exemplar.labels) {
        text += " " + print_label(label.key, label.value);
      }
    }
    text += "\n";
  }
  return text;
}

MetricsRequest request_of(const json& test, const Query& query) {
  return {.query = &query,
          .start_ns = std::stoll(test.at("startNs").get<std::string>()),
          .end_ns = std::stoll(test.at("endNs").get<std::string>()),
          .step_ns =
              test.value("instant", false) ? 0 : std::stoll(test.at("stepNs").get<std::string>())};
}

void expect_aligned(const json& test, const MetricsRequest& request) {
  if (!test.contains("aligned")) return;
  const AlignedRange range = align_range(request.start_ns, request.end_ns, request.step_ns);
  EXPECT_EQ(range.start_ns, std::stoll(test["aligned"]["startNs"].get<std::string>()));
  EXPECT_EQ(range.end_ns, std::stoll(test["aligned"]["endNs"].get<std::string>()));
}

void run_case(const json& test, core::WorkerPool& pool) {
  const std::string text = test.at("query");
  const auto query = parse(text);
  const bool is_error = test.at("expect").contains("error");
  if (!query) {
    EXPECT_TRUE(is_error) << query.error().message;
    return;
  }
  const MetricsRequest request = request_of(test, *query);
  const CancelToken cancel;
  std::string first;  // Sums in these data are exact, so that groups make no difference either.
  for (const std::size_t groups : {1, 2, 5}) {
    for (const auto split : {testing::GroupSplit::ByTime, testing::GroupSplit::Interleaved}) {
      auto dataset = testing::load_dataset(test.at("dataset").get<std::string>());
      ASSERT_TRUE(dataset);
      const MemorySource source(testing::one_batch(std::move(*dataset)),
                                {.groups = groups, .split = split});
      const auto alone = Engine({}).metrics(request, source, cancel);
      ASSERT_EQ(alone.has_value(), !is_error) << (alone ? "" : alone.error().message);
      if (is_error) {
        EXPECT_EQ(alone.error().code, Code::InvalidArgument);
        continue;
      }
      expect_aligned(test, request);
      expect_answer(*alone, print_expected(test["expect"], request.end_ns / 1'000'000),
                    text.contains("compare("));
      const auto together = Engine({.workers = &pool}).metrics(request, source, cancel);
      ASSERT_TRUE(together);
      if (first.empty()) first = fingerprint(*alone);
      EXPECT_EQ(fingerprint(*alone), first);
      EXPECT_EQ(fingerprint(*together), first);
    }
  }
}

TEST(MetricsConformance, AnswersAsTempoDoes) {
  const auto file = testing::read_conformance_file("traceql/execute_cases.json");
  if (!file) GTEST_SKIP() << "set GANTRY_CONFORMANCE_DIR to the conformance data";
  core::WorkerPool pool({.thread_count = 3});
  std::size_t run = 0;
  for (const json& test : json::parse(*file).at("cases")) {
    if (test.at("kind") != "metrics") continue;
    ++run;
    SCOPED_TRACE(test.at("id").get<std::string>() + ": " + test.at("query").get<std::string>());
    run_case(test, pool);
  }
  EXPECT_GE(run, 90U);
}

}  // namespace
}  // namespace gantry::traceql
