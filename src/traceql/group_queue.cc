#include <algorithm>
#include <utility>

#include "traceql/group_queue_internal.h"

namespace gantry::traceql {

Result<void> GroupQueue::visit_group(std::size_t index,
                                     const std::function<Result<void>(SpanGroup&)>& visit) {
  GANTRY_CHECK(cancel_.check());
  GANTRY_TRY(const std::unique_ptr<SpanGroup> group, snapshot_.open(index));
  GANTRY_CHECK(visit(*group));
  const core::Lock lock(mutex_);
  statistics_.inspected_traces += group->counts().traces;
  statistics_.inspected_spans += group->counts().spans;
  statistics_.inspected_bytes += group->bytes_read();
  ++statistics_.completed_groups;
  return {};
}

Result<void> GroupQueue::run(const std::function<bool(const GroupBounds&)>& is_wanted,
                             const std::function<Result<void>(SpanGroup&)>& visit) {
  const std::span<const GroupBounds> groups = snapshot_.groups();
  const auto work = [&](std::size_t /*worker*/) {
    while (!has_failed_.load(std::memory_order_relaxed)) {
      const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= groups.size()) return;
      if (!is_wanted(groups[index])) continue;
      if (Result<void> visited = visit_group(index, visit); !visited) {
        has_failed_.store(true, std::memory_order_relaxed);
        const core::Lock lock(mutex_);
        if (!error_) error_ = std::move(visited).error();
      }
    }
  };
  if (workers_ == nullptr || groups.size() < 2) {
    work(0);
  } else {
    workers_->parallel_for(std::min(groups.size(), workers_->thread_count() + 1), work);
  }
  const core::Lock lock(mutex_);
  if (error_) return std::unexpected(*error_);
  return {};
}

SearchStatistics GroupQueue::statistics() const {
  const core::Lock lock(mutex_);
  SearchStatistics statistics = statistics_;
  for (const GroupBounds& group : snapshot_.groups()) {
    ++statistics.total_groups;
    statistics.total_bytes += group.bytes;
  }
  return statistics;
}

}  // namespace gantry::traceql
