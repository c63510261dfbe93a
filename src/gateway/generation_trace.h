#pragma once

// The spans of a finished call: root, intermediate, generation, attempts and body phase, with their
// ids, names, attributes and events.

#include <string>

#include "broadcast/generation_extras.h"
#include "gateway/generation.h"
#include "telemetry/span_batch.h"

namespace gantry::gateway {

struct TraceOptions {
  std::string service_name = "openrouter";
  std::string service_version = "1.0.0";
  std::string trace_id_resource_key = "openrouter.trace.id";
  std::string metadata_namespace = "gantry";
  std::string default_trace_name = "LLM Request";
  std::string default_generation_name = "LLM Generation";
};

using broadcast::GenerationExtras;

/// Replaces `out` by the call's spans, all under one resource and scope; parents come first. Views
/// point into `generation`, `options` and out.arena. What is known is sent, what is not is left
/// out: never a 0 in its place. Text that is not UTF-8 is repaired. Any number of threads, each
/// with its own `out`.
///
/// The generation span alone has model, usage and cost, so that a query by model counts a call
/// once. An attempt lasts until its response headers, the body phase from there to the end.
void build_trace(const Generation& generation, const TraceOptions& options,
                 const GenerationExtras& extras, telemetry::SpanBatch& out);

/// Options that go at the end of the statement would leave the views dangling.
void build_trace(const Generation& generation, const TraceOptions&& options,
                 const GenerationExtras& extras, telemetry::SpanBatch& out) = delete;

}  // namespace gantry::gateway
