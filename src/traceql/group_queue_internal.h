#pragma once

// Works through the groups of a snapshot, several at once.

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "core/cancel.h"
#include "core/error.h"
#include "core/mutex.h"
#include "traceql/engine.h"
#include "traceql/span_source.h"

namespace gantry::traceql {

/// Statistics and the first error of a query, from whatever thread.
class GroupQueue {
 public:
  /// All must outlive it.
  GroupQueue(const SpanSnapshot& snapshot, core::WorkerPool* workers, const CancelToken& cancel)
      : snapshot_(snapshot), workers_(workers), cancel_(cancel) {}

  /// What is done with a group. Returns after each group has been opened and visited, or skipped
  /// because `is_wanted` was false when its turn came, or after the first error. Groups are taken
  /// newest first; `visit` and `is_wanted` are called from several threads at once. Errors: what
  /// `visit` returned, those of opening, Cancelled, DeadlineExceeded.
  Result<void> run(const std::function<bool(const GroupBounds&)>& is_wanted,
                   const std::function<Result<void>(SpanGroup&)>& visit);

  /// After `run`.
  [[nodiscard]] SearchStatistics statistics() const;

 private:
  Result<void> visit_group(std::size_t index, const std::function<Result<void>(SpanGroup&)>& visit);

  const SpanSnapshot& snapshot_;
  core::WorkerPool* workers_;
  const CancelToken& cancel_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> has_failed_ = false;
  mutable core::Mutex mutex_;
  std::optional<Error> error_ GANTRY_GUARDED_BY(mutex_);
  SearchStatistics statistics_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::traceql
