// The engine against the plain evaluator: random queries over random spans, cut into groups.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "traceql/engine.h"
#include "traceql/parser.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/plain_evaluator.h"
#include "traceql/testing/random_queries.h"
#include "traceql/testing/random_traces.h"

namespace gantry::traceql {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the words of the tests

constexpr std::uint64_t kQueriesPerRun = 5;
constexpr std::int64_t kMinute = 60'000'000'000;

// Zeros are equal, whatever their sign.
std::string typed(const Static& value) {
  if (value.type == StaticType::Float && value.number == 0) return "TypeFloat:0";
  return fmt::format("{}:{}", static_type_text(value.type), format_static(value));
}

std::string show(std::vector<NamedValue> values) {
  std::ranges::sort(values, {}, [](const NamedValue& value) { return value.key; });
  std::string text;
  for (const NamedValue& value : values) text += value.key + '=' + typed(value.value) + ' ';
  return text;
}

std::string show(const FoundSpanset& set) {
  std::string text = fmt::format("    {} {}", set.matched, show(set.attributes));
  for (const FoundSpan& span : set.spans) {
    text += fmt::format("| {} {} {} {}", span.span_id, span.name, span.start_ns, span.duration_ns);
  }
  return text + '\n';
}

// Span sets of one trace have no order.
std::string show(const SearchAnswer& answer) {
  std::string text;
  for (const FoundTrace& trace : answer.traces) {
    text += fmt::format("{} {}+{} {} `{}` `{}`\n", plain_trace_id(trace.trace_id), trace.start_ns,
                        trace.duration_ns, trace.has_root, trace.root_service, trace.root_name);
    for (const auto& [name, service] : trace.services) {
      text += fmt::format("  {} {} {}\n", name, service.spans, service.errors);
    }
    std::vector<std::string> sets;
    for (const FoundSpanset& set : trace.spansets) sets.push_back(show(set));
    std::ranges::sort(sets);
    for (const std::string& set : sets) text += set;
  }
  return text;
}

using Lines = std::map<std::string, std::vector<std::pair<std::int64_t, double>>>;

Lines lines_of(const MetricsAnswer& answer) {
  Lines lines;
  for (const MetricsSeries& series : answer.series) lines[show(series.labels)] = series.samples;
  return lines;
}

std::string show(const Lines& lines) {
  std::string text;
  for (const auto& [labels, samples] : lines) {
    text += labels;
    for (const auto& [time_ms, value] : samples) text += fmt::format(" {}@{}", value, time_ms);
    text += '\n';
  }
  return text;
}

bool are_close(const Lines& a, const Lines& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    return x.first == y.first && std::ranges::equal(x.second, y.second, [](auto p, auto q) {
             return p.first == q.first && (p.second == q.second || std::abs(p.second - q.second) <=
                                                                       1e-9 * std::abs(q.second));
           });
  });
}

struct Sample {
  explicit Sample(std::uint64_t seed)
      : plain(one_batch(seed)),
        source(one_batch(seed),
               {.groups = 1 + seed % 3,
                .split = seed % 2 == 0 ? GroupSplit::ByTime : GroupSplit::Interleaved}) {}

  static std::vector<telemetry::SpanBatch> one_batch(std::uint64_t seed) {
    std::vector<telemetry::SpanBatch> batches;
    batches.push_back(random_traces(seed));
    return batches;
  }

  PlainEvaluator plain;
  MemorySource source;
};

void check_search(std::uint64_t seed) {
  const Engine engine({});
  const Sample sample(seed);
  const std::string text = random_query(seed, QueryKind::Search);
  const auto query = parse(text);
  ASSERT_TRUE(query.has_value()) << text << ": " << query.error().message;
  const bool is_cut = seed % 4 == 0;
  const SearchRequest request{
      .query = &*query, .limit = is_cut ? 2U : 1000U, .spans_per_spanset = is_cut ? 2U : 1000U};
  const auto expected = sample.plain.search(request);
  const auto got = engine.search(request, sample.source, CancelToken());
  ASSERT_TRUE(expected.has_value()) << text << ": " << expected.error().message;
  ASSERT_TRUE(got.has_value()) << text << ": " << got.error().message;
  EXPECT_EQ(show(*got), show(*expected)) << "seed " << seed << ": " << text;
}

void check_metrics(std::uint64_t seed) {
  const Engine engine({});
  const RandomTracesOptions options;
  const Sample sample(seed);
  const std::string text = random_query(seed, QueryKind::Metrics);
  const auto query = parse(text);
  ASSERT_TRUE(query.has_value()) << text << ": " << query.error().message;
  const MetricsRequest request{.query = &*query,
                               .start_ns = options.start_ns + kMinute,
                               .end_ns = options.start_ns + options.range_ns,
                               .step_ns = seed % 5 == 0 ? 0 : kMinute,
                               .exemplars_max = 0};
  const auto expected = sample.plain.metrics(request);
  const auto got = engine.metrics(request, sample.source, CancelToken());
  ASSERT_TRUE(expected.has_value()) << text << ": " << expected.error().message;
  ASSERT_TRUE(got.has_value()) << text << ": " << got.error().message;
  EXPECT_TRUE(are_close(lines_of(*got), lines_of(*expected)))
      << "seed " << seed << ": " << text << "\n got\n"
      << show(lines_of(*got)) << " expected\n"
      << show(lines_of(*expected));
}

// For a long run: RC_PARAMS="max_success=10000" makes 50,000 queries of each kind.

RC_GTEST_PROP(PlainAgreement, OfSearches, (std::uint64_t seed)) {
  for (std::uint64_t i = 0; i < kQueriesPerRun; ++i) check_search(seed * kQueriesPerRun + i);
  RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(PlainAgreement, OfMetrics, (std::uint64_t seed)) {
  for (std::uint64_t i = 0; i < kQueriesPerRun; ++i) check_metrics(seed * kQueriesPerRun + i);
  RC_ASSERT(!::testing::Test::HasFailure());
}

// compare() once lost the spans of groups where no resource has a service's name.
TEST(PlainAgreement, OfCompareWithoutServices) {
  for (const std::uint64_t seed : {685, 1016, 1874}) check_metrics(seed);
}

}  // namespace
}  // namespace gantry::traceql
