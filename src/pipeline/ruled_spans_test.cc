#include "pipeline/ruled_spans.h"

#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/otlp_traces_encoder.h"
#include "pipeline/sampling.h"
#include "pipeline/testing/spans.h"
#include "pipeline/testing/twin_batch.h"
#include "pipeline/trace_groups.h"

namespace gantry::pipeline {
namespace {

using telemetry::SpanBatch;
using testing::SpanBatchBuilder;

constexpr StackId kStack{1'000'000};

StackRules rules_of(std::string_view json) {
  const auto body = StackRulesBody::parse(json);
  EXPECT_TRUE(body);
  auto rules = body->apply({});
  EXPECT_TRUE(rules) << (rules ? "" : rules.error().message);
  return rules ? *std::move(rules) : StackRules();
}

std::vector<std::string> names_of(const SpanBatch& batch) {
  std::vector<std::string> names;
  for (const auto& span : batch.spans) names.emplace_back(span.name);
  return names;
}

using Names = std::vector<std::string>;

constexpr std::string_view kOnlyGpt =
    R"({"filter_rules":{"groups":[{"logic":"and","rules":[)"
    R"({"field":"model","operator":"starts_with","value":"gpt"}]}]}})";

TEST(RuledSpans, WithoutRulesTheBatchItselfIsKept) {
  SpanBatchBuilder build;
  build.resource({}).span({.name = "a"});
  TraceSessions sessions;
  const RuledSpans ruled(StackRules(), kStack, sessions, build.batch());
  EXPECT_EQ(&ruled.kept(), &build.batch());
  EXPECT_TRUE(ruled.sampled_out().spans.empty());
  EXPECT_EQ(ruled.filtered_count(), 0U);
}

TEST(RuledSpans, FiltersWholeTraces) {
  SpanBatchBuilder build;
  build.resource({})
      .span({.trace = 1, .name = "root"})
      .span({.trace = 2, .name = "other", .attributes = {{"gen_ai.request.model", "claude"}}})
      .span({.trace = 1, .name = "call", .attributes = {{"gen_ai.request.model", "gpt-5"}}})
      .span({.trace = 3, .name = "plain"});
  TraceSessions sessions;
  const RuledSpans ruled(rules_of(kOnlyGpt), kStack, sessions, build.batch());
  EXPECT_EQ(names_of(ruled.kept()), (Names{"root", "call"}));
  EXPECT_EQ(ruled.filtered_count(), 2U);
  EXPECT_TRUE(ruled.sampled_out().spans.empty()) << "filtered spans count nowhere";
}

TEST(RuledSpans, EditsAttributesAndLetsNoContentEscapeByAnotherName) {
  SpanBatchBuilder build;
  build.resource({}).span(
      {.name = "a", .attributes = {{"gen_ai.prompt", testing::kMarker}, {"user.id", "u"}}});
  constexpr std::string_view kRules =
      R"("attribute_rules":[{"action":"rename","key":"gen_ai.prompt","new_key":"saved"},)"
      R"({"action":"rename","key":"user.id","new_key":"who"}])";
  TraceSessions sessions;
  const auto encoded = [&](std::string_view privacy) {
    const RuledSpans ruled(rules_of(fmt::format("{{{}{}}}", kRules, privacy)), kStack, sessions,
                           build.batch());
    return codec::encode_otlp_traces(ruled.kept());
  };
  EXPECT_TRUE(encoded("").contains("saved") && encoded("").contains(testing::kMarker));
  const std::string hidden = encoded(R"(,"privacy_mode":true)");
  EXPECT_TRUE(hidden.contains("who"));
  EXPECT_FALSE(hidden.contains("user.id") || hidden.contains(testing::kMarker)) << hidden;
}

TEST(RuledSpans, KeepsTheBytesOfARequestThatPassesWhole) {
  SpanBatchBuilder build;
  build.resource({}).span({.name = "a", .attributes = {{"gen_ai.request.model", "gpt-5"}}});
  TraceSessions sessions;
  const RuledSpans ruled(rules_of(kOnlyGpt), kStack, sessions, build.batch());
  EXPECT_EQ(&ruled.kept(), &build.batch());
}

/// A trace id whose fate at this rate is known.
std::uint64_t trace_that_is(bool is_kept, double rate) {
  for (std::uint64_t trace = 1;; ++trace) {
    SpanBatchBuilder build;
    build.resource({}).span({.trace = trace});
    const std::string key = trace_id_hex(build.batch().spans.front().trace_id);
    if (is_sampled(std::to_string(kStack.value()), key, rate) == is_kept) return trace;
  }
}

TEST(RuledSpans, SamplesByTheStackAndTheTrace) {
  const StackRules rules = rules_of(R"({"sampling_rate":0.5})");
  SpanBatchBuilder build;
  build.resource({})
      .span({.trace = trace_that_is(true, 0.5), .name = "kept"})
      .span({.trace = trace_that_is(false, 0.5), .name = "left out"});
  TraceSessions sessions;
  const RuledSpans ruled(rules, kStack, sessions, build.batch());
  EXPECT_EQ(names_of(ruled.kept()), Names{"kept"});
  EXPECT_EQ(names_of(ruled.sampled_out()), Names{"left out"});
}

TEST(RuledSpans, TheSessionOfTheFirstSpansHoldsForThoseThatComeLater) {
  const StackRules rules = rules_of(R"({"sampling_rate":0.5})");
  std::string kept_session;
  for (int i = 0; kept_session.empty(); ++i)
    if (is_sampled("1000000", "s" + std::to_string(i), 0.5)) kept_session = "s" + std::to_string(i);
  const std::uint64_t trace = trace_that_is(false, 0.5);
  TraceSessions sessions;
  SpanBatchBuilder first;
  first.resource({}).span(
      {.trace = trace, .name = "first", .attributes = {{"session.id", kept_session}}});
  EXPECT_EQ(names_of(RuledSpans(rules, kStack, sessions, first.batch()).kept()), Names{"first"});
  SpanBatchBuilder second;
  second.resource({}).span({.trace = trace, .id = 2, .name = "second"});
  EXPECT_EQ(names_of(RuledSpans(rules, kStack, sessions, second.batch()).kept()), Names{"second"});
}

TEST(RuledSpans, WhatIsLeftIsForTheSizeOfTheRequest) {
  SpanBatchBuilder build;
  build.resource({})
      .span({.trace = trace_that_is(true, 0.5)})
      .span({.trace = trace_that_is(false, 0.5)});
  SpanBatch batch;
  share_parts(build.batch(), batch);
  batch.spans = build.batch().spans;
  batch.body_bytes = 1234;
  TraceSessions sessions;
  const StackRules rules = rules_of(R"({"sampling_rate":0.5,"privacy_mode":true})");
  EXPECT_EQ(RuledSpans(rules, kStack, sessions, batch).kept().body_bytes, 1234U);
}

RC_GTEST_PROP(RuledSpans, PrivacyLeavesNoContentWhetherSpansAreStoredOrCounted, ()) {
  const testing::TwinBatch twins;
  StackRules rules;
  rules.is_private = true;
  rules.sampling_rate = *rc::gen::element(1.0, 0.5, 0.0001);
  TraceSessions sessions;
  const RuledSpans ruled(rules, kStack, sessions, twins.planted());
  RC_ASSERT(!codec::encode_otlp_traces(ruled.kept()).contains(testing::kMarker));
  RC_ASSERT(!codec::encode_otlp_traces(ruled.sampled_out()).contains(testing::kMarker));
  RC_ASSERT(ruled.kept().spans.size() + ruled.sampled_out().spans.size() ==
            twins.planted().spans.size());
  if (rules.sampling_rate == 1.0)
    RC_ASSERT(codec::encode_otlp_traces(ruled.kept()) ==
              codec::encode_otlp_traces(twins.expected()));
}

RC_GTEST_PROP(RuledSpans, ATraceHasOneFateHoweverItsSpansCome, ()) {
  StackRules rules;
  rules.sampling_rate = 0.5;
  TraceSessions sessions;
  std::set<telemetry::TraceId> kept;
  std::set<telemetry::TraceId> left_out;
  const auto requests = *rc::gen::container<std::vector<std::vector<std::uint8_t>>>(
      rc::gen::arbitrary<std::vector<std::uint8_t>>());
  for (const auto& traces : requests) {
    SpanBatchBuilder build;
    build.resource({});
    for (const std::uint8_t trace : traces) build.span({.trace = trace + 1U});
    const RuledSpans ruled(rules, kStack, sessions, build.batch());
    for (const auto& span : ruled.kept().spans) kept.insert(span.trace_id);
    for (const auto& span : ruled.sampled_out().spans) left_out.insert(span.trace_id);
  }
  for (const telemetry::TraceId& trace : kept) RC_ASSERT(!left_out.contains(trace));
}

}  // namespace
}  // namespace gantry::pipeline
