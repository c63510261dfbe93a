#pragma once

// The rules of stacks at work: what a stack receives passes them before it is stored and sent on.

#include <functional>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/time.h"
#include "metrics/store.h"
#include "pipeline/ruled_spans.h"
#include "pipeline/stack_rules.h"
#include "state/db.h"
#include "telemetry/append_result.h"
#include "telemetry/metric_batch.h"
#include "telemetry/span_batch.h"
#include "traces/store.h"

namespace gantry::server {

/// Keeps the rules of every stack as the state database has them. Rules change between two
/// requests, never within one. What they drop counts as accepted for the sender, and in
/// gantry_pipeline_dropped_total. A stack without rules pays one atomic load a request.
/// Thread-safe, but for start and stop.
class StackPipelines {
 public:
  /// All must outlive it.
  struct Environment {
    state::Db& db;
    core::MetricRegistry& registry;
    const Clock& clock;
    /// Spans that a stack took and sampling left out: rates count them. Any thread.
    std::function<void(StackId, const telemetry::SpanBatch&)> observe = {};
  };

  explicit StackPipelines(Environment environment);

  /// stop()
  ~StackPipelines();
  StackPipelines(const StackPipelines&) = delete;
  StackPipelines& operator=(const StackPipelines&) = delete;

  /// Reads the rules, and follows them from then on. Until it has returned, nothing may be
  /// received: what rules are to keep off the disk must not slip in before they are known. Errors:
  /// the database's; DataLoss: rules that cannot be read.
  Result<void> start();

  /// Rules may have changed. Returns at once; they are read again soon, on a thread of its own.
  void notify();

  /// Reads now: what was committed before holds when it returns. Errors: as `start`; the rules stay
  /// as they were, and are read again every few seconds.
  Result<void> refresh();

  /// No change is followed any more, and what aggregations have not finished is appended. The
  /// stores are open, and nothing is received any more.
  void stop();

  /// The store of a stack that takes what the stack's rules leave. `traces`, `metrics`: what is
  /// behind it, with all that is derived and sent on.
  [[nodiscard]] std::shared_ptr<traces::Store> attach(StackId stack,
                                                      std::shared_ptr<traces::Store> traces);
  [[nodiscard]] std::shared_ptr<metrics::Store> attach(StackId stack,
                                                       std::shared_ptr<metrics::Store> metrics);

  /// Appends behind the rules: what Gantry itself measured is not what the stack receives. Errors:
  /// the store's; Unavailable: the stack is not open.
  Result<telemetry::AppendResult> append_own(StackId stack, const telemetry::MetricBatch& batch);

  /// Null: none for spans. For those that decide about LLM calls.
  [[nodiscard]] std::shared_ptr<const pipeline::StackRules> span_rules(StackId stack) const;

  /// What becomes of one trace by `rules`, counted when it is not kept. `session`: "" when it has
  /// none.
  pipeline::TraceFate decide(const pipeline::StackRules& rules, StackId stack,
                             const telemetry::TraceId& trace, std::string_view session,
                             const pipeline::EventFields& fields);

  /// Shows spans that sampling left out to whoever counts them.
  void observe(StackId stack, const telemetry::SpanBatch& sampled_out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::server
