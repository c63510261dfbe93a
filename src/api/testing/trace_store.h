#pragma once

// A trace store for tests of handlers: fixed spans to read, and a record of what was written.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "traceql/testing/memory_source.h"
#include "traces/store.h"

namespace gantry::api::testing {

class FixedTraceStore final : public traces::Store {
 public:
  using Append = std::function<Result<telemetry::SpanAppendResult>(const telemetry::SpanBatch&)>;

  explicit FixedTraceStore(std::vector<telemetry::SpanBatch> batches)
      : source_(std::move(batches), {.groups = 2}) {}

  Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) override {
    for (const telemetry::BatchSpan& span : batch.spans) appended.emplace_back(span.name);
    if (on_append) return on_append(batch);
    return telemetry::SpanAppendResult{.spans_written = batch.spans.size()};
  }

  [[nodiscard]] const traceql::SpanSource& source() const override { return source_; }

  Result<bool> delete_trace(const telemetry::TraceId& id) override {
    deleted.push_back(id);
    telemetry::SpanBatch found;
    GANTRY_CHECK(source_.find_trace(id, 0, 0, CancelToken(), found));
    return !found.spans.empty();
  }

  [[nodiscard]] traces::StoreStatistics statistics() const override { return {}; }

  Result<void> flush() override { return {}; }

  Result<void> merge_all() override { return {}; }

  void reconfigure(const traces::StoreOptions&) override {}

  Result<void> close() override { return {}; }

  std::vector<std::string> appended;  ///< Names of the spans.
  std::vector<telemetry::TraceId> deleted;
  Append on_append;  ///< Empty: everything is stored.

 private:
  traceql::testing::MemorySource source_;
};

}  // namespace gantry::api::testing
