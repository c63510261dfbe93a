#include "gateway/generation_broadcast.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "gateway/trace_ids.h"
#include "pipeline/ruled_spans.h"
#include "pipeline/trace_groups.h"

namespace gantry::gateway {
namespace {

std::optional<std::string_view> known(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

/// A call as the rules of its stack leave it.
struct EditedCall {
  telemetry::SpanBatch built;
  std::optional<pipeline::EditedSpans> view;

  /// Replaces `out`, which shares views with this.
  void show(const pipeline::StackRules& rules, telemetry::SpanBatch& out) {
    const telemetry::SpanBatch& shown = view.emplace(rules, built).batch();
    pipeline::share_parts(shown, out);
    out.spans = shown.spans;
  }
};

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
  return pipeline::trace_id_hex(derive_trace_id(generation.context.trace_id, generation.id));
}

void GenerationBroadcast::offer(StackId stack, const Generation& generation,
                                const pipeline::StackRules* rules) const {
  const std::string sampling_key = call_sampling_key(generation);
  std::deque<EditedCall> edited;  // what the broadcaster gets points into it
  broadcaster_.offer(broadcast::CallEvent{
      .stack = stack,
      .facts = call_facts(generation, sampling_key),
      .build = [&](const broadcast::GenerationExtras& extras, telemetry::SpanBatch& out) {
        telemetry::SpanBatch& built = rules == nullptr ? out : edited.emplace_back().built;
        build_trace(generation, options_,
                    {.cost = extras.cost,
                     .identity = extras.identity,
                     .request_context = extras.request_context},
                    built);
        if (rules != nullptr) edited.back().show(*rules, out);
      }});
}

}  // namespace gantry::gateway
