#include "access/use_counters.h"

namespace gantry::access {

void UseCounters::add(std::string_view token_id, std::string_view code) {
  {
    const core::ReadLock lock(mutex_);
    if (const auto of_token = counters_.find(token_id); of_token != counters_.end())
      if (const auto found = of_token->second.find(code); found != of_token->second.end()) {
        found->second->add();
        return;
      }
  }
  core::Counter& counter = registry_.counter(
      "gantry_token_requests_total", "Requests by token and by status of the answer.",
      {{"token_id", std::string(token_id)}, {"code", std::string(code)}});
  counter.add();
  const core::WriteLock lock(mutex_);
  counters_[std::string(token_id)].emplace(code, &counter);
}

}  // namespace gantry::access
