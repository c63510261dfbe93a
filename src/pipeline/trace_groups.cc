#include "pipeline/trace_groups.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <unordered_map>

namespace gantry::pipeline {
namespace {

using telemetry::AttributeValue;
using telemetry::SpanAttribute;
using telemetry::SpanBatch;

struct TraceIdHash {
  std::size_t operator()(const telemetry::TraceId& id) const {
    std::size_t hash = 0;  // The ids are random.
    std::memcpy(&hash, id.bytes.data(), sizeof hash);
    return hash;
  }
};

struct TextName {
  std::string_view key;
  std::optional<std::string_view> EventFields::* field;
};

struct NumberName {
  std::string_view key;
  std::optional<double> EventFields::* field;
};

// Of several names for one field the first that a span has counts.
constexpr std::array kTextNames = {
    TextName{"gen_ai.response.model", &EventFields::model},
    TextName{"gen_ai.request.model", &EventFields::model},
    TextName{"gen_ai.provider.name", &EventFields::provider},
    TextName{"gen_ai.system", &EventFields::provider},
    TextName{"session.id", &EventFields::session_id},
    TextName{"gen_ai.conversation.id", &EventFields::session_id},
    TextName{"user.id", &EventFields::user_id},
    TextName{"enduser.id", &EventFields::user_id},
    TextName{"gen_ai.response.finish_reason", &EventFields::finish_reason},
    TextName{"gen_ai.prompt", &EventFields::input},
    TextName{"gen_ai.input.messages", &EventFields::input},
    TextName{"gen_ai.completion", &EventFields::output},
    TextName{"gen_ai.output.messages", &EventFields::output},
};
constexpr std::array kNumberNames = {
    NumberName{"gen_ai.usage.total_cost", &EventFields::total_cost},
    NumberName{"gen_ai.usage.total_tokens", &EventFields::total_tokens},
    NumberName{"gen_ai.usage.input_tokens", &EventFields::prompt_tokens},
    NumberName{"gen_ai.usage.prompt_tokens", &EventFields::prompt_tokens},
    NumberName{"gen_ai.usage.output_tokens", &EventFields::completion_tokens},
    NumberName{"gen_ai.usage.completion_tokens", &EventFields::completion_tokens},
};

const AttributeValue* find_value(std::span<const SpanAttribute> attributes, std::string_view key) {
  const auto found = std::ranges::find(attributes, key, &SpanAttribute::key);
  return found == attributes.end() ? nullptr : &found->value;
}

std::optional<double> number_of(const AttributeValue& value) {
  if (value.kind == AttributeValue::Kind::Int) return static_cast<double>(value.integer);
  if (value.kind == AttributeValue::Kind::Double) return value.number;
  return std::nullopt;
}

void add_fields(std::span<const SpanAttribute> attributes, EventFields& fields) {
  for (const TextName& name : kTextNames) {
    if (fields.*name.field) continue;
    const AttributeValue* const value = find_value(attributes, name.key);
    if (value != nullptr && value->kind == AttributeValue::Kind::String && !value->text.empty())
      fields.*name.field = value->text;
  }
  for (const NumberName& name : kNumberNames) {
    if (fields.*name.field) continue;
    if (const AttributeValue* const value = find_value(attributes, name.key))
      fields.*name.field = number_of(*value);
  }
}

/// Some SDKs name the session once, in the resource.
void add_resource_session(const SpanBatch& batch, TraceGroup& group) {
  for (const std::uint32_t index : group.spans) {
    if (group.fields.session_id) return;
    const telemetry::BatchResource& resource = batch.resources[batch.spans[index].resource];
    const AttributeValue* const value =
        find_value(batch.attributes_of(resource.attributes), "session.id");
    if (value != nullptr && value->kind == AttributeValue::Kind::String && !value->text.empty())
      group.fields.session_id = value->text;
  }
}

}  // namespace

std::vector<TraceGroup> group_by_trace(const SpanBatch& batch, GroupFields fields) {
  std::vector<TraceGroup> groups;
  std::unordered_map<telemetry::TraceId, std::size_t, TraceIdHash> places;
  for (std::uint32_t i = 0; i < batch.spans.size(); ++i) {
    const telemetry::BatchSpan& span = batch.spans[i];
    const auto [place, is_new] = places.try_emplace(span.trace_id, groups.size());
    if (is_new) groups.push_back({.trace_id = span.trace_id, .spans = {}, .fields = {}});
    TraceGroup& group = groups[place->second];
    group.spans.push_back(i);
    if (fields == GroupFields::Read) add_fields(batch.attributes_of(span.attributes), group.fields);
  }
  if (fields == GroupFields::Read)
    for (TraceGroup& group : groups) add_resource_session(batch, group);
  return groups;
}

std::string trace_id_hex(const telemetry::TraceId& id) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * id.bytes.size());
  for (const std::uint8_t byte : id.bytes) {
    text += kDigits[static_cast<std::size_t>(byte) >> 4U];
    text += kDigits[byte & 0xFU];
  }
  return text;
}

void share_parts(const SpanBatch& from, SpanBatch& to) {
  to.clear();
  to.resources = from.resources;
  to.scopes = from.scopes;
  to.events = from.events;
  to.links = from.links;
  to.attributes = from.attributes;
}

}  // namespace gantry::pipeline
