#include "pipeline/content_keys.h"

#include <string>

#include <gtest/gtest.h>

namespace gantry::pipeline {
namespace {

TEST(ContentKeys, AreThoseOfTheConventions) {
  for (const std::string_view key :
       {"gen_ai.prompt",
        "gen_ai.prompt.0.content",
        "gen_ai.prompt.truncated",
        "gen_ai.prompt.variable.user_name",
        "gen_ai.completion",
        "gen_ai.completion.0.tool_calls.1.arguments",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.evaluation.explanation",
        "span.input",
        "span.output",
        "trace.input",
        "trace.output",
        "input.value",
        "output.value",
        "llm.input_messages.0.message.content",
        "llm.input_messages.12.message.contents.3.message_content.text",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
        "retrieval.documents.0.document.content",
        "embedding.embeddings.0.embedding.vector",
        "trace.evaluations.0.evaluation.explanation",
        "ai.prompt",
        "ai.prompt.messages",
        "ai.response.text",
        "ai.response.toolCalls",
        "ai.result.object",
        "ai.toolCall.args",
        "ai.values",
        "input",
        "output",
        "genkit:input",
        "exception.stacktrace",
        "http.request.body"}) {
    EXPECT_EQ(classify_key(key), KeyClass::Content) << key;
    EXPECT_TRUE(is_content_key(key)) << key;
  }
}

TEST(ContentKeys, AreNotTheirNeighbours) {
  for (const std::string_view key : {"",
                                     ".",
                                     "gen_ai",
                                     "gen_ai.",
                                     "gen_ai.promp",
                                     "gen_ai.prompts",
                                     "gen_ai.prompt-id",
                                     "gen_ai.prompt.name",
                                     "gen_ai.prompt.version",
                                     "gen_ai.usage.input_tokens",
                                     "gen_ai.usage.input_tokens.cached",
                                     "gen_ai.usage.total_cost",
                                     "gen_ai.request.model",
                                     "gen_ai.request.stop_sequences",
                                     "gen_ai.request.messages.original_length",
                                     "gen_ai.response.finish_reasons",
                                     "gen_ai.response.time_to_first_chunk",
                                     "gen_ai.tool.name",
                                     "gen_ai.tool.call.id",
                                     "gen_ai.conversation.id",
                                     "gen_ai.evaluation.score.value",
                                     "span.type",
                                     "span.level",
                                     "span.metadata.attempt_index",
                                     "trace.name",
                                     "trace.metadata.environment",
                                     "trace.metadata.input",
                                     "trace.metadata.gantry.first_token_ms",
                                     "user.id",
                                     "session.id",
                                     "input.mime_type",
                                     "llm.token_count.prompt",
                                     "llm.token_count.prompt_details.cache_read",
                                     "llm.cost.completion",
                                     "llm.model_name",
                                     "retrieval.document",
                                     "ai.prompt.format",
                                     "ai.model.id",
                                     "ai.response.msToFinish",
                                     "ai.usage.promptTokens",
                                     "ai.telemetry.metadata.team",
                                     "ai.value.count",
                                     "inputs",
                                     "http.request.body.size",
                                     "exception.escaped",
                                     "server.address",
                                     "service.name"}) {
    EXPECT_EQ(classify_key(key), KeyClass::Plain) << key;
  }
}

TEST(ContentKeys, TellErrorTextsFromErrorTypes) {
  for (const std::string_view key :
       {"exception.message", "span.status_message", "error.message", "otel.status_description"})
    EXPECT_EQ(classify_key(key), KeyClass::ErrorText) << key;
  for (const std::string_view key : {"exception.type", "error.type", "error"})
    EXPECT_EQ(classify_key(key), KeyClass::ErrorType) << key;
}

TEST(ContentKeys, AreFoundByEachRule) {
  EXPECT_GT(key_rules().size(), 100U);
  for (const KeyRule& rule : key_rules()) {
    const std::string name(rule.name);
    EXPECT_EQ(classify_key(name), rule.key_class) << name;
    EXPECT_EQ(classify_key(name + ".0.x"), rule.below ? rule.key_class : KeyClass::Plain) << name;
    EXPECT_EQ(classify_key(name + "_x"), KeyClass::Plain) << name;
    EXPECT_EQ(classify_key("x." + name), KeyClass::Plain) << name;
  }
}

TEST(ContentKeys, InsideListsGoByPathOrByTheirFullName) {
  EXPECT_TRUE(is_nested_content_key("gen_ai.prompt", "prompt"));
  EXPECT_TRUE(is_nested_content_key("span.status_message", "status_message"));
  EXPECT_TRUE(is_nested_content_key("metadata.gen_ai.prompt.0", "gen_ai.prompt.0"));
  EXPECT_TRUE(is_nested_content_key("metadata.exception.message", "exception.message"));
  EXPECT_FALSE(is_nested_content_key("metadata.input", "input"));
  EXPECT_FALSE(is_nested_content_key("metadata.error.type", "error.type"));
  EXPECT_FALSE(is_nested_content_key("metadata.team", "team"));
}

TEST(ContentEvents, AreThoseOfTheOlderMessageForm) {
  for (const std::string_view name :
       {"gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message",
        "gen_ai.tool.message", "gen_ai.choice", "gen_ai.content.prompt",
        "gen_ai.content.completion", "gen_ai.client.inference.operation.details"})
    EXPECT_TRUE(is_content_event(name)) << name;
  for (const std::string_view name :
       {"", "exception", "gen_ai.choices", "log.message", "gen_ai", "gen_ai.evaluation.result",
        "ai.stream.firstChunk", "gen_ai.client.operation.exception"})
    EXPECT_FALSE(is_content_event(name)) << name;
}

}  // namespace
}  // namespace gantry::pipeline
