#pragma once

// Finished calls of the LLM gateway on their way into the trace store of their stack.

#include <functional>
#include <span>

#include "access/gate.h"
#include "core/error.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "gateway/generation_queue.h"
#include "gateway/generation_trace.h"
#include "server/failure_log.h"
#include "telemetry/span_append_result.h"
#include "telemetry/span_batch.h"

namespace gantry::server {

/// Thread-safe.
class GenerationTraces {
 public:
  struct Options {
    gateway::TraceOptions trace;
    /// gateway.io_logging: prompts and completions are kept too; else the privacy view is.
    bool keeps_content = false;
    /// Appends to the stack, of which the view may be written.
    std::function<Result<telemetry::SpanAppendResult>(StackId, const access::StackView&,
                                                      const telemetry::SpanBatch&)>
        append = [](StackId, const access::StackView& view, const telemetry::SpanBatch& batch) {
          return view.append(batch);
        };
  };

  /// Counts in gantry_gateway_traces_lost_total. The gate and the registry must outlive it.
  GenerationTraces(const access::Gate& gate, core::MetricRegistry& registry, Options options);

  /// Returns when the traces are on disk; those of one stack share a write. What a store refuses is
  /// counted, and logged when refusals begin and end.
  void store(std::span<const gateway::FinishedCall> calls);

  /// What `store` would give to the store of calls of one stack, before the stack's rules. Replaces
  /// `out`.
  void build(std::span<const gateway::FinishedCall* const> calls, telemetry::SpanBatch& out) const;

 private:
  void store_together(std::span<const gateway::FinishedCall* const> calls);
  [[nodiscard]] Result<void> write(const gateway::FinishedCall& whose,
                                   const telemetry::SpanBatch& batch);

  const access::Gate& gate_;
  const Options options_;
  core::Counter& lost_;
  core::Mutex mutex_;
  FailureLog failures_ GANTRY_GUARDED_BY(mutex_){"traces of LLM calls not stored",
                                                 "traces of LLM calls stored again"};
};

}  // namespace gantry::server
