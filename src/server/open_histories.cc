#include "server/open_histories.h"

namespace gantry::server {

void OpenHistories::add(StackId stack, const std::shared_ptr<traces::Store>& store) {
  const core::Lock lock(mutex_);
  stores_[stack] = store;
}

Result<traces::TracePage> OpenHistories::read(StackId stack,
                                              const traces::TracePageRequest& request,
                                              const CancelToken& cancel,
                                              telemetry::SpanBatch& batch) {
  std::shared_ptr<traces::Store> store;
  {
    const core::Lock lock(mutex_);
    if (const auto found = stores_.find(stack); found != stores_.end())
      store = found->second.lock();
  }
  if (!store) return fail(Code::Unavailable, "the stack is not open");
  return traces::read_trace_page(store->source(), request, cancel, batch);
}

}  // namespace gantry::server
