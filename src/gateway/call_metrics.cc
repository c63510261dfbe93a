#include "gateway/call_metrics.h"

namespace gantry::gateway {

struct CallMetrics::Stack {
  Stack(access::OrgId its_org, GatewayMetrics::Options options)
      : org(its_org), metrics(registry, options) {}

  const access::OrgId org;
  core::MetricRegistry registry;
  GatewayMetrics metrics;
};

CallMetrics::CallMetrics(core::MetricRegistry& registry, GatewayMetrics::Options options)
    : options_(options), all_(registry, options) {}

CallMetrics::~CallMetrics() = default;

void CallMetrics::observe(const Generation& generation, const GatewayKey* key) {
  all_.observe(generation);
  if (key != nullptr) stack_of(*key)->metrics.observe(generation);
}

std::shared_ptr<CallMetrics::Stack> CallMetrics::stack_of(const GatewayKey& key) {
  {
    const core::ReadLock lock(mutex_);
    if (const auto found = stacks_.find(key.stack); found != stacks_.end()) return found->second;
  }
  const core::WriteLock lock(mutex_);
  auto& stack = stacks_[key.stack];
  if (!stack) stack = std::make_shared<Stack>(key.org, options_);
  return stack;
}

std::vector<CallMetrics::OfStack> CallMetrics::stacks() const {
  std::vector<OfStack> all;
  const core::ReadLock lock(mutex_);
  for (const auto& [id, stack] : stacks_)
    all.push_back(
        {.org = stack->org,
         .stack = id,
         .registry = std::shared_ptr<const core::MetricRegistry>(stack, &stack->registry)});
  return all;
}

void CallMetrics::forget(StackId stack) {
  const core::WriteLock lock(mutex_);
  stacks_.erase(stack);
}

}  // namespace gantry::gateway
