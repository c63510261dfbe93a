#include "access/visible_spans.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "traceql/testing/any_value_encoder.h"
#include "traceql/testing/group_dump.h"
#include "traceql/testing/memory_source.h"
#include "traceql/testing/span_builder.h"

namespace gantry::access {
namespace {

using telemetry::SpanBatch;
using traceql::Static;
using traceql::testing::MemorySource;
using traceql::testing::SpanBuilder;

constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();

std::shared_ptr<const LabelPolicySet> policies(const std::vector<std::string>& selectors) {
  auto set = LabelPolicySet::parse(selectors);
  EXPECT_TRUE(set) << set.error().message;
  return std::make_shared<const LabelPolicySet>(*std::move(set));
}

/// Spans of team a and team b in one trace, and one that only b has.
SpanBatch two_teams() {
  SpanBuilder build;
  build.resource({{"team", Static::of_string("a")}, {"service.name", Static::of_string("front")}});
  build.span({.trace = 1, .id = 1, .name = "GET /", .start_ns = 100, .end_ns = 400});
  build.attribute("open", Static::of_string("yes"));
  build.resource({{"team", Static::of_string("b")}, {"service.name", Static::of_string("pay")}});
  build.span({.trace = 1,
              .id = 2,
              .parent = 1,
              .name = "charge",
              .start_ns = 110,
              .end_ns = 390,
              .status = telemetry::SpanStatus::Error,
              .status_message = "declined"});
  build.attribute("card", Static::of_string("4111"));
  build.event("exception", 120, {{"message", Static::of_string("no money")}});
  build.resource({{"team", Static::of_string("a")}, {"service.name", Static::of_string("front")}});
  build.span({.trace = 1, .id = 3, .parent = 2, .name = "render", .start_ns = 200, .end_ns = 300});
  build.resource({{"team", Static::of_string("b")}, {"service.name", Static::of_string("ledger")}});
  build.span({.trace = 2, .id = 4, .name = "book", .start_ns = 500, .end_ns = 600});
  return std::move(build).batch();
}

class VisibleSpansTest : public testing::Test {
 protected:
  VisibleSpansTest() : all(traceql::testing::one_batch(two_teams()), {.groups = 2}) {}

  std::vector<std::string> names(const traceql::SpanSource& source) {
    std::vector<std::string> names;
    auto snapshot = source.open({.end_ns = kForEver}, CancelToken());
    EXPECT_TRUE(snapshot);
    for (std::size_t i = 0; i < (*snapshot)->groups().size(); ++i) {
      auto group = (*snapshot)->open(i);
      EXPECT_TRUE(group);
      const auto column = (*group)->names();
      for (std::uint32_t row = 0; row < column->ids.size(); ++row)
        names.emplace_back(column->text(row));
    }
    std::ranges::sort(names);
    return names;
  }

  std::vector<std::string> names(const std::vector<std::string>& selectors) {
    return names(VisibleSpans(all, {.policies = policies(selectors)}));
  }

  SpanBatch trace(const VisibleSpans& source, std::uint64_t number) {
    SpanBatch batch;
    EXPECT_TRUE(
        source.find_trace(traceql::testing::trace_id(number), 0, kForEver, CancelToken(), batch));
    return batch;
  }

  MemorySource all;
};

using Names = std::vector<std::string>;

TEST_F(VisibleSpansTest, ShowsSpansByTheirResource) {
  EXPECT_EQ(names({R"({team="a"})"}), (Names{"GET /", "render"}));
  EXPECT_EQ(names({R"({team!="a"})"}), (Names{"book", "charge"}));
  EXPECT_EQ(names({R"({team="a"})", R"({service_name="ledger"})"}),
            (Names{"GET /", "book", "render"}));
  EXPECT_EQ(names({R"({team="b",service_name=~"p.*"})"}), Names{"charge"});
  EXPECT_EQ(names({R"({"service.name"="pay"})"}), Names{"charge"});
  EXPECT_EQ(names({R"({"resource.service.name"="pay"})"}), Names{"charge"});
  EXPECT_EQ(names({R"({nosuch=""})"}).size(), 4U) << "a missing attribute is the empty string";
  EXPECT_TRUE(names({R"({nosuch="x"})"}).empty());
  EXPECT_TRUE(names({R"({team="A"})"}).empty());
}

TEST_F(VisibleSpansTest, ComparesNumbersAndBooleansAsText) {
  SpanBuilder build;
  build.resource(
      {{"n", Static::of_int(200)}, {"f", Static::of_float(1.5)}, {"on", Static::of_bool(true)}});
  build.span({.trace = 1, .id = 1, .name = "x"});
  const MemorySource source(traceql::testing::one_batch(std::move(build)), {});
  for (const char* selector :
       {R"({n="200"})", R"({f="1.5"})", R"({on="true"})", R"({n!="201"})", R"({on!="false"})"})
    EXPECT_EQ(names(VisibleSpans(source, {.policies = policies({selector})})).size(), 1U)
        << selector;
  for (const char* selector : {R"({n="200.0"})", R"({on="1"})", R"({n!="200"})"})
    EXPECT_TRUE(names(VisibleSpans(source, {.policies = policies({selector})})).empty())
        << selector;
}

TEST_F(VisibleSpansTest, AnyElementOfAnArrayMatchesAndNoneMayBeExcluded) {
  SpanBuilder build;
  Static tags;
  tags.type = traceql::StaticType::StringArray;
  tags.elements = {Static::of_string("a"), Static::of_string("b")};
  build.resource({{"tags", tags}});
  build.span({.trace = 1, .id = 1, .name = "x"});
  const MemorySource source(traceql::testing::one_batch(std::move(build)), {});
  const auto shows = [&](const char* selector) {
    return !names(VisibleSpans(source, {.policies = policies({selector})})).empty();
  };
  EXPECT_TRUE(shows(R"({tags="a"})"));
  EXPECT_TRUE(shows(R"({tags=~"b|c"})"));
  EXPECT_TRUE(shows(R"({tags!="c"})"));
  EXPECT_FALSE(shows(R"({tags!="a"})")) << "a value to hide is among them";
  EXPECT_FALSE(shows(R"({tags="c"})"));
}

TEST_F(VisibleSpansTest, EqualsASourceThatNeverHadTheOthers) {
  const VisibleSpans visible(all, {.policies = policies({R"({team="a"})"})});
  SpanBuilder build;
  build.resource({{"team", Static::of_string("a")}, {"service.name", Static::of_string("front")}});
  build.span({.trace = 1, .id = 1, .name = "GET /", .start_ns = 100, .end_ns = 400});
  build.attribute("open", Static::of_string("yes"));
  build.span({.trace = 1, .id = 3, .parent = 2, .name = "render", .start_ns = 200, .end_ns = 300});
  const MemorySource expected(traceql::testing::one_batch(std::move(build)), {});

  std::string seen;
  auto snapshot = visible.open({.end_ns = kForEver}, CancelToken());
  ASSERT_TRUE(snapshot);
  for (std::size_t i = 0; i < (*snapshot)->groups().size(); ++i)
    seen += traceql::testing::dump(**(*snapshot)->open(i));
  auto other = expected.open({.end_ns = kForEver}, CancelToken());
  ASSERT_TRUE(other);
  EXPECT_EQ(seen, traceql::testing::dump(**(*other)->open(0)));
}

TEST_F(VisibleSpansTest, BoundsAllowForTracesThatStartLaterWithoutHiddenSpans) {
  SpanBuilder build;
  build.resource({{"team", Static::of_string("b")}});
  build.span({.trace = 1, .id = 1, .name = "hidden root", .start_ns = 1, .end_ns = 900});
  build.resource({{"team", Static::of_string("a")}});
  build.span({.trace = 1, .id = 2, .name = "late", .start_ns = 800, .end_ns = 900});
  build.span({.trace = 2, .id = 3, .name = "between", .start_ns = 500, .end_ns = 600});
  const MemorySource source(traceql::testing::one_batch(std::move(build)), {.groups = 2});
  const VisibleSpans visible(source, {.policies = policies({R"({team="a"})"})});
  auto snapshot = visible.open({.end_ns = kForEver}, CancelToken());
  ASSERT_TRUE(snapshot);
  const auto groups = (*snapshot)->groups();
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].trace_start_ns_max, 800);
  EXPECT_EQ(groups[1].trace_start_ns_max, 500);
  auto first = (*snapshot)->open(0);
  ASSERT_TRUE(first);
  EXPECT_EQ((*first)->names()->text(0), "late");
}

TEST_F(VisibleSpansTest, ATraceByIdHasVisibleSpansOnly) {
  const VisibleSpans visible(all, {.policies = policies({R"({team="a"})"})});
  const SpanBatch batch = trace(visible, 1);
  ASSERT_EQ(batch.spans.size(), 2U);
  EXPECT_EQ(batch.spans[0].name, "GET /");
  EXPECT_EQ(batch.spans[1].name, "render");
  for (const auto& attribute : batch.attributes) EXPECT_NE(attribute.value.text, "4111");
  EXPECT_TRUE(batch.events.empty());
  EXPECT_TRUE(trace(visible, 2).spans.empty());
}

TEST_F(VisibleSpansTest, SkeletonsSayNoMoreThanTheirPlace) {
  const auto options = [&](bool exposes) {
    return VisibleSpans::Options{.policies = policies({R"({team="a"})"}),
                                 .hidden_spans = HiddenSpans::Skeleton,
                                 .exposes_hidden_names = exposes};
  };
  const SpanBatch batch = trace(VisibleSpans(all, options(false)), 1);
  ASSERT_EQ(batch.spans.size(), 3U);
  const telemetry::BatchSpan& hidden = batch.spans[1];
  EXPECT_EQ(hidden.name, "hidden");
  EXPECT_EQ(hidden.span_id, 2U);
  EXPECT_EQ(hidden.parent_id, 1U);
  EXPECT_EQ(hidden.start_ns, 110U);
  EXPECT_EQ(hidden.end_ns, 390U);
  EXPECT_EQ(hidden.status, telemetry::SpanStatus::Error);
  EXPECT_EQ(hidden.status_message, "");
  EXPECT_EQ(hidden.attributes.count, 0U);
  EXPECT_EQ(hidden.events.count, 0U);
  EXPECT_EQ(batch.resources[hidden.resource].attributes.count, 0U);
  EXPECT_EQ(trace(VisibleSpans(all, options(true)), 1).spans[1].name, "charge");
  EXPECT_TRUE(trace(VisibleSpans(all, options(false)), 2).spans.empty())
      << "no skeleton of a trace without a visible span";
}

TEST_F(VisibleSpansTest, ALookbackHidesOlderSpans) {
  SpanBuilder build;
  build.span({.trace = 1, .id = 1, .name = "old", .start_ns = 1'000'000, .end_ns = 9'000'000});
  build.span({.trace = 1, .id = 2, .name = "new", .start_ns = 3'000'000, .end_ns = 4'000'000});
  const MemorySource source(traceql::testing::one_batch(std::move(build)), {});
  const VisibleSpans visible(source, {.earliest_ms = 2});
  EXPECT_EQ(names(visible), Names{"new"});
  EXPECT_EQ(trace(visible, 1).spans.size(), 1U);
}

TEST_F(VisibleSpansTest, AStoredPolicyThatSaysNothingOfResourcesShowsNothing) {
  EXPECT_TRUE(names({R"({__name__!="x"})"}).empty());
  EXPECT_TRUE(names({R"({"span.customer"!="x"})"}).empty());
  EXPECT_TRUE(
      trace(VisibleSpans(all, {.policies = policies({R"({__name__!="x"})"})}), 1).spans.empty());
}

TEST(CheckTracePolicies, TakesResourceAttributesOnly) {
  for (const char* selector :
       {R"({team="a"})", R"({"service.name"="x"})", R"({"resource.span.x"="y"})"})
    EXPECT_TRUE(check_trace_policies(*policies({selector}))) << selector;
  for (const char* selector :
       {R"({__name__="up"})", R"({"span.customer"="x"})", R"({"event.name"="x"})",
        R"({"link.x"="x"})", R"({"span:name"="x"})"}) {
    const auto checked = check_trace_policies(*policies({selector}));
    ASSERT_FALSE(checked) << selector;
    EXPECT_EQ(checked.error().code, Code::InvalidArgument);
  }
}

}  // namespace
}  // namespace gantry::access
