#pragma once

// Finished calls on their way to the destinations of their stack.

#include <string>
#include <string_view>
#include <utility>

#include "broadcast/broadcaster.h"
#include "core/ids.h"
#include "gateway/generation.h"
#include "gateway/generation_trace.h"
#include "pipeline/stack_rules.h"

namespace gantry::gateway {

/// What destinations decide by. Views into `generation` and `sampling_key`, which is that of the
/// call (see call_sampling_key).
[[nodiscard]] broadcast::EventFacts call_facts(const Generation& generation,
                                               std::string_view sampling_key);

/// The session id, else the trace id in 32 hex digits.
[[nodiscard]] std::string call_sampling_key(const Generation& generation);

/// Offers finished calls to a broadcaster. Thread-safe.
class GenerationBroadcast {
 public:
  /// `broadcaster` outlives it.
  GenerationBroadcast(broadcast::Broadcaster& broadcaster, TraceOptions options)
      : broadcaster_(broadcaster), options_(std::move(options)) {}

  /// Returns when the call is in the queue, on disk: not for I/O threads. `rules`: those of the
  /// stack, which edit what destinations get; null: none.
  void offer(StackId stack, const Generation& generation,
             const pipeline::StackRules* rules = nullptr) const;

 private:
  broadcast::Broadcaster& broadcaster_;
  const TraceOptions options_;
};

}  // namespace gantry::gateway
