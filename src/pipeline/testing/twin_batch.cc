#include "pipeline/testing/twin_batch.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
// After GoogleTest, or it does not compile.
#include <rapidcheck/gtest.h>

#include "pipeline/content_keys.h"

namespace gantry::pipeline::testing {
namespace {

using telemetry::AttributeValue;
using telemetry::BatchSpan;

constexpr std::string_view kUnknownWord = "_OTHER";

/// What a provider says of a prompt.
std::string sentence() {
  return "Flagged input: \"" + std::string(kMarker) + '"';
}

/// Evenly, in small cases too.
std::uint32_t upto(std::uint32_t most) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::uint32_t>(0, most + 1));
}

bool one_in(std::uint32_t count) {
  return upto(count - 1) == 0;
}

template <class T>
T one_of(const std::vector<T>& values) {
  return values[upto(static_cast<std::uint32_t>(values.size() - 1))];
}

/// A length-delimited field.
std::string field(int number, std::string_view bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  std::size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7U) out.push_back(static_cast<char>(size | 0x80U));
  out.push_back(static_cast<char>(size));
  return out.append(bytes);
}

std::uint32_t size_of(const std::vector<telemetry::SpanAttribute>& attributes) {
  return static_cast<std::uint32_t>(attributes.size());
}

AttributeValue text_value(std::string_view text) {
  return {.kind = AttributeValue::Kind::String, .text = text};
}

/// A random rule of that class.
const KeyRule& rule_of(KeyClass key_class) {
  std::vector<const KeyRule*> rules;
  for (const KeyRule& rule : key_rules())
    if (rule.key_class == key_class) rules.push_back(&rule);
  return *one_of(rules);
}

}  // namespace

std::string encoded_text(std::string_view text) {
  return field(1, text);
}

std::string encoded_bytes(std::string_view bytes) {
  return field(7, bytes);
}

std::string encoded_array(std::string_view any_value) {
  return field(5, field(1, any_value));
}

std::string encoded_map(std::string_view key, std::string_view any_value) {
  return field(6, field(1, field(1, key) + field(2, any_value)));
}

TwinBatch::TwinBatch() {
  for (std::uint32_t i = upto(2) + 1; i > 0; --i) {
    const Slices attributes = add_attributes(kUnknownWord);
    telemetry::BatchResource resource{.attributes = attributes.planted,
                                      .dropped_attributes = upto(2),
                                      .schema_url = "https://opentelemetry.io/schemas/1.41.0"};
    planted_.resources.push_back(resource);
    resource.attributes = attributes.expected;
    expected_.resources.push_back(resource);
  }
  for (std::uint32_t i = upto(2) + 1; i > 0; --i) {
    const Slices attributes = add_attributes(kUnknownWord);
    telemetry::BatchScope scope{
        .name = "openrouter", .version = "1", .attributes = attributes.planted};
    planted_.scopes.push_back(scope);
    scope.attributes = attributes.expected;
    expected_.scopes.push_back(scope);
  }
  for (std::uint32_t i = upto(4); i > 0; --i) add_span();
}

void TwinBatch::add_span() {
  BatchSpan planted{.span_id = upto(1000) + 1, .parent_id = upto(1), .start_ns = 1, .end_ns = 2};
  planted.trace_id.bytes[15] = 1;
  planted.resource = upto(static_cast<std::uint32_t>(planted_.resources.size()) - 1);
  planted.scope = upto(static_cast<std::uint32_t>(planted_.scopes.size()) - 1);
  planted.kind = telemetry::SpanKind::Client;
  planted.status = static_cast<telemetry::SpanStatus>(upto(2));
  planted.name = "chat gpt-4o";
  planted.trace_state = "a=b";
  planted.flags = 0x101;
  planted.dropped_attributes = upto(1);
  planted.dropped_events = upto(1);
  planted.dropped_links = upto(1);
  BatchSpan expected = planted;

  const bool is_error = planted.status == telemetry::SpanStatus::Error;
  const std::string_view own_word = one_in(2) ? "rate_limit_exceeded" : "";
  add_events(planted, expected, own_word);
  std::string_view word = own_word;
  // Only what is left of the events names a failed span's error.
  for (const telemetry::BatchEvent& event : expected_.events_of(expected))
    for (const auto& attribute : expected_.attributes_of(event.attributes))
      if (is_error && word.empty() && attribute.key == "exception.type" &&
          attribute.value.text != kUnknownWord)
        word = attribute.value.text;
  if (word.empty()) word = kUnknownWord;

  const Slices attributes =
      own_word.empty() && one_in(2)
          ? add_attributes(word, "error.type", planted_.arena.copy(sentence()))
          : add_attributes(word, own_word.empty() ? "" : "error.type", own_word);
  planted.attributes = attributes.planted;
  expected.attributes = attributes.expected;
  if (one_in(2)) {
    planted.status_message = planted_.arena.copy(sentence());
    expected.status_message = is_error ? word : "";
  }
  add_links(planted, expected);
  planted_.spans.push_back(planted);
  expected_.spans.push_back(expected);
}

void TwinBatch::add_events(BatchSpan& planted, BatchSpan& expected, std::string_view word) {
  planted.events.begin = static_cast<std::uint32_t>(planted_.events.size());
  expected.events.begin = static_cast<std::uint32_t>(expected_.events.size());
  for (std::uint32_t i = upto(3); i > 0; --i) {
    const auto name = one_of<std::string_view>(
        {"exception", "first token", "gen_ai.user.message", "gen_ai.choice",
         "gen_ai.client.inference.operation.details", "gen_ai.content.prompt"});
    const bool has_type = one_in(2);
    const auto type = one_of<std::string_view>(
        {"java.net.ConnectException", "*errors.errorString", planted_.arena.copy(sentence())});
    const bool is_word = has_type && !type.contains(kMarker);
    const std::string_view event_word =
        !word.empty() ? word : (is_word ? type : std::string_view(kUnknownWord));
    const std::size_t expected_begin = expected_.attributes.size();
    const Slices attributes =
        add_attributes(event_word, has_type ? "exception.type" : "", has_type ? type : "");
    telemetry::BatchEvent event{.time_ns = i, .name = name, .attributes = attributes.planted};
    event.dropped_attributes = upto(1);
    planted_.events.push_back(event);
    ++planted.events.count;
    if (name.starts_with("gen_ai.")) {
      expected_.attributes.resize(expected_begin);
      continue;
    }
    event.attributes = attributes.expected;
    expected_.events.push_back(event);
    ++expected.events.count;
  }
}

void TwinBatch::add_links(BatchSpan& planted, BatchSpan& expected) {
  planted.links.begin = static_cast<std::uint32_t>(planted_.links.size());
  expected.links.begin = static_cast<std::uint32_t>(expected_.links.size());
  planted.links.count = expected.links.count = upto(2);
  for (std::uint32_t i = 0; i < planted.links.count; ++i) {
    const Slices attributes = add_attributes(kUnknownWord);
    telemetry::BatchLink link{.span_id = i + 1, .trace_state = "c=d", .flags = 1};
    link.trace_id.bytes[0] = 7;
    link.attributes = attributes.planted;
    planted_.links.push_back(link);
    link.attributes = attributes.expected;
    expected_.links.push_back(link);
  }
}

TwinBatch::Slices TwinBatch::add_attributes(std::string_view word, std::string_view type_key,
                                            std::string_view type) {
  Slices slices{.planted = {.begin = size_of(planted_.attributes)},
                .expected = {.begin = size_of(expected_.attributes)}};
  for (std::uint32_t i = upto(5); i > 0; --i) {
    switch (upto(4)) {
      case 0:
      case 1:
        add_plain();
        break;
      case 2:
        add_content();
        break;
      case 3:
        add_hidden_content();
        break;
      default: {
        const std::string_view key = rule_of(KeyClass::ErrorText).name;
        planted_.attributes.push_back({.key = key, .value = value_with(sentence())});
        expected_.attributes.push_back({.key = key, .value = text_value(word)});
      }
    }
  }
  if (!type_key.empty()) {
    planted_.attributes.push_back({.key = type_key, .value = text_value(type)});
    expected_.attributes.push_back(
        {.key = type_key, .value = text_value(type.contains(kMarker) ? kUnknownWord : type)});
  }
  slices.planted.count = size_of(planted_.attributes) - slices.planted.begin;
  slices.expected.count = size_of(expected_.attributes) - slices.expected.begin;
  return slices;
}

void TwinBatch::add_plain() {
  using Kind = AttributeValue::Kind;
  const auto key = one_of<std::string_view>(
      {"gen_ai.request.model", "gen_ai.usage.input_tokens", "service.name", "session.id",
       "trace.metadata.environment", "trace.metadata.input", "llm.token_count.prompt", "k8s.pod"});
  switch (upto(4)) {
    case 0:
      return add_both(key, {.kind = Kind::Bool, .boolean = true});
    case 1:
      return add_both(key, {.kind = Kind::Int, .integer = -7});
    case 2:
      return add_both(key, {.kind = Kind::Double, .number = 0.5});
    case 3:
      return add_both(key, {});
    default:
      return add_both(key, value_with("openai/gpt-4o"));
  }
}

void TwinBatch::add_content() {
  const KeyRule& rule = rule_of(KeyClass::Content);
  std::string key(rule.name);
  if (rule.below && one_in(2)) key += ".0.message.content";
  planted_.attributes.push_back({.key = planted_.arena.copy(key), .value = value_with(sentence())});
}

/// A list that has content among its members, under a name that says nothing of it.
void TwinBatch::add_hidden_content() {
  const std::string inner(rule_of(KeyClass::Content).name);
  // A name without a dot means content only at the top.
  const std::string by_name =
      encoded_map(inner.contains('.') ? inner : "gen_ai.prompt", encoded_text(sentence()));
  const auto [key, value] = one_of<std::pair<std::string, std::string>>({
      {"custom", by_name},
      {"custom", encoded_array(encoded_map("deep", by_name))},
      {"gen_ai", encoded_map("prompt", encoded_text(sentence()))},
      {"gen_ai", encoded_map("input", encoded_map("messages", encoded_text(sentence())))},
      {"llm", encoded_map("input_messages.0", encoded_array(encoded_text(sentence())))},
      {"exception", encoded_map("message", encoded_text(sentence()))},
  });
  planted_.attributes.push_back(
      {.key = planted_.arena.copy(key), .value = {.text = planted_.arena.copy(value)}});
}

void TwinBatch::add_both(std::string_view key, const AttributeValue& value) {
  planted_.attributes.push_back({.key = key, .value = value});
  expected_.attributes.push_back({.key = key, .value = value});
}

AttributeValue TwinBatch::value_with(std::string_view text) {
  switch (upto(5)) {
    case 0:
      return {.text = planted_.arena.copy(encoded_bytes(text))};
    case 1:
      return {.text = planted_.arena.copy(encoded_array(encoded_text(text)))};
    case 2:
      return {.text = planted_.arena.copy(encoded_map("role", encoded_text(text)))};
    case 3:
      return {.text = planted_.arena.copy(
                  encoded_array(encoded_map("parts", encoded_array(encoded_text(text)))))};
    default:
      return text_value(planted_.arena.copy(text));
  }
}

}  // namespace gantry::pipeline::testing
