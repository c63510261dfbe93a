#include "server/open_histories.h"

#include <string_view>
#include <utility>
#include <vector>

namespace gantry::server {
namespace {

/// Keeps the store open.
metrics::DescribeFamily describing(std::shared_ptr<metrics::Store> store) {
  return [store = std::move(store)](std::string_view family) {
    std::vector<metrics::MetadataEntry> entries;
    if (family.empty()) return entries;  // would be all
    for (auto& [name, known] : store->metadata(family)) entries = std::move(known);
    return entries;
  };
}

}  // namespace

void OpenHistories::add(StackId stack, const std::shared_ptr<traces::Store>& store) {
  const core::Lock lock(mutex_);
  stores_[stack] = store;
}

void OpenHistories::add(StackId stack, const std::shared_ptr<metrics::Store>& store) {
  const core::Lock lock(mutex_);
  metrics_[stack] = store;
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

Result<std::unique_ptr<metrics::SampleSlice>> OpenHistories::open_slice(
    StackId stack, const metrics::SampleSliceRequest& request, const CancelToken& cancel) {
  std::shared_ptr<metrics::Store> store;
  {
    const core::Lock lock(mutex_);
    if (const auto found = metrics_.find(stack); found != metrics_.end())
      store = found->second.lock();
  }
  if (!store) return fail(Code::Unavailable, "the stack is not open");
  return metrics::open_sample_slice(store->source(), describing(store), request, cancel);
}

}  // namespace gantry::server
