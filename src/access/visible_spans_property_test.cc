// For random spans, policies and queries: what a restricted principal is answered equals the answer
// over a source that never had the spans that are hidden from it.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "access/visible_spans.h"
#include "codec/otlp_attributes.h"
#include "core/number_format.h"
#include "traceql/engine.h"
#include "traceql/parser.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/random_queries.h"
#include "traceql/testing/random_traces.h"
#include "traceql/testing/span_builder.h"

namespace gantry::access {
namespace {

using telemetry::AttributeValue;
using telemetry::SpanBatch;
using traceql::testing::MemorySource;

constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kStart = 1'700'000'040'000'000'000;

/// GANTRY_PROPERTY_SEED replays one case, GANTRY_PROPERTY_FACTOR runs so many times as many.
std::vector<std::uint64_t> seeds(std::uint64_t count) {
  if (const char* seed = std::getenv("GANTRY_PROPERTY_SEED")) return {std::stoull(seed)};
  if (const char* factor = std::getenv("GANTRY_PROPERTY_FACTOR")) count *= std::stoull(factor);
  std::vector<std::uint64_t> all(count);
  for (std::uint64_t i = 0; i < count; ++i) all[i] = i;
  return all;
}

struct Matcher {
  std::string label;      ///< As the policy has it.
  std::string attribute;  ///< Of the resource.
  std::string op;
  std::string value;
};

using Policies = std::vector<std::vector<Matcher>>;

Policies random_policies(std::mt19937_64& random) {
  constexpr std::array<std::pair<const char*, const char*>, 5> kLabels = {
      {{"a", "a"},
       {"zone", "zone"},
       {"service_name", "service.name"},
       {"\"service.name\"", "service.name"},
       {"\"resource.zone\"", "zone"}}};
  constexpr std::array kOps = {"=", "!=", "=~", "!~"};
  constexpr std::array kValues = {"a", "b", "c", "ab", "", "1", "true"};
  constexpr std::array kRegexes = {"a|b", "a.*", ".+", "", "b"};
  Policies policies(1 + random() % 3);
  for (auto& policy : policies) {
    policy.resize(1 + random() % 2);
    for (Matcher& matcher : policy) {
      const auto& [label, attribute] = kLabels[random() % kLabels.size()];
      const std::size_t op = random() % kOps.size();
      matcher = {
          label, attribute, kOps[op],
          op < 2 ? kValues[random() % kValues.size()] : kRegexes[random() % kRegexes.size()]};
    }
  }
  return policies;
}

std::vector<std::string> selectors_of(const Policies& policies) {
  std::vector<std::string> selectors;
  for (const auto& policy : policies) {
    std::vector<std::string> matchers;
    for (const Matcher& m : policy)
      matchers.push_back(fmt::format("{}{}\"{}\"", m.label, m.op, m.value));
    selectors.push_back(fmt::format("{{{}}}", fmt::join(matchers, ",")));
  }
  return selectors;
}

std::vector<std::string> texts_of(const AttributeValue& value) {
  std::string text(value.text);
  switch (value.kind) {
    case AttributeValue::Kind::Encoded:
      return *codec::attribute_texts(value.text);
    case AttributeValue::Kind::Bool:
      return {value.boolean ? "true" : "false"};
    case AttributeValue::Kind::Int:
      return {std::to_string(value.integer)};
    case AttributeValue::Kind::Double:
      core::append_float_api(text, value.number);
      return {text};
    case AttributeValue::Kind::String:
      break;
  }
  return {text};
}

/// The definition, with promql's matcher for one comparison.
bool shows(const Policies& policies, std::span<const telemetry::SpanAttribute> resource) {
  const auto holds = [&](const Matcher& m) {
    std::vector<std::string> texts;
    for (const auto& attribute : resource)
      if (attribute.key == m.attribute) texts = texts_of(attribute.value);
    const bool is_there = std::ranges::any_of(
        resource, [&](const auto& attribute) { return attribute.key == m.attribute; });
    if (!is_there) texts = {""};
    const bool is_negative = m.op.front() == '!';
    const auto equal = [&](const std::string& text) {
      if (m.op.ends_with('~'))
        return promql::Matcher::make(promql::MatchOp::Regex, "x", m.value)->matches(text);
      return text == m.value;
    };
    // An empty array has no value to match, so it is as if it were missing.
    if (texts.empty()) texts = {""};
    return is_negative ? std::ranges::none_of(texts, equal) : std::ranges::any_of(texts, equal);
  };
  return std::ranges::any_of(
      policies, [&](const auto& policy) { return std::ranges::all_of(policy, holds); });
}

SpanBatch visible_part(const SpanBatch& all, const Policies& policies) {
  SpanBatch visible;
  for (const telemetry::BatchSpan& span : all.spans)
    if (shows(policies, all.attributes_of(all.resources[span.resource].attributes)))
      telemetry::copy_span(all, span, visible);
  return visible;
}

std::string text_of(const std::vector<traceql::NamedValue>& values) {
  std::string out;
  for (const traceql::NamedValue& value : values)
    out += fmt::format(" {}={}", value.key, traceql::format_static(value.value));
  return out;
}

std::string text_of(const traceql::SearchAnswer& answer) {
  std::string out;
  for (const traceql::FoundTrace& trace : answer.traces) {
    out += fmt::format("trace {:02x} root {} \"{}\" \"{}\" {}+{}\n",
                       fmt::join(trace.trace_id.bytes, ""), trace.has_root, trace.root_service,
                       trace.root_name, trace.start_ns, trace.duration_ns);
    for (const auto& [service, counts] : trace.services)
      out += fmt::format(" service {} {} {}\n", service, counts.spans, counts.errors);
    for (const traceql::FoundSpanset& set : trace.spansets) {
      out += fmt::format(" set {}{}\n", set.matched, text_of(set.attributes));
      for (const traceql::FoundSpan& span : set.spans)
        out += fmt::format("  span {:x} {} {}+{}{}\n", span.span_id, span.name, span.start_ns,
                           span.duration_ns, text_of(span.attributes));
    }
  }
  return out;
}

std::string text_of(const traceql::MetricsAnswer& answer) {
  std::string out;
  for (const traceql::MetricsSeries& series : answer.series) {
    out += text_of(series.labels);
    for (const auto& [time, value] : series.samples) out += fmt::format(" {}:{}", time, value);
    out += '\n';
  }
  return out;
}

/// A batch, what a policy shows of it, and both as sources.
struct Case {
  explicit Case(std::uint64_t seed) : random(seed), policies(random_policies(random)) {
    SpanBatch batch = traceql::testing::random_traces(seed, {.traces = 6});
    SpanBatch rest = visible_part(batch, policies);
    all = std::make_unique<MemorySource>(
        traceql::testing::one_batch(std::move(batch)),
        traceql::testing::MemorySourceOptions{.groups = 1 + seed % 3});
    expected = std::make_unique<MemorySource>(traceql::testing::one_batch(std::move(rest)),
                                              traceql::testing::MemorySourceOptions{});
    auto parsed = LabelPolicySet::parse(selectors_of(policies));
    EXPECT_TRUE(parsed) << parsed.error().message;
    visible = std::make_unique<VisibleSpans>(
        *all, VisibleSpans::Options{
                  .policies = std::make_shared<const LabelPolicySet>(*std::move(parsed))});
  }

  std::mt19937_64 random;
  Policies policies;
  std::unique_ptr<MemorySource> all;
  std::unique_ptr<MemorySource> expected;
  std::unique_ptr<VisibleSpans> visible;
};

/// The same text, or the same error.
template <class Answer>
void expect_equal(const Result<Answer>& seen, const Result<Answer>& expected) {
  ASSERT_EQ(seen.has_value(), expected.has_value());
  if (seen) {
    ASSERT_EQ(text_of(*seen), text_of(*expected));
  } else {
    ASSERT_EQ(seen.error().message, expected.error().message);
  }
}

TEST(VisibleSpansProperty, SearchAnswersAsIfTheRestHadNeverBeen) {
  const traceql::Engine engine({});
  for (const std::uint64_t seed : seeds(500)) {
    Case made(seed);
    const std::string text =
        traceql::testing::random_query(seed, traceql::testing::QueryKind::Search);
    const auto query = traceql::parse(text);
    ASSERT_TRUE(query) << text;
    SCOPED_TRACE(fmt::format("GANTRY_PROPERTY_SEED={} {} under {}", seed, text,
                             fmt::join(selectors_of(made.policies), " or ")));
    const traceql::SearchRequest request{.query = &*query,
                                         .limit = 1 + static_cast<std::uint32_t>(seed % 7),
                                         .spans_per_spanset = 20};
    expect_equal(engine.search(request, *made.visible, CancelToken()),
                 engine.search(request, *made.expected, CancelToken()));
    if (HasFatalFailure()) return;
  }
}

TEST(VisibleSpansProperty, MetricsAnswerAsIfTheRestHadNeverBeen) {
  const traceql::Engine engine({});
  for (const std::uint64_t seed : seeds(400)) {
    Case made(seed);
    const std::string text =
        traceql::testing::random_query(seed, traceql::testing::QueryKind::Metrics);
    const auto query = traceql::parse(text);
    ASSERT_TRUE(query) << text;
    SCOPED_TRACE(fmt::format("GANTRY_PROPERTY_SEED={} {} under {}", seed, text,
                             fmt::join(selectors_of(made.policies), " or ")));
    const traceql::MetricsRequest request{.query = &*query,
                                          .start_ns = kStart,
                                          .end_ns = kStart + 300'000'000'000,
                                          .step_ns = seed % 4 == 0 ? 0 : 60'000'000'000};
    expect_equal(engine.metrics(request, *made.visible, CancelToken()),
                 engine.metrics(request, *made.expected, CancelToken()));
    if (HasFatalFailure()) return;
  }
}

TEST(VisibleSpansProperty, TagsAnswerAsIfTheRestHadNeverBeen) {
  const traceql::Engine engine({});
  for (const std::uint64_t seed : seeds(150)) {
    Case made(seed);
    SCOPED_TRACE(fmt::format("GANTRY_PROPERTY_SEED={} under {}", seed,
                             fmt::join(selectors_of(made.policies), " or ")));
    const auto seen = engine.tag_names({}, *made.visible, CancelToken());
    const auto expected = engine.tag_names({}, *made.expected, CancelToken());
    ASSERT_TRUE(seen && expected);
    ASSERT_EQ(seen->scopes, expected->scopes);
    for (const char* name : {"resource.service.name", ".a", "span.b", "name", "rootName", "status",
                             "event:name", "rootServiceName"}) {
      const auto attribute = traceql::parse_identifier(name);
      ASSERT_TRUE(attribute) << name;
      const auto values =
          engine.tag_values({.attribute = &*attribute}, *made.visible, CancelToken());
      const auto others =
          engine.tag_values({.attribute = &*attribute}, *made.expected, CancelToken());
      ASSERT_TRUE(values && others);
      ASSERT_EQ(values->values, others->values) << name;
    }
  }
}

TEST(VisibleSpansProperty, TracesByIdHoldVisibleSpansOnly) {
  for (const std::uint64_t seed : seeds(150)) {
    Case made(seed);
    for (std::uint64_t number = 1; number <= 6; ++number) {
      const auto id = traceql::testing::trace_id(number);
      SpanBatch seen;
      SpanBatch expected;
      ASSERT_TRUE(made.visible->find_trace(id, 0, kForEver, CancelToken(), seen));
      ASSERT_TRUE(made.expected->find_trace(id, 0, kForEver, CancelToken(), expected));
      ASSERT_EQ(seen.spans.size(), expected.spans.size()) << "seed " << seed;
      for (std::size_t i = 0; i < seen.spans.size(); ++i) {
        EXPECT_EQ(seen.spans[i].span_id, expected.spans[i].span_id) << "seed " << seed;
        EXPECT_EQ(seen.spans[i].name, expected.spans[i].name) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace gantry::access
