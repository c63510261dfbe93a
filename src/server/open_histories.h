#pragma once

// The stores of this process as they are behind their broadcasting: for replays, and for spans that
// destinations get in another form.

#include <map>
#include <memory>

#include "broadcast/replayer.h"
#include "core/ids.h"
#include "core/mutex.h"
#include "metrics/sample_slice.h"
#include "metrics/store.h"
#include "traces/store.h"

namespace gantry::server {

/// Thread-safe. Keeps no store open but for the time of a read, or while a slice of it lives.
class OpenHistories final : public broadcast::TraceHistory, public broadcast::MetricHistory {
 public:
  /// Takes the place of an earlier store of the stack.
  void add(StackId stack, const std::shared_ptr<traces::Store>& store);

  void add(StackId stack, const std::shared_ptr<metrics::Store>& store);

  /// Null: the stack is not open.
  [[nodiscard]] std::shared_ptr<traces::Store> find(StackId stack);

  Result<traces::TracePage> read(StackId stack, const traces::TracePageRequest& request,
                                 const CancelToken& cancel, telemetry::SpanBatch& batch) override;

  Result<std::unique_ptr<metrics::SampleSlice>> open_slice(
      StackId stack, const metrics::SampleSliceRequest& request,
      const CancelToken& cancel) override;

 private:
  core::Mutex mutex_;
  std::map<StackId, std::weak_ptr<traces::Store>> stores_ GANTRY_GUARDED_BY(mutex_);
  std::map<StackId, std::weak_ptr<metrics::Store>> metrics_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::server
