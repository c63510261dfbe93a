#include "server/generation_traces.h"

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "access/principal.h"
#include "pipeline/privacy.h"

namespace gantry::server {
namespace {

/// Of contents in one write: far below what a record of the store's log may have.
constexpr std::size_t kWriteBytesMax = 8 << 20;

std::size_t content_bytes(const gateway::Generation& generation) {
  return generation.prompt.json.size() + generation.completion.json.size();
}

/// The spans of one call, which have one resource and one scope.
void copy_call(const telemetry::SpanBatch& from, telemetry::SpanBatch& to) {
  bool is_first = true;
  std::uint32_t resource = 0;
  std::uint32_t scope = 0;
  for (const telemetry::BatchSpan& span : from.spans) {
    telemetry::BatchSpan& copy = telemetry::copy_span(from, span, to);
    if (std::exchange(is_first, false)) {
      resource = copy.resource;
      scope = copy.scope;
      continue;
    }
    copy.resource = resource;
    copy.scope = scope;
    to.resources.pop_back();
    to.scopes.pop_back();
  }
}

}  // namespace

GenerationTraces::GenerationTraces(const access::Gate& gate, core::MetricRegistry& registry,
                                   Options options)
    : gate_(gate),
      options_(std::move(options)),
      lost_(registry.counter("gantry_gateway_traces_lost_total",
                             "Finished calls whose trace the store of their stack refused.")) {}

void GenerationTraces::store(std::span<const gateway::FinishedCall> calls) {
  std::map<StackId, std::vector<const gateway::FinishedCall*>> by_stack;
  for (const gateway::FinishedCall& call : calls) by_stack[call.stack].push_back(&call);
  for (const auto& [stack, its_calls] : by_stack) {
    std::size_t begin = 0;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < its_calls.size(); ++i) {
      bytes += content_bytes(*its_calls[i]->generation);
      if (bytes < kWriteBytesMax && i + 1 < its_calls.size()) continue;
      store_together(std::span(its_calls).subspan(begin, i + 1 - begin));
      begin = i + 1;
      bytes = 0;
    }
  }
}

void GenerationTraces::build(std::span<const gateway::FinishedCall* const> calls,
                             telemetry::SpanBatch& out) const {
  constexpr gateway::GenerationExtras kAll{.cost = true, .identity = true, .request_context = true};
  telemetry::SpanBatch built;
  telemetry::SpanBatch shown;
  out.clear();
  for (const gateway::FinishedCall* const call : calls) {
    gateway::build_trace(*call->generation, options_.trace, kAll, built);
    if (!options_.keeps_content) pipeline::make_privacy_view(built, shown);
    copy_call(options_.keeps_content ? built : shown, out);
  }
}

void GenerationTraces::store_together(std::span<const gateway::FinishedCall* const> calls) {
  telemetry::SpanBatch together;
  build(calls, together);
  const Result<void> written = write(*calls.front(), together);
  if (!written) lost_.add(calls.size());
  // The stack was deleted while its calls went on.
  if (!written && written.error().code == Code::Unauthenticated) return;
  const core::Lock lock(mutex_);
  failures_.note(std::to_string(calls.front()->stack.value()), written);
}

Result<void> GenerationTraces::write(const gateway::FinishedCall& whose,
                                     const telemetry::SpanBatch& batch) {
  const auto writer =
      access::system_principal(whose.org, whose.stack, {access::Scope::TracesWrite});
  const auto view = gate_.open(writer, access::Scope::TracesWrite);
  if (!view) return fail(view.error().code, view.error().message);
  GANTRY_TRY(const telemetry::SpanAppendResult appended,
             options_.append(whose.stack, *view, batch));
  if (appended.spans_rejected() == 0) return {};
  return fail(Code::ResourceExhausted,
              appended.messages.empty() ? "spans refused" : appended.messages.front());
}

}  // namespace gantry::server
