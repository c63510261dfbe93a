#pragma once

// Which key traces are sampled by. The spans of a trace come in several requests, and not all of
// them name its session; whatever the first one said holds for the rest, so that a trace is sent
// whole or not at all.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/ids.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

/// Thread-safe. In memory only: the rest of a trace that a restart falls into is decided anew.
class TraceSessions {
 public:
  /// Of more traces the oldest are forgotten.
  explicit TraceSessions(std::size_t traces_max = 1 << 16);
  ~TraceSessions();
  TraceSessions(const TraceSessions&) = delete;
  TraceSessions& operator=(const TraceSessions&) = delete;

  /// The sampling key of the trace. `session`: what its spans say now; "" when they say nothing.
  [[nodiscard]] std::string key_of(StackId stack, const telemetry::TraceId& trace,
                                   std::string_view session);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::pipeline
