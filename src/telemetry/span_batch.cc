#include "telemetry/span_batch.h"

namespace gantry::telemetry {
namespace {

BatchSlice copy_attributes(const SpanBatch& from, BatchSlice slice, SpanBatch& to) {
  const BatchSlice copy{.begin = static_cast<std::uint32_t>(to.attributes.size()),
                        .count = slice.count};
  for (const SpanAttribute& attribute : from.attributes_of(slice)) {
    SpanAttribute& added = to.attributes.emplace_back(attribute);
    added.key = to.arena.copy(attribute.key);
    added.value.text = to.arena.copy(attribute.value.text);
  }
  return copy;
}

}  // namespace

void SpanBatch::clear() {
  spans.clear();
  resources.clear();
  scopes.clear();
  events.clear();
  links.clear();
  attributes.clear();
  arena.clear();
  otlp = {};
  body_bytes = 0;
}

BatchSpan& copy_span(const SpanBatch& from, const BatchSpan& span, SpanBatch& to) {
  BatchSpan copy = span;
  copy.name = to.arena.copy(span.name);
  copy.status_message = to.arena.copy(span.status_message);
  copy.trace_state = to.arena.copy(span.trace_state);
  copy.attributes = copy_attributes(from, span.attributes, to);

  copy.events = {.begin = static_cast<std::uint32_t>(to.events.size()), .count = span.events.count};
  for (const BatchEvent& event : from.events_of(span)) {
    BatchEvent added = event;
    added.name = to.arena.copy(event.name);
    added.attributes = copy_attributes(from, event.attributes, to);
    to.events.push_back(added);
  }
  copy.links = {.begin = static_cast<std::uint32_t>(to.links.size()), .count = span.links.count};
  for (const BatchLink& link : from.links_of(span)) {
    BatchLink added = link;
    added.trace_state = to.arena.copy(link.trace_state);
    added.attributes = copy_attributes(from, link.attributes, to);
    to.links.push_back(added);
  }

  BatchResource resource = from.resources[span.resource];
  resource.schema_url = to.arena.copy(resource.schema_url);
  resource.attributes = copy_attributes(from, resource.attributes, to);
  copy.resource = static_cast<std::uint32_t>(to.resources.size());
  to.resources.push_back(resource);

  BatchScope scope = from.scopes[span.scope];
  scope.name = to.arena.copy(scope.name);
  scope.version = to.arena.copy(scope.version);
  scope.schema_url = to.arena.copy(scope.schema_url);
  scope.attributes = copy_attributes(from, scope.attributes, to);
  copy.scope = static_cast<std::uint32_t>(to.scopes.size());
  to.scopes.push_back(scope);
  return to.spans.emplace_back(copy);
}

}  // namespace gantry::telemetry
