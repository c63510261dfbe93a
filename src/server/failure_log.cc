#include "server/failure_log.h"

#include "core/log.h"
#include "core/time.h"

namespace gantry::server {

FailureLog::Line FailureLog::note(std::string_view task, const Result<void>& result) {
  if (result) {
    if (tasks_.erase(std::string(task)) == 0 || !tasks_.empty()) return Line::None;
    logged_.clear();
    log::info(recovered_, {{"after_ms", (monotonic_ns() - since_ns_) / 1'000'000}});
    return Line::Recovered;
  }
  if (tasks_.empty()) since_ns_ = monotonic_ns();
  tasks_.emplace(task);
  if (!logged_.insert(result.error().code).second) return Line::None;
  log::warn(failing_, {{"task", task}, {"error", result.error().message}});
  return Line::Failing;
}

}  // namespace gantry::server
