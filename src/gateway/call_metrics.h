#pragma once

// Finished calls as metrics: all of them for who runs the server, and those of each stack for the
// stack.

#include <map>
#include <memory>
#include <vector>

#include "access/principal.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "gateway/gateway_metrics.h"
#include "gateway/generation.h"
#include "gateway/key_rows.h"

namespace gantry::gateway {

/// Thread-safe.
class CallMetrics {
 public:
  /// What a stack's calls have added up to since its first one here.
  struct OfStack {
    access::OrgId org;
    StackId stack;
    std::shared_ptr<const core::MetricRegistry> registry;
  };

  /// `registry`, the server's, must outlive it.
  CallMetrics(core::MetricRegistry& registry, GatewayMetrics::Options options);
  ~CallMetrics();
  CallMetrics(const CallMetrics&) = delete;
  CallMetrics& operator=(const CallMetrics&) = delete;

  /// `key`: whose call it was. Null: nobody's, refused before a key was known.
  void observe(const Generation& generation, const GatewayKey* key);

  /// Those that had a call.
  [[nodiscard]] std::vector<OfStack> stacks() const;

  /// The stack is gone.
  void forget(StackId stack);

 private:
  struct Stack;

  std::shared_ptr<Stack> stack_of(const GatewayKey& key);

  const GatewayMetrics::Options options_;
  GatewayMetrics all_;
  mutable core::SharedMutex mutex_;
  std::map<StackId, std::shared_ptr<Stack>> stacks_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::gateway
