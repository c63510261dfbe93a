#include "traceql/testing/memory_source.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "core/mutex.h"
#include "traceql/testing/memory_group_internal.h"

namespace gantry::traceql::testing {

namespace {

/// One span, and the batch that it is in.
struct SpanRef {
  const telemetry::SpanBatch* batch = nullptr;
  std::uint32_t index = 0;

  [[nodiscard]] const telemetry::BatchSpan& span() const { return batch->spans[index]; }
};

struct Trace {
  std::vector<SpanRef> spans;
  std::uint64_t start_ns = std::numeric_limits<std::uint64_t>::max();
};

class MemorySnapshot final : public SpanSnapshot {
 public:
  MemorySnapshot(std::vector<std::shared_ptr<const MemoryGroupData>> groups,
                 std::atomic<std::size_t>& opened)
      : groups_(std::move(groups)), opened_(opened) {
    for (const auto& group : groups_) bounds_.push_back(group->bounds);
  }

  [[nodiscard]] std::span<const GroupBounds> groups() const override { return bounds_; }

  Result<std::unique_ptr<SpanGroup>> open(std::size_t group) const override {
    opened_.fetch_add(1, std::memory_order_relaxed);
    return make_memory_group(groups_.at(group));
  }

 private:
  std::vector<std::shared_ptr<const MemoryGroupData>> groups_;
  std::vector<GroupBounds> bounds_;
  std::atomic<std::size_t>& opened_;
};

std::string_view table_name(std::optional<Table> table) {
  if (!table) return "any";
  switch (*table) {
    case Table::Span:
      return "span";
    case Table::Resource:
      return "resource";
    case Table::Event:
      return "event";
    case Table::Link:
      return "link";
    case Table::Instrumentation:
      return "instrumentation";
  }
  return "";
}

}  // namespace

struct MemorySource::State {
  std::vector<telemetry::SpanBatch> batches;
  std::vector<std::shared_ptr<const MemoryGroupData>> groups;
  core::Mutex mutex;
  std::vector<std::string> last_required GANTRY_GUARDED_BY(mutex);
};

MemorySource::MemorySource(std::vector<telemetry::SpanBatch> batches, MemorySourceOptions options)
    : state_(std::make_shared<State>()) {
  state_->batches = std::move(batches);
  std::map<telemetry::TraceId, Trace> by_id;
  for (const telemetry::SpanBatch& batch : state_->batches) {
    for (std::uint32_t i = 0; i < batch.spans.size(); ++i) {
      Trace& trace = by_id[batch.spans[i].trace_id];
      trace.spans.push_back({.batch = &batch, .index = i});
      trace.start_ns = std::min(trace.start_ns, batch.spans[i].start_ns);
    }
  }
  std::vector<const Trace*> traces;
  for (const auto& [id, trace] : by_id) traces.push_back(&trace);
  std::ranges::stable_sort(traces, std::greater<>{}, &Trace::start_ns);

  const std::size_t count = std::min(options.groups, traces.size());
  std::vector<MemoryGroupBuilder> builders(count);
  for (std::size_t t = 0; t < traces.size(); ++t) {
    const std::size_t group =
        options.split == GroupSplit::Interleaved ? t % count : t * count / traces.size();
    builders[group].begin_trace(traces[t]->spans.front().span().trace_id);
    for (const SpanRef& ref : traces[t]->spans) builders[group].add(*ref.batch, ref.span());
  }
  for (MemoryGroupBuilder& builder : builders) {
    state_->groups.push_back(std::move(builder).finish());
  }
  std::ranges::stable_sort(state_->groups, std::greater<>{},
                           [](const auto& group) { return group->bounds.trace_start_ns_max; });
}

MemorySource::~MemorySource() = default;

Result<std::unique_ptr<SpanSnapshot>> MemorySource::open(const OpenRequest& request,
                                                         const CancelToken& cancel) const {
  GANTRY_CHECK(cancel.check());
  std::vector<std::string> required;
  for (const RequiredText& text : request.required) {
    required.push_back(std::string(table_name(text.table)) + ' ' + std::string(text.key) + '=' +
                       std::string(text.text));
  }
  {
    const core::Lock lock(state_->mutex);
    state_->last_required = std::move(required);
  }
  std::vector<std::shared_ptr<const MemoryGroupData>> groups;
  for (const auto& group : state_->groups) {
    if (group->bounds.start_ns_min > request.end_ns) continue;
    if (group->bounds.end_ns_max < request.start_ns) continue;
    groups.push_back(group);
  }
  return std::make_unique<MemorySnapshot>(std::move(groups), opened_groups_);
}

Result<void> MemorySource::find_trace(const telemetry::TraceId& id, std::int64_t /*start_ns*/,
                                      std::int64_t /*end_ns*/, const CancelToken& cancel,
                                      telemetry::SpanBatch& batch) const {
  GANTRY_CHECK(cancel.check());
  for (const telemetry::SpanBatch& from : state_->batches) {
    for (const telemetry::BatchSpan& span : from.spans) {
      if (span.trace_id == id) telemetry::copy_span(from, span, batch);
    }
  }
  return {};
}

std::vector<std::string> MemorySource::last_required() const {
  const core::Lock lock(state_->mutex);
  return state_->last_required;
}

}  // namespace gantry::traceql::testing
