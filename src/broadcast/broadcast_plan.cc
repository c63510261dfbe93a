#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "broadcast/broadcast_plan_internal.h"
#include "core/hash.h"
#include "core/log.h"
#include "pipeline/span_edits.h"

namespace gantry::broadcast {

/// What destinations have in common that get the same bytes.
struct Offers::View {
  std::string_view attribute_rules_json;  ///< Of the plan.
  AttributeRules attribute_rules;
  bool is_private = false;
  double sampling_rate = 1;
  std::vector<bool> kept;  ///< By group.
  std::vector<const Target*> targets;

  explicit View(const Destination& destination)
      : attribute_rules_json(destination.attribute_rules_json),
        attribute_rules(destination.attribute_rules),
        is_private(destination.is_private),
        sampling_rate(destination.sampling_rate) {}

  /// But for the groups.
  [[nodiscard]] bool suits(const Destination& destination) const {
    return is_private == destination.is_private && sampling_rate == destination.sampling_rate &&
           attribute_rules_json == destination.attribute_rules_json;
  }
};

namespace {

bool samples(const Target& target) {
  return target.destination.is_enabled && target.destination.sampling_rate < 1;
}

/// What receivers of remote write take in one request.
constexpr std::size_t kSamplesPerItemMax = 2000;

/// Whether the decision depends on more than the destination itself.
bool reads_fields(const Target& target) {
  return samples(target) ||
         (target.destination.is_enabled && !target.destination.filter_rules_json.empty());
}

std::shared_ptr<const Target> find_target(const std::shared_ptr<const BroadcastPlan>& plan,
                                          StackId stack, const DestinationId& id,
                                          std::vector<Target> StackTargets::* among) {
  const auto found = plan->find(stack);
  if (found == plan->end()) return nullptr;
  for (const Target& target : found->second.*among)
    if (target.destination.id == id) return {plan, &target};
  return nullptr;
}

/// The extras as a number: there are eight combinations.
std::size_t extras_index(const GenerationExtras& extras) {
  return (extras.cost ? 1U : 0U) | (extras.identity ? 2U : 0U) | (extras.request_context ? 4U : 0U);
}

/// What tells a span from others, whatever has been done to its attributes on the way.
std::vector<std::uint64_t> span_keys(StackId stack, const telemetry::SpanBatch& batch) {
  const std::uint64_t seed = core::process_hash_seed() ^ stack.value();
  std::vector<std::uint64_t> keys;
  keys.reserve(batch.spans.size());
  for (const telemetry::BatchSpan& span : batch.spans) {
    const std::array<std::uint64_t, 4> numbers = {span.span_id, span.start_ns, span.end_ns,
                                                  static_cast<std::uint64_t>(span.kind)};
    std::uint64_t key = core::hash64(
        {reinterpret_cast<const char*>(span.trace_id.bytes.data()), span.trace_id.bytes.size()},
        seed);
    key = core::hash64({reinterpret_cast<const char*>(numbers.data()), sizeof(numbers)}, key);
    keys.push_back(core::hash64(span.name, key));
  }
  return keys;
}

}  // namespace

void Offers::offer(const CallEvent& event) {
  const std::shared_ptr<const BroadcastPlan> published = plan();
  const auto found = published->find(event.stack);
  if (found == published->end()) return;
  // By extras, then privacy and rate.
  std::array<std::vector<View>, 8> views;
  std::array<GenerationExtras, 8> extras;
  for (const Target& target : found->second.traces) {
    const Destination& destination = target.destination;
    const Decision decision = decide(destination, event.facts);
    target.metrics->count(decision);
    if (decision != Decision::Taken) continue;
    const std::size_t index = extras_index(destination.extras);
    extras.at(index) = destination.extras;
    auto& same = views.at(index);
    auto view =
        std::ranges::find_if(same, [&](const View& other) { return other.suits(destination); });
    if (view == same.end()) view = same.insert(same.end(), View(destination));
    view->targets.push_back(&target);
  }
  for (std::size_t i = 0; i < views.size(); ++i) {
    if (views.at(i).empty()) continue;
    telemetry::SpanBatch batch;
    event.build(extras.at(i), batch);
    const std::vector<TraceGroup> groups = group_by_trace(batch, GroupFields::Skip);
    for (View& view : views.at(i)) {
      view.kept.assign(groups.size(), true);
      queue_view(event.stack, view, batch, groups);
    }
  }
}

void Offers::offer(StackId stack, const telemetry::SpanBatch& batch) {
  const std::shared_ptr<const BroadcastPlan> published = plan();
  const auto found = published->find(stack);
  if (found == published->end() || found->second.traces.empty() || batch.spans.empty()) return;
  const std::vector<bool> is_new = recent_.take_new(span_keys(stack, batch));
  if (std::ranges::find(is_new, false) == is_new.end())
    return queue_spans(stack, batch, found->second.traces);
  telemetry::SpanBatch fresh;
  share_parts(batch, fresh);
  for (std::size_t i = 0; i < is_new.size(); ++i)
    if (is_new[i]) fresh.spans.push_back(batch.spans[i]);
  if (!fresh.spans.empty()) queue_spans(stack, fresh, found->second.traces);
}

void Offers::queue_spans(StackId stack, const telemetry::SpanBatch& batch,
                         std::span<const Target> targets) {
  const bool is_any_reading = std::ranges::any_of(targets, reads_fields);
  const std::vector<TraceGroup> groups =
      group_by_trace(batch, is_any_reading ? GroupFields::Read : GroupFields::Skip);
  const std::vector<std::string> keys = sampling_keys(stack, groups, targets);
  std::vector<View> views;
  for (const Target& target : targets) {
    std::vector<bool> kept = kept_groups(target, groups, keys);
    if (std::ranges::find(kept, true) == kept.end()) continue;
    const Destination& destination = target.destination;
    auto view = std::ranges::find_if(
        views, [&](const View& other) { return other.suits(destination) && other.kept == kept; });
    if (view == views.end()) {
      view = views.insert(views.end(), View(destination));
      view->kept = std::move(kept);
    }
    view->targets.push_back(&target);
  }
  for (const View& view : views) queue_view(stack, view, batch, groups);
}

std::vector<std::string> Offers::sampling_keys(StackId stack, std::span<const TraceGroup> groups,
                                               std::span<const Target> targets) {
  std::vector<std::string> keys(groups.size());
  if (std::ranges::none_of(targets, samples)) return keys;
  for (std::size_t i = 0; i < groups.size(); ++i)
    keys[i] = sessions_.key_of(stack, groups[i].trace_id, groups[i].fields.session_id.value_or(""));
  return keys;
}

std::vector<bool> Offers::kept_groups(const Target& target, std::span<const TraceGroup> groups,
                                      std::span<const std::string> sampling_keys) const {
  std::vector<bool> kept(groups.size());
  bool is_any_kept = false;
  // Of what is left out whole: how far the trace came that came farthest.
  Decision farthest = Decision::Disabled;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Decision decision =
        decide(target.destination,
               {.key_hash = {}, .sampling_key = sampling_keys[i], .fields = groups[i].fields});
    kept[i] = decision == Decision::Taken;
    is_any_kept = is_any_kept || kept[i];
    farthest = std::max(farthest, decision);
  }
  if (!is_any_kept) target.metrics->count(farthest);
  return kept;
}

void Offers::encode_view(const View& view, const telemetry::SpanBatch& batch,
                         std::span<const TraceGroup> groups, const ItemSink& sink) const {
  const pipeline::SpanEdits edited(view.attribute_rules, view.is_private, batch);
  const telemetry::SpanBatch* shown = &edited.batch();
  telemetry::SpanBatch with_rate;
  if (view.sampling_rate < 1) {
    share_parts(*shown, with_rate);
    with_rate.spans = shown->spans;
    set_sampling_rate(with_rate, view.sampling_rate);
    shown = &with_rate;
  }
  encode_items(*shown, groups, view.kept, item_bytes_max_, sink);
}

void Offers::queue_view(StackId stack, const View& view, const telemetry::SpanBatch& batch,
                        std::span<const TraceGroup> groups) {
  encode_view(view, batch, groups, [&](std::string_view payload, std::uint32_t spans) {
    note(stack, view.targets, 1, append(stack, view.targets, payload, spans));
  });
}

Result<void> Offers::append(StackId stack, std::span<const Target* const> targets,
                            std::string_view payload, std::uint32_t spans) {
  QueueItem item{.stack = stack.value(),
                 .signal = Signal::Spans,
                 .created_ms = clock_.now().since_epoch,
                 .item_count = spans,
                 .payload = core::as_bytes(payload)};
  for (const Target* const target : targets) item.destinations.push_back(target->destination.id);
  return queue_.append(item);
}

void Offers::offer(StackId stack, const telemetry::MetricBatch& batch,
                   const telemetry::AppendResult& stored) {
  const std::shared_ptr<const BroadcastPlan> published = plan();
  const auto found = published->find(stack);
  if (found == published->end()) return;
  std::vector<const Target*> plain;
  std::vector<const Target*> ruled;
  for (const Target& target : found->second.metrics) {
    if (!target.destination.is_enabled)
      target.metrics->count(Decision::Disabled);
    else
      (target.metric_rules == nullptr ? plain : ruled).push_back(&target);
  }
  if (plain.empty() && ruled.empty()) return;
  // Before any rule: what comes back must not be counted twice either.
  const telemetry::AppendResult fresh = refuse_known(batch, stored, stack.value(), recent_);
  if (!plain.empty()) queue_samples(stack, plain, batch, fresh, metadata_);
  for (const Target* const target : ruled)
    target->metric_rules->pass(batch, fresh, clock_.now(),
                               [&](const auto& left) { queue_ruled(*target, left); });
}

void Offers::collect_aggregates() {
  const std::shared_ptr<const BroadcastPlan> published = plan();
  for (const auto& [stack, of_stack] : *published)
    for (const Target& target : of_stack.metrics)
      if (target.metric_rules != nullptr)
        target.metric_rules->collect(clock_.now(),
                                     [&](const auto& finished) { queue_ruled(target, finished); });
}

void Offers::flush_aggregates(const Target& target) {
  if (target.metric_rules != nullptr)
    target.metric_rules->flush(clock_.now(),
                               [&](const auto& finished) { queue_ruled(target, finished); });
}

void Offers::flush_aggregates() {
  const std::shared_ptr<const BroadcastPlan> published = plan();
  for (const auto& [stack, of_stack] : *published)
    for (const Target& target : of_stack.metrics) flush_aggregates(target);
}

void Offers::queue_ruled(const Target& target, const telemetry::MetricBatch& batch) {
  const std::array<const Target*, 1> alone = {&target};
  queue_samples(StackId(target.destination.stack), alone, batch, {},
                target.metric_rules->metadata());
}

void Offers::queue_samples(StackId stack, std::span<const Target* const> targets,
                           const telemetry::MetricBatch& batch,
                           const telemetry::AppendResult& stored, MetadataRhythm& metadata) {
  std::vector<DestinationId> ids;
  for (const Target* const target : targets)
    ids.push_back(lane_of(target->destination.id, Signal::Metrics));
  const TimestampMs now = clock_.now();
  std::vector<MetricItem> encoded = encode_metric_items(
      batch, stored, {.samples_max = kSamplesPerItemMax, .bytes_max = item_bytes_max_});
  add_metadata(metadata.take_due(stack.value(), batch, now), encoded);
  std::vector<QueueItem> items;
  for (const MetricItem& item : encoded)
    items.push_back({.stack = stack.value(),
                     .signal = Signal::Metrics,
                     .created_ms = now.since_epoch,
                     .item_count = item.samples,
                     .order_key = item.order_key,
                     .destinations = ids,
                     .payload = core::as_bytes(item.payload)});
  if (!items.empty()) note(stack, targets, items.size(), queue_.append_all(items));
}

void Offers::note(StackId stack, std::span<const Target* const> targets, std::size_t items,
                  const Result<void>& appended) {
  if (appended) {
    if (is_failing_.load(std::memory_order_relaxed) && is_failing_.exchange(false))
      log::info("broadcast events queued again");
    return;
  }
  for (const Target* const target : targets) target->metrics->count_lost(items);
  if (!is_failing_.exchange(true))
    log::error("broadcast events not queued",
               {{"instance_id", stack.value()}, {"error", appended.error().message}});
}

std::shared_ptr<const Target> Offers::find_trace_target(StackId stack,
                                                        const DestinationId& id) const {
  return find_target(plan(), stack, id, &StackTargets::traces);
}

std::shared_ptr<const Target> Offers::find_metric_target(StackId stack,
                                                         const DestinationId& id) const {
  return find_target(plan(), stack, id, &StackTargets::metrics);
}

Result<Requeued> Offers::requeue(StackId stack, const DestinationId& id,
                                 const telemetry::SpanBatch& batch) {
  const std::shared_ptr<const Target> target = find_trace_target(stack, id);
  if (!target || !target->destination.is_enabled)
    return fail(Code::FailedPrecondition, "the destination takes nothing now");
  const std::vector<TraceGroup> groups =
      group_by_trace(batch, reads_fields(*target) ? GroupFields::Read : GroupFields::Skip);
  // What is known of traces that come in just now must not make room for old ones.
  std::vector<std::string> keys(groups.size());
  if (samples(*target))
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const std::string_view session = groups[i].fields.session_id.value_or("");
      keys[i] = session.empty() ? trace_id_hex(groups[i].trace_id) : std::string(session);
    }
  View view(target->destination);
  view.kept = kept_groups(*target, groups, keys);
  view.targets = {target.get()};
  Requeued requeued;
  for (const bool is_kept : view.kept) requeued.traces += is_kept ? 1 : 0;
  if (requeued.traces == 0) return requeued;
  Result<void> first;
  encode_view(view, batch, groups, [&](std::string_view payload, std::uint32_t spans) {
    if (!first) return;
    Result<void> appended = append(stack, view.targets, payload, spans);
    if (appended)
      requeued.spans += spans;
    else if (appended.error().code == Code::TooLarge)
      target->metrics->count_lost(1);  // and would be whenever it is tried
    else
      first = std::move(appended);
  });
  if (!first) return std::unexpected(std::move(first).error());
  return requeued;
}

Result<std::uint64_t> Offers::requeue(StackId stack, const DestinationId& id,
                                      const telemetry::MetricBatch& batch) {
  const std::shared_ptr<const Target> target = find_metric_target(stack, id);
  if (!target || !target->destination.is_enabled)
    return fail(Code::FailedPrecondition, "the destination takes nothing now");
  std::vector<MetricItem> encoded;
  const TimestampMs now = clock_.now();
  const auto encode = [&](const telemetry::MetricBatch& left) {
    encoded = encode_metric_items(
        left, {}, {.samples_max = kSamplesPerItemMax, .bytes_max = item_bytes_max_});
    // Another destination's minute is not this one's.
    if (!encoded.empty())
      add_metadata(MetadataRhythm().take_due(stack.value(), left, now), encoded);
  };
  if (target->metric_rules == nullptr)
    encode(batch);
  else
    target->metric_rules->relabel(batch, encode);
  std::vector<QueueItem> items;
  for (const MetricItem& item : encoded)
    items.push_back({.stack = stack.value(),
                     .signal = Signal::Metrics,
                     .created_ms = now.since_epoch,
                     .item_count = item.samples,
                     .order_key = item.order_key,
                     .destinations = {lane_of(id, Signal::Metrics)},
                     .payload = core::as_bytes(item.payload)});
  return append_past(*target, items);
}

Result<std::uint64_t> Offers::append_past(const Target& target, std::span<const QueueItem> items) {
  std::uint64_t samples = 0;
  if (items.empty()) return samples;
  Result<void> appended = queue_.append_all(items);
  if (!appended && appended.error().code == Code::TooLarge && items.size() > 1) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      GANTRY_TRY(const std::uint64_t taken, append_past(target, items.subspan(i, 1)));
      samples += taken;
    }
    return samples;
  }
  if (!appended && appended.error().code != Code::TooLarge)
    return std::unexpected(std::move(appended).error());
  if (!appended) {
    target.metrics->count_lost(1);  // and would be whenever it is tried
    return samples;
  }
  for (const QueueItem& item : items) samples += item.item_count;
  return samples;
}

}  // namespace gantry::broadcast
