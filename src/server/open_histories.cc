#include "server/open_histories.h"

namespace gantry::server {

void OpenHistories::add(StackId stack, const std::shared_ptr<traces::Store>& store) {
  const core::Lock lock(mutex_);
  stores_[stack] = store;
}

std::shared_ptr<traces::Store> OpenHistories::find(StackId stack) {
  const core::Lock lock(mutex_);
  const auto found = stores_.find(stack);
  return found == stores_.end() ? nullptr : found->second.lock();
}

Result<traces::TracePage> OpenHistories::read(StackId stack,
                                              const traces::TracePageRequest& request,
                                              const CancelToken& cancel,
                                              telemetry::SpanBatch& batch) {
  const std::shared_ptr<traces::Store> store = find(stack);
  if (!store) return fail(Code::Unavailable, "the stack is not open");
  return traces::read_trace_page(store->source(), request, cancel, batch);
}

}  // namespace gantry::server
