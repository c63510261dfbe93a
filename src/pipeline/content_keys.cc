#include "pipeline/content_keys.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>

namespace gantry::pipeline {
namespace {

constexpr KeyRule whole(std::string_view name) {
  return {.name = name, .below = true};
}

constexpr KeyRule only(std::string_view name) {
  return {.name = name};
}

constexpr KeyRule error_text(std::string_view name) {
  return {.name = name, .key_class = KeyClass::ErrorText};
}

constexpr KeyRule error_type(std::string_view name) {
  return {.name = name, .key_class = KeyClass::ErrorType};
}

/// As strings compare, but a dot comes before everything: names below a name then follow it without
/// others between them ("a", "a.b", "a-b").
constexpr bool comes_before(std::string_view a, std::string_view b) {
  const auto rank = [](char c) { return c == '.' ? 0 : static_cast<unsigned char>(c) + 1; };
  const std::size_t size = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return rank(a[i]) < rank(b[i]);
  }
  return a.size() < b.size();
}

constexpr bool is_below(std::string_view key, std::string_view name) {
  return key.size() > name.size() && key[name.size()] == '.' && key.starts_with(name);
}

template <std::size_t kCount>
consteval auto sorted(std::array<KeyRule, kCount> rules) {
  std::ranges::sort(rules, comes_before, &KeyRule::name);
  return rules;
}

/// Indexed messages (gen_ai.prompt.0.content, llm.input_messages.0.message.content) and marks of
/// cut values (gen_ai.prompt.truncated) are below their name.
constexpr auto kRules = sorted(std::to_array<KeyRule>({
    // OpenTelemetry semantic conventions, gen-ai registry: what is opt-in because it may be
    // sensitive, in 1.41 and in development (semantic-conventions-genai), and older forms.
    whole("gen_ai.prompt"),
    whole("gen_ai.completion"),
    whole("gen_ai.input.messages"),
    whole("gen_ai.output.messages"),
    whole("gen_ai.system_instructions"),
    whole("gen_ai.tool.definitions"),
    whole("gen_ai.tool_definitions"),
    whole("gen_ai.tool.call.arguments"),
    whole("gen_ai.tool.call.result"),
    whole("gen_ai.retrieval.query.text"),
    whole("gen_ai.retrieval.documents"),
    whole("gen_ai.memory.query.text"),
    whole("gen_ai.memory.records"),
    whole("gen_ai.evaluation.input"),
    // Azure AI Inference and others: the body of a message as an attribute of its event.
    whole("gen_ai.event.content"),
    // Broadcast's copies of prompt and completion.
    whole("span.input"),
    whole("span.output"),
    whole("trace.input"),
    whole("trace.output"),
    // OpenInference semantic conventions (Arize). Invocation parameters can hold instructions and
    // tools.
    whole("input.value"),
    whole("output.value"),
    whole("llm.input_messages"),
    whole("llm.output_messages"),
    whole("llm.prompts"),
    whole("llm.completions"),
    whole("llm.choices"),
    whole("llm.function_call"),
    whole("llm.invocation_parameters"),
    whole("llm.prompt_template.template"),
    whole("llm.prompt_template.variables"),
    whole("llm.tools"),
    whole("message.content"),
    whole("message.contents"),
    whole("message.function_call_arguments_json"),
    whole("message.tool_calls"),
    whole("message_content"),
    whole("prompt.text"),
    whole("completion.text"),
    whole("document.content"),
    whole("document.metadata"),
    whole("retrieval.documents"),
    whole("reranker.query"),
    whole("reranker.input_documents"),
    whole("reranker.output_documents"),
    whole("embedding.embeddings"),
    whole("embedding.text"),
    whole("embedding.vector"),
    whole("tool.parameters"),
    whole("tool.json_schema"),
    whole("tool_call.function.arguments"),
    whole("image.url"),
    whole("audio.url"),
    whole("audio.transcript"),
    // Vercel AI SDK, "Telemetry", collected data; ai.result.* until version 4.
    whole("ai.prompt"),
    whole("ai.response.text"),
    whole("ai.response.reasoning"),
    whole("ai.response.object"),
    whole("ai.response.toolCalls"),
    whole("ai.response.files"),
    whole("ai.response.providerMetadata"),
    whole("ai.result"),
    whole("ai.toolCall.args"),
    whole("ai.toolCall.result"),
    whole("ai.schema"),
    only("ai.value"),
    only("ai.values"),
    only("ai.embedding"),
    only("ai.embeddings"),
    // OpenLLMetry (Traceloop), opentelemetry-semantic-conventions-ai; its vector database events.
    whole("traceloop.entity.input"),
    whole("traceloop.entity.output"),
    whole("traceloop.prompt.template"),
    whole("traceloop.prompt.template_variables"),
    whole("llm.request.functions"),
    whole("mcp.request.argument"),
    whole("mcp.response.value"),
    whole("db.query.embeddings.vector"),
    whole("db.query.result.document"),
    whole("db.query.result.metadata"),
    whole("db.query.result.vector"),
    whole("db.search.embeddings.vector"),
    whole("db.search.result.entity"),
    // Langfuse SDKs, and the names that Langfuse's receiver takes for input and output of others:
    // Pydantic AI and Logfire, Google ADK, LiveKit, MLflow, Genkit, Flue.
    whole("langfuse.observation.input"),
    whole("langfuse.observation.output"),
    whole("langfuse.trace.input"),
    whole("langfuse.trace.output"),
    whole("langfuse.experiment.item.expected_output"),
    only("input"),
    only("output"),
    only("prompt"),
    only("events"),
    only("all_messages_events"),
    only("final_result"),
    only("tool_arguments"),
    only("tool_response"),
    only("request_data"),
    only("response_data"),
    whole("pydantic_ai.all_messages"),
    whole("gcp.vertex.agent.data"),
    whole("gcp.vertex.agent.llm_request"),
    whole("gcp.vertex.agent.llm_response"),
    whole("gcp.vertex.agent.tool_call_args"),
    whole("gcp.vertex.agent.tool_response"),
    whole("lk.amd.transcript"),
    whole("lk.chat_ctx"),
    whole("lk.function_tool.arguments"),
    whole("lk.function_tool.output"),
    whole("lk.function_tools"),
    whole("lk.input_text"),
    whole("lk.instructions"),
    whole("lk.pii"),
    whole("lk.response.function_calls"),
    whole("lk.response.text"),
    whole("lk.user_input"),
    whole("lk.user_transcript"),
    whole("mlflow.chat.messages"),
    whole("mlflow.chat.tools"),
    whole("mlflow.spanInputs"),
    whole("mlflow.spanOutputs"),
    whole("genkit:input"),
    whole("genkit:output"),
    whole("flue.operation.result"),
    whole("flue.task.prompt"),
    whole("flue.task.result"),
    whole("flue.tool.arguments"),
    whole("flue.tool.result"),
    whole("flue.turn.input"),
    whole("flue.turn.output"),
    whole("flue.workflow.payload"),
    whole("flue.workflow.result"),
    // Sentry's conventions for AI.
    whole("gen_ai.request.messages"),
    whole("gen_ai.request.available_tools"),
    whole("gen_ai.response.object"),
    whole("gen_ai.response.text"),
    whole("gen_ai.response.tool_calls"),
    whole("gen_ai.tool.input"),
    whole("gen_ai.tool.message"),
    whole("gen_ai.tool.output"),
    whole("gen_ai.embeddings.input"),
    whole("gen_ai.embeddings.input_texts"),
    whole("ai.citations"),
    whole("ai.documents"),
    whole("ai.function_call"),
    whole("ai.input_messages"),
    whole("ai.preamble"),
    whole("ai.responses"),
    whole("ai.search_queries"),
    whole("ai.search_results"),
    whole("ai.texts"),
    whole("ai.tool_calls"),
    whole("ai.tools"),
    // Haystack, Spring AI, Braintrust, LangWatch.
    whole("haystack.agent.input"),
    whole("haystack.agent.output"),
    whole("haystack.component.input"),
    whole("haystack.component.output"),
    whole("haystack.pipeline.input_data"),
    whole("haystack.pipeline.output_data"),
    whole("spring.ai.chat.client.input"),
    whole("spring.ai.chat.client.output"),
    whole("spring.ai.chat.client.system"),
    whole("spring.ai.chat.client.user"),
    whole("spring.ai.model.request.messages"),
    whole("spring.ai.model.response.messages"),
    whole("spring.ai.tool.call.arguments"),
    whole("spring.ai.tool.call.result"),
    whole("db.vector.query.content"),
    whole("db.vector.query.response.documents"),
    whole("braintrust.expected"),
    whole("braintrust.input"),
    whole("braintrust.input_json"),
    whole("braintrust.output"),
    whole("braintrust.output_json"),
    whole("langwatch.input"),
    whole("langwatch.output"),
    // Whole requests and answers, as HTTP instrumentations record them when told to.
    only("http.request.body"),
    only("http.request.body.content"),
    only("http.request.body.data"),
    only("http.response.body"),
    only("http.response.body.content"),
    only("http.response.body.data"),
    // Errors: providers quote the prompt in them, and stack traces repeat the message.
    only("exception.stacktrace"),
    only("error.stack"),
    only("error.stack_trace"),
    error_text("error.message"),
    error_text("error.object"),
    error_text("exception.message"),
    error_text("langfuse.observation.status_message"),
    error_text("otel.status_description"),
    error_text("span.status_message"),
    error_type("error"),
    error_type("error.type"),
    error_type("exception.type"),
}));

/// Below a name of the list, but no content.
constexpr auto kKept = std::to_array<std::string_view>({
    "ai.prompt.format",
    "gen_ai.prompt.name",
    "gen_ai.prompt.version",
    "gen_ai.request.messages.original_length",
});

/// The binary search looks at one rule only: the last that does not come after the key.
consteval bool no_rule_is_below_another() {
  for (std::size_t i = 0; i + 1 < kRules.size(); ++i) {
    const KeyRule& rule = kRules[i];
    const std::string_view next = kRules[i + 1].name;
    if (rule.name == next || (rule.below && is_below(next, rule.name))) return false;
  }
  return true;
}

static_assert(no_rule_is_below_another());

}  // namespace

KeyClass classify_key(std::string_view key) {
  // Annotations and evaluations of OpenInference, wherever they hang (trace.evaluations.0.…).
  if (key.ends_with("evaluation.explanation") || key.ends_with("annotation.explanation"))
    return KeyClass::Content;
  const auto after = std::ranges::upper_bound(kRules, key, comes_before, &KeyRule::name);
  if (after == kRules.begin()) return KeyClass::Plain;
  const KeyRule& rule = *std::prev(after);
  if (rule.name == key) return rule.key_class;
  const bool is_hit =
      rule.below && is_below(key, rule.name) && std::ranges::find(kKept, key) == kKept.end();
  return is_hit ? rule.key_class : KeyClass::Plain;
}

bool is_nested_content_key(std::string_view path, std::string_view key) {
  const auto is_content = [](std::string_view name) {
    const KeyClass found = classify_key(name);
    return found == KeyClass::Content || found == KeyClass::ErrorText;
  };
  return is_content(path) || (key.contains('.') && is_content(key));
}

bool is_content_event(std::string_view name) {
  constexpr std::string_view kFamily = "gen_ai.";
  if (!name.starts_with(kFamily)) return false;
  return name.ends_with(".message") || name == "gen_ai.choice" || name == "gen_ai.content.prompt" ||
         name == "gen_ai.content.completion" || name == "gen_ai.client.inference.operation.details";
}

std::span<const KeyRule> key_rules() {
  return kRules;
}

}  // namespace gantry::pipeline
