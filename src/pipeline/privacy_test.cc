#include "pipeline/privacy.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "codec/otlp_traces_encoder.h"
#include "pipeline/testing/spans.h"
#include "pipeline/testing/twin_batch.h"

namespace gantry::pipeline {
namespace {

using telemetry::AttributeValue;
using telemetry::SpanBatch;
using testing::kMarker;
using testing::SpanBatchBuilder;
using testing::SpanSpec;
using testing::TextAttributes;

/// Of one list, in order: "key=text", or "key" for values that are no text.
std::string list_text(const SpanBatch& batch, telemetry::BatchSlice list) {
  std::string text;
  for (const telemetry::SpanAttribute& attribute : batch.attributes_of(list)) {
    text.append(text.empty() ? "" : " ").append(attribute.key);
    if (attribute.value.kind == AttributeValue::Kind::String)
      text.append("=").append(attribute.value.text);
  }
  return text;
}

/// What is left of one span with these attributes.
std::string span_list(const TextAttributes& attributes) {
  SpanBatchBuilder builder;
  builder.resource({}).span(SpanSpec{.attributes = attributes});
  SpanBatch out;
  make_privacy_view(builder.batch(), out);
  return list_text(out, out.spans.at(0).attributes);
}

RC_GTEST_PROP(PrivacyView, LeavesNoByteOfContentAndAllElse, ()) {
  const testing::TwinBatch twins;
  SpanBatch view;
  make_privacy_view(twins.planted(), view);
  const std::string encoded = codec::encode_otlp_traces(view);
  RC_ASSERT(!encoded.contains(kMarker));
  RC_ASSERT(encoded == codec::encode_otlp_traces(twins.expected()));
  // Where no span refers to as well.
  for (const telemetry::SpanAttribute& attribute : view.attributes)
    RC_ASSERT(!attribute.value.text.contains(kMarker));

  SpanBatch again;
  make_privacy_view(view, again);
  RC_ASSERT(codec::encode_otlp_traces(again) == encoded);
}

TEST(PrivacyView, KeepsWhatIsCounted) {
  EXPECT_EQ(span_list({{"gen_ai.request.model", "openai/gpt-4o"},
                       {"gen_ai.prompt", "secret"},
                       {"user.id", "user_1"},
                       {"gen_ai.completion", "secret"},
                       {"llm.input_messages.0.message.content", "secret"},
                       {"trace.metadata.environment", "production"}}),
            "gen_ai.request.model=openai/gpt-4o user.id=user_1 "
            "trace.metadata.environment=production");
}

TEST(PrivacyView, PutsTheErrorTypeForErrorTexts) {
  EXPECT_EQ(span_list({{"span.status_message", "Flagged input: \"my secret plan\""},
                       {"error.type", "content_policy_violation"}}),
            "span.status_message=content_policy_violation error.type=content_policy_violation");
  EXPECT_EQ(span_list({{"exception.message", "secret"}, {"exception.type", "ValueError"}}),
            "exception.message=ValueError exception.type=ValueError");
  EXPECT_EQ(span_list({{"exception.type", "ValueError"},
                       {"error.type", "timeout"},
                       {"exception.message", "secret"}}),
            "exception.type=ValueError error.type=timeout exception.message=timeout");
  EXPECT_EQ(span_list({{"exception.message", "secret"}, {"exception.stacktrace", "secret"}}),
            "exception.message=_OTHER");
  EXPECT_EQ(span_list({{"error.type", "my secret plan"}, {"error.message", "secret"}}),
            "error.type=_OTHER error.message=_OTHER");
  EXPECT_EQ(span_list({{"error.type", "_OTHER"},
                       {"exception.type", "ValueError"},
                       {"exception.message", "secret"}}),
            "error.type=_OTHER exception.type=ValueError exception.message=ValueError");
  EXPECT_EQ(span_list({{"error", "true"}}), "error=true");
}

TEST(PrivacyView, TakesOnlyWordsForErrorTypes) {
  for (const std::string_view word :
       {"500", "timeout", "java.lang.NullPointerException", "*url.Error", "std::bad_alloc",
        "List<int>", "anthropic.RateLimitError"})
    EXPECT_EQ(span_list({{"error.type", word}}), "error.type=" + std::string(word));
  for (const std::string& text :
       {std::string(), std::string("two words"), std::string("a\nb"), std::string("\"quoted\""),
        std::string("{json}"), std::string("gr\xc3\xbcn"), std::string(129, 'a')})
    EXPECT_EQ(span_list({{"error.type", text}}), "error.type=_OTHER") << text;
  EXPECT_EQ(span_list({{"error.type", std::string(128, 'a')}}),
            "error.type=" + std::string(128, 'a'));
}

/// One span with an exception.
SpanBatch failed_batch() {
  SpanBatchBuilder builder;
  builder.resource({{"service.name", "shop"}})
      .span(SpanSpec{.name = "chat", .status = telemetry::SpanStatus::Error});
  SpanBatch batch;
  telemetry::copy_span(builder.batch(), builder.batch().spans[0], batch);
  telemetry::BatchSpan& span = batch.spans[0];
  span.status_message = "Flagged input: secret";
  span.events = {.begin = 0, .count = 2};
  const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
  const auto add = [&](std::string_view key, std::string_view text) {
    batch.attributes.push_back(
        {.key = key, .value = {.kind = AttributeValue::Kind::String, .text = text}});
  };
  add("content", "secret");
  add("exception.message", "Flagged input: secret");
  add("exception.type", "openai.BadRequestError");
  batch.events = {{.time_ns = 1, .name = "gen_ai.user.message", .attributes = {begin, 1}},
                  {.time_ns = 2, .name = "exception", .attributes = {begin + 1, 2}}};
  return batch;
}

TEST(PrivacyView, TakesTheTypeOfTheExceptionWhenTheSpanHasNone) {
  const SpanBatch batch = failed_batch();
  SpanBatch view;
  make_privacy_view(batch, view);
  ASSERT_EQ(view.spans.size(), 1U);
  EXPECT_EQ(view.spans[0].status_message, "openai.BadRequestError");
  ASSERT_EQ(view.events_of(view.spans[0]).size(), 1U);
  EXPECT_EQ(list_text(view, view.events[0].attributes),
            "exception.message=openai.BadRequestError exception.type=openai.BadRequestError");
}

TEST(PrivacyView, EmptiesTheMessageOfASpanThatDidNotFail) {
  SpanBatch batch = failed_batch();
  batch.spans[0].status = telemetry::SpanStatus::Ok;
  SpanBatch view;
  make_privacy_view(batch, view);
  EXPECT_EQ(view.spans[0].status_message, "");
}

TEST(PrivacyView, DropsListsThatHoldContentAndWhatCannotBeRead) {
  SpanBatch batch = failed_batch();
  const auto begin = static_cast<std::uint32_t>(batch.attributes.size());
  const auto add = [&](std::string_view key, const std::string& encoded) {
    batch.attributes.push_back({.key = key, .value = {.text = batch.arena.copy(encoded)}});
  };
  const std::string secret = testing::encoded_text("secret");
  add("a", testing::encoded_map("team", secret));
  add("b", testing::encoded_map("gen_ai.prompt", secret));
  add("gen_ai", testing::encoded_map("completion", secret));
  add("c", testing::encoded_array(secret));
  add("d", "\x2a\x05");
  add("e", "");
  batch.spans[0].attributes = {begin, 6};
  SpanBatch view;
  make_privacy_view(batch, view);
  EXPECT_EQ(list_text(view, view.spans[0].attributes), "a c e");
}

TEST(PrivacyView, SharesTextsAndForgetsTheEncodedForm) {
  SpanBatch batch = failed_batch();
  batch.otlp = "secret";
  batch.body_bytes = 42;
  SpanBatch view;
  view.otlp = "old";
  view.spans.resize(7);
  view.attributes.resize(7);
  make_privacy_view(batch, view);
  EXPECT_EQ(view.otlp, "");
  EXPECT_EQ(view.body_bytes, 42U);
  ASSERT_EQ(view.spans.size(), 1U);
  EXPECT_EQ(view.spans[0].name.data(), batch.spans[0].name.data());
  EXPECT_EQ(view.arena.allocated_bytes(), 0U);
  EXPECT_EQ(list_text(view, view.resources[0].attributes), "service.name=shop");
}

}  // namespace
}  // namespace gantry::pipeline
