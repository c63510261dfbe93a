#include "gateway/generation_broadcast.h"

#include <algorithm>
#include <optional>

#include "broadcast/span_views.h"
#include "gateway/trace_ids.h"

namespace gantry::gateway {
namespace {

std::optional<std::string_view> known(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

/// Who served, or was tried last.
std::optional<std::string_view> provider_of(const Generation& generation) {
  if (generation.attempts.empty()) return std::nullopt;
  const auto served = std::ranges::find(generation.attempts, true, &Attempt::is_ok);
  return known(served == generation.attempts.end() ? generation.attempts.back().provider_name
                                                   : served->provider_name);
}

}  // namespace

broadcast::EventFacts call_facts(const Generation& generation, std::string_view sampling_key) {
  broadcast::EventFields fields{
      .model = known(generation.served_model.empty() ? generation.requested_model
                                                     : generation.served_model),
      .provider = provider_of(generation),
      .session_id = known(generation.context.session_id),
      .user_id = known(generation.context.user_id),
      .api_key_name = known(generation.api_key_name),
      .finish_reason = known(generation.finish_reason),
      .input = known(generation.prompt.json),
      .output = known(generation.completion.json)};
  if (generation.cost) fields.total_cost = generation.cost->total.to_double();
  if (generation.usage) {
    fields.total_tokens = static_cast<double>(generation.usage->total);
    fields.prompt_tokens = static_cast<double>(generation.usage->input);
    fields.completion_tokens = static_cast<double>(generation.usage->output);
  }
  return {.key_hash = generation.api_key_hash, .sampling_key = sampling_key, .fields = fields};
}

std::string call_sampling_key(const Generation& generation) {
  if (!generation.context.session_id.empty()) return generation.context.session_id;
  return broadcast::trace_id_hex(derive_trace_id(generation.context.trace_id, generation.id));
}

void GenerationBroadcast::offer(StackId stack, const Generation& generation) const {
  const std::string sampling_key = call_sampling_key(generation);
  broadcaster_.offer(broadcast::CallEvent{
      .stack = stack,
      .facts = call_facts(generation, sampling_key),
      .build = [&](const broadcast::GenerationExtras& extras, telemetry::SpanBatch& out) {
        build_trace(generation, options_,
                    {.cost = extras.cost,
                     .identity = extras.identity,
                     .request_context = extras.request_context},
                    out);
      }});
}

}  // namespace gantry::gateway
