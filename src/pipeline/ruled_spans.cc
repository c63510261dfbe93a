#include "pipeline/ruled_spans.h"

#include <string>
#include <vector>

#include "pipeline/sampling.h"
#include "pipeline/trace_groups.h"

namespace gantry::pipeline {
namespace {

using telemetry::SpanBatch;

/// A batch for a part of the spans. The accounts of the request go with what is stored.
void begin_part(const SpanBatch& from, SpanBatch& part) {
  share_parts(from, part);
  part.body_bytes = from.body_bytes;
}

void add_spans(const SpanBatch& from, const TraceGroup& group, SpanBatch& to) {
  if (to.spans.empty()) begin_part(from, to);
  for (const std::uint32_t index : group.spans) to.spans.push_back(from.spans[index]);
}

}  // namespace

TraceFate decide(const StackRules& rules, StackId stack, std::string_view sampling_key,
                 const EventFields& fields) {
  if (!rules.filter_rules.matches(fields)) return TraceFate::Filtered;
  if (rules.sampling_rate < 1 &&
      !is_sampled(std::to_string(stack.value()), sampling_key, rules.sampling_rate))
    return TraceFate::SampledOut;
  return TraceFate::Kept;
}

EditedSpans::EditedSpans(const StackRules& rules, const SpanBatch& in)
    : edits_(rules.attribute_rules, rules.is_private, in) {}

RuledSpans::RuledSpans(const StackRules& rules, StackId stack, TraceSessions& sessions,
                       const SpanBatch& in) {
  const SpanBatch* kept = &in;
  if (rules.sampling_rate < 1 || !rules.filter_rules_json.empty()) {
    std::vector<const TraceGroup*> taken;
    const std::vector<TraceGroup> groups = group_by_trace(in, GroupFields::Read);
    for (const TraceGroup& group : groups) {
      const std::string key =
          rules.sampling_rate < 1
              ? sessions.key_of(stack, group.trace_id, group.fields.session_id.value_or(""))
              : std::string();
      const TraceFate fate = decide(rules, stack, key, group.fields);
      if (fate == TraceFate::Kept) taken.push_back(&group);
      if (fate == TraceFate::SampledOut) add_spans(in, group, sampled_out_);
      if (fate == TraceFate::Filtered) filtered_count_ += group.spans.size();
    }
    // What passes whole keeps the request's own bytes.
    if (taken.size() < groups.size()) {
      for (const TraceGroup* const group : taken) add_spans(in, *group, kept_);
      kept = &kept_;
    }
  }
  edited_kept_ = std::make_unique<EditedSpans>(rules, *kept);
  edited_sampled_out_ = std::make_unique<EditedSpans>(rules, sampled_out_);
}

RuledSpans::~RuledSpans() = default;

const SpanBatch& RuledSpans::kept() const {
  return edited_kept_->batch();
}

const SpanBatch& RuledSpans::sampled_out() const {
  return edited_sampled_out_->batch();
}

}  // namespace gantry::pipeline
