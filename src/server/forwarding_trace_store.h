#pragma once

// A trace store in front of another, for those that look at what is appended.

#include <memory>
#include <utility>

#include "traces/store.h"

namespace gantry::server {

/// Hands every call on. As thread-safe as what is behind it.
class ForwardingTraceStore : public traces::Store {
 public:
  explicit ForwardingTraceStore(std::shared_ptr<traces::Store> store) : store_(std::move(store)) {}

  Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) override {
    return store_->append(batch);
  }

  [[nodiscard]] const traceql::SpanSource& source() const override { return store_->source(); }

  Result<bool> delete_trace(const telemetry::TraceId& id) override {
    return store_->delete_trace(id);
  }

  [[nodiscard]] traces::StoreStatistics statistics() const override { return store_->statistics(); }

  Result<void> flush() override { return store_->flush(); }

  Result<void> merge_all() override { return store_->merge_all(); }

  void reconfigure(const traces::StoreOptions& options) override { store_->reconfigure(options); }

  Result<void> close() override { return store_->close(); }

 private:
  const std::shared_ptr<traces::Store> store_;
};

}  // namespace gantry::server
