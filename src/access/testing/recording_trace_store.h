#pragma once

// A trace store without spans that counts what is asked of it.

#include <memory>
#include <string>

#include "traces/store.h"

namespace gantry::access::testing {

class NoSpans final : public traceql::SpanSource {
 public:
  Result<std::unique_ptr<traceql::SpanSnapshot>> open(const traceql::OpenRequest&,
                                                      const CancelToken&) const override {
    return fail(Code::Internal, "not asked here");
  }

  Result<void> find_trace(const telemetry::TraceId&, std::int64_t, std::int64_t, const CancelToken&,
                          telemetry::SpanBatch&) const override {
    return {};
  }
};

class RecordingTraceStore final : public traces::Store {
 public:
  Result<telemetry::SpanAppendResult> append(const telemetry::SpanBatch& batch) override {
    calls += "append ";
    return telemetry::SpanAppendResult{.spans_written = batch.spans.size()};
  }

  [[nodiscard]] const traceql::SpanSource& source() const override { return empty; }

  Result<bool> delete_trace(const telemetry::TraceId&) override {
    calls += "delete ";
    return true;
  }

  [[nodiscard]] traces::StoreStatistics statistics() const override { return {}; }

  Result<void> flush() override { return {}; }

  Result<void> merge_all() override { return {}; }

  void reconfigure(const traces::StoreOptions&) override { calls += "reconfigure "; }

  Result<void> close() override {
    calls += "close ";
    return close_result;
  }

  NoSpans empty;
  std::string calls;
  Result<void> close_result;
};

}  // namespace gantry::access::testing
