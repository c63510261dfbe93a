#include "gateway/generation_trace.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "codec/otlp_traces.h"
#include "codec/otlp_traces_encoder.h"
#include "gateway/testing/broadcast_cases.h"
#include "pipeline/privacy.h"

namespace gantry::gateway {
namespace {

using nlohmann::json;
using testing::differences;
using testing::expectation_form;

json trace_of(const Generation& generation, const GenerationExtras& extras = {}) {
  const TraceOptions options;
  telemetry::SpanBatch batch;
  build_trace(generation, options, extras, batch);
  return expectation_form(batch);
}

/// A span by its name.
json span_of(const json& trace, std::string_view name) {
  for (const json& span : trace.at("spans")) {
    if (span.at("name") == name) return span;
  }
  return {};
}

json value_of(const json& span, const std::string& key) {
  return span.at("attributes").value(key, json::object()).value("value", json());
}

std::vector<std::string> keys_with(const json& span, std::string_view part) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : span.at("attributes").items()) {
    if (key.find(part) != std::string::npos) keys.push_back(key);
  }
  return keys;
}

Generation served() {
  Generation generation;
  generation.id = "gen-1-a";
  generation.start_unix_ns = 1'000'000'000'000;
  generation.end_ms = 120.5;
  generation.requested_model = generation.served_model = "acme/one";
  generation.is_ok = true;
  Attempt attempt;
  attempt.provider_name = "Acme";
  attempt.sent_ms = 1.25;
  attempt.headers_ms = 100;
  attempt.body_end_ms = 120;
  attempt.status = 200;
  attempt.is_ok = true;
  generation.attempts.push_back(attempt);
  return generation;
}

GenerationExtras extras_of(const json& destination) {
  return {.cost = destination.at("broadcast_generation_cost"),
          .identity = destination.at("broadcast_generation_identity"),
          .request_context = destination.at("broadcast_generation_request_context")};
}

json decoded(codec::OtlpTracesDecoder& decoder, const Result<void>& result) {
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  EXPECT_EQ(decoder.outcome().message(), "");
  return expectation_form(decoder.batch());
}

TEST(GenerationTraceTest, IsWhatTheVectorsExpect) {
  int compared = 0;
  int bodies = 0;
  for (const std::string& name : testing::broadcast_case_names()) {
    const json example = testing::read_broadcast_json(name).value();
    const json& expected = example.at("expect");
    if (!expected.at("exported").get<bool>()) continue;
    const json& destination = example.at("destination");
    const Generation generation = testing::generation_of(example);
    const TraceOptions options = testing::options_of(example);
    telemetry::SpanBatch whole;
    build_trace(generation, options, extras_of(destination), whole);
    telemetry::SpanBatch view;
    if (destination.at("privacy_mode").get<bool>()) pipeline::make_privacy_view(whole, view);
    const telemetry::SpanBatch& batch = view.spans.empty() ? whole : view;
    const json form = expectation_form(batch);
    for (const json& key : expected.value("forbidden_attribute_keys", json::array())) {
      EXPECT_EQ(form.dump().find(key.dump()), std::string::npos) << name << key;
    }
    EXPECT_EQ(differences(expected, form), std::vector<std::string>()) << name;
    ++compared;

    // And on the wire.
    const std::string body = codec::encode_otlp_traces(batch);
    codec::OtlpTracesDecoder ours;
    const json sent = decoded(ours, ours.decode_protobuf(body, codec::kNoOtlpTracesLimits));
    EXPECT_EQ(differences(expected, sent), std::vector<std::string>()) << name;
    if (!expected.contains("otlp_json")) continue;
    const std::string wanted = testing::padded(expected.at("otlp_json").dump());
    codec::OtlpTracesDecoder theirs;
    const json told = decoded(theirs, theirs.decode_json(wanted, codec::kNoOtlpTracesLimits));
    EXPECT_EQ(differences(told, sent), std::vector<std::string>()) << name;
    ++bodies;
  }
  EXPECT_GE(compared, 32);
  EXPECT_GE(bodies, 6);
}

TEST(GenerationTraceTest, EveryCopyHasTheSameIds) {
  const Generation generation = served();
  GenerationExtras all{.cost = true, .identity = true, .request_context = true};
  const json first = trace_of(generation);
  const json second = trace_of(generation, all);
  ASSERT_EQ(first.at("spans").size(), second.at("spans").size());
  for (std::size_t i = 0; i < first.at("spans").size(); ++i) {
    for (const char* const id : {"trace_id", "span_id", "parent_span_id"}) {
      EXPECT_EQ(first.at("spans")[i].at(id), second.at("spans")[i].at(id));
    }
  }
}

TEST(GenerationTraceTest, ParentsComeFirstAndTimesAreInNanoseconds) {
  Generation generation = served();
  generation.context.trace_name = "root";
  generation.context.span_name = "step";
  const json trace = trace_of(generation);
  std::vector<std::string> names;
  for (const json& span : trace.at("spans")) names.push_back(span.at("name"));
  EXPECT_EQ(names, (std::vector<std::string>{"root", "step", "LLM Generation",
                                             "provider attempt 1: Acme", "generation"}));
  EXPECT_EQ(span_of(trace, "provider attempt 1: Acme").at("start_unix_nano"), "1000001250000");
  EXPECT_EQ(span_of(trace, "root").at("end_unix_nano"), "1000120500000");
  EXPECT_EQ(span_of(trace, "step").at("parent_span_id"), span_of(trace, "root").at("span_id"));
}

TEST(GenerationTraceTest, LeavesOutWhatIsUnknown) {
  Generation generation = served();
  generation.requested_model = "no-author";
  generation.served_model.clear();
  const json span = span_of(trace_of(generation), "LLM Generation");
  for (const char* const key :
       {"gen_ai.system", "gen_ai.response.model", "gen_ai.usage.input_tokens", "user.id",
        "session.id", "gen_ai.usage.total_cost", "server.address", "server.port", "gen_ai.prompt",
        "gen_ai.completion", "trace.metadata.gantry.tools_count", "error.type"}) {
    EXPECT_TRUE(value_of(span, key).is_null()) << key;
  }
}

TEST(GenerationTraceTest, SaysWhatWasAskedFor) {
  Generation generation = served();
  EXPECT_TRUE(keys_with(span_of(trace_of(generation), "LLM Generation"), "output.type").empty());
  generation.output_type = "json";
  generation.parameters.top_k = 40;
  const json span = span_of(trace_of(generation), "LLM Generation");
  EXPECT_EQ(value_of(span, "gen_ai.output.type"), "json");
  EXPECT_EQ(value_of(span, "gen_ai.request.top_k"), 40);
}

TEST(GenerationTraceTest, SendsAllPartsOfUsage) {
  Generation generation = served();
  generation.usage = Usage{.input = 100,
                           .output = 20,
                           .total = 120,
                           .cached = 30,
                           .cache_write = 40,
                           .cache_write_5m = 25,
                           .cache_write_1h = 15,
                           .reasoning = 5};
  const json span = span_of(trace_of(generation), "LLM Generation");
  EXPECT_EQ(value_of(span, "gen_ai.usage.input_tokens.cache_write"), 40);
  EXPECT_EQ(value_of(span, "gen_ai.usage.cache_creation.input_tokens"), 40);
  EXPECT_EQ(value_of(span, "gen_ai.usage.input_tokens.cache_write_5m"), 25);
  EXPECT_EQ(value_of(span, "gen_ai.usage.input_tokens.cache_write_1h"), 15);
  EXPECT_EQ(value_of(span, "gen_ai.usage.output_tokens.reasoning"), 5);
  EXPECT_EQ(value_of(span, "gen_ai.usage.reasoning.output_tokens"), 5);
  EXPECT_TRUE(keys_with(span, "cost").empty());
}

TEST(GenerationTraceTest, TrustsATotalWithoutItsParts) {
  Generation generation = served();
  generation.usage = Usage{.input = 1, .output = 1, .total = 2};
  generation.cost = Cost{.total = PicoUsd{5'000'000'000'000}};
  EXPECT_EQ(keys_with(span_of(trace_of(generation), "LLM Generation"), "_cost"),
            std::vector<std::string>{"gen_ai.usage.total_cost"});
  // Without usage a price means nothing.
  generation.usage.reset();
  generation.pricing.prices = Prices{};
  const json span = span_of(trace_of(generation, {.cost = true}), "LLM Generation");
  EXPECT_TRUE(keys_with(span, "cost").empty());
  EXPECT_TRUE(keys_with(span, "price").empty());
  EXPECT_TRUE(keys_with(span, "_generation.").empty());
}

TEST(GenerationTraceTest, AddsWhatADestinationAsksFor) {
  Generation generation = served();
  generation.usage = Usage{.input = 100, .output = 20, .total = 120, .cached = 30};
  generation.cost = Cost{.total = PicoUsd{2'000'000'000'000},
                         .cache_discount = PicoUsd{500'000'000'000},
                         .upstream = PicoUsd{1'000'000'000'000}};
  generation.context.user_id = "u";
  generation.creator_user_id = "c";
  generation.workspace_id = "w";
  generation.user_agent = "curl";
  generation.http_referer = "https://app";
  generation.origin = "https://origin";
  const std::string prefix = "span.metadata.gantry_generation.";
  const json cost = span_of(trace_of(generation, {.cost = true}), "LLM Generation");
  EXPECT_EQ(value_of(cost, prefix + "usage"), 2.0);
  EXPECT_EQ(value_of(cost, prefix + "usage_upstream"), 1.0);
  EXPECT_EQ(value_of(cost, prefix + "usage_cache"), 0.5);
  EXPECT_EQ(value_of(cost, prefix + "tokens_prompt"), 100);
  EXPECT_EQ(value_of(cost, prefix + "tokens_completion"), 20);
  EXPECT_EQ(keys_with(cost, prefix).size(), 5U);
  const json identity = span_of(trace_of(generation, {.identity = true}), "LLM Generation");
  EXPECT_EQ(value_of(identity, prefix + "external_user"), "u");
  EXPECT_EQ(value_of(identity, prefix + "creator_user_id"), "c");
  EXPECT_EQ(value_of(identity, prefix + "workspace_id"), "w");
  EXPECT_EQ(keys_with(identity, prefix).size(), 3U);
  const json context = span_of(trace_of(generation, {.request_context = true}), "LLM Generation");
  EXPECT_EQ(value_of(context, prefix + "user_agent"), "curl");
  EXPECT_EQ(value_of(context, prefix + "http_referer"), "https://app");
  EXPECT_EQ(value_of(context, prefix + "origin"), "https://origin");
  EXPECT_EQ(value_of(context, prefix + "api_type"), "completions");
  EXPECT_EQ(value_of(context, prefix + "streamed"), false);
  EXPECT_EQ(value_of(context, prefix + "cancelled"), false);
  EXPECT_EQ(keys_with(context, prefix).size(), 6U);
}

TEST(GenerationTraceTest, ACallThatTheClientLeftIsAnError) {
  Generation generation = served();
  generation.is_ok = false;
  generation.is_cancelled = true;
  generation.error_type = "client_disconnected";
  generation.error_message = "The client has disconnected";
  generation.attempts[0].body_end_ms.reset();
  const json trace = trace_of(generation);
  const json body = span_of(trace, "generation");
  EXPECT_EQ(body.at("end_unix_nano"), "1000120500000");
  EXPECT_EQ(body.at("status").at("code"), 2);
  EXPECT_EQ(span_of(trace, "provider attempt 1: Acme").at("status").at("code"), 1);
  EXPECT_EQ(span_of(trace, "LLM Generation").at("events").size(), 1U);
}

TEST(GenerationTraceTest, AnAttemptWithoutAnyAnswerEndsWithTheCall) {
  Generation generation = served();
  generation.is_ok = false;
  generation.attempts[0] = Attempt{.provider_name = "Acme", .sent_ms = 5};
  const json trace = trace_of(generation);
  EXPECT_EQ(span_of(trace, "provider attempt 1: Acme").at("end_unix_nano"), "1000120500000");
  EXPECT_EQ(trace.at("spans").size(), 2U);
}

TEST(GenerationTraceTest, MarksWhatWasCut) {
  Generation generation = served();
  generation.prompt = {.json = "{\"pro", .is_cut = true};
  generation.completion = {.json = "{\"com", .is_cut = true};
  const json span = span_of(trace_of(generation), "LLM Generation");
  EXPECT_EQ(value_of(span, "gen_ai.prompt.truncated"), true);
  EXPECT_EQ(value_of(span, "gen_ai.completion.truncated"), true);
}

TEST(GenerationTraceTest, RepairsTextThatIsNotUtf8) {
  Generation generation = served();
  generation.is_ok = false;
  generation.error_message = "bad \xff";
  generation.attempts[0].provider_name = "A\xff";
  const json trace = trace_of(generation);
  EXPECT_EQ(span_of(trace, "LLM Generation").at("status").at("message"), "bad \uFFFD");
  EXPECT_FALSE(span_of(trace, "provider attempt 1: A\uFFFD").is_null());
}

TEST(GenerationTraceTest, OneChoiceGoesWithoutSaying) {
  Generation generation = served();
  generation.parameters.choice_count = 1;
  EXPECT_TRUE(
      value_of(span_of(trace_of(generation), "LLM Generation"), "gen_ai.request.choice.count")
          .is_null());
}

}  // namespace
}  // namespace gantry::gateway
