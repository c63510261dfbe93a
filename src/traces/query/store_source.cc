#include "traces/query/store_source.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "traces/query/trace_lookup.h"
#include "traces/query/without_traces.h"

namespace gantry::traces {
namespace {

using traceql::GroupBounds;
using traceql::OpenRequest;

/// Merges give way as long as it lives.
class RunningQuery {
 public:
  explicit RunningQuery(std::shared_ptr<StoreState> state) : state_(std::move(state)) {
    state_->queries_running.fetch_add(1, std::memory_order_relaxed);
  }

  ~RunningQuery() { state_->queries_running.fetch_sub(1, std::memory_order_relaxed); }

  RunningQuery(const RunningQuery&) = delete;
  RunningQuery& operator=(const RunningQuery&) = delete;

 private:
  std::shared_ptr<StoreState> state_;
};

bool overlaps(const GroupBounds& bounds, const OpenRequest& request) {
  return bounds.start_ns_min <= request.end_ns && bounds.end_ns_max >= request.start_ns;
}

class StoreSnapshot final : public traceql::SpanSnapshot {
 public:
  StoreSnapshot(std::shared_ptr<StoreState> state, StoreMoment moment, const OpenRequest& request)
      : query_(std::move(state)),
        moment_(std::move(moment)),
        start_ns_(request.start_ns),
        end_ns_(request.end_ns) {}

  Result<void> find_groups(const OpenRequest& request, const CancelToken& cancel);

  [[nodiscard]] std::span<const GroupBounds> groups() const override { return bounds_; }

  Result<std::unique_ptr<traceql::SpanGroup>> open(std::size_t group) const override;

  [[nodiscard]] std::vector<std::string> warnings() const override;

 private:
  struct Place {
    const SegmentMoment* segment = nullptr;  ///< Or else:
    const Block* block = nullptr;
    std::size_t group = 0;
  };

  void add_segment(const SegmentMoment& segment, const OpenRequest& request);
  Result<void> add_block(const Block& block, const OpenRequest& request);
  Result<std::unique_ptr<StoredGroup>> open_visible(const Place& place) const;
  void add(const GroupBounds& bounds, const Place& place);

  RunningQuery query_;
  const StoreMoment moment_;
  const std::int64_t start_ns_;
  const std::int64_t end_ns_;
  std::vector<GroupBounds> bounds_;
  std::vector<Place> places_;
};

void StoreSnapshot::add(const GroupBounds& bounds, const Place& place) {
  bounds_.push_back(bounds);
  places_.push_back(place);
}

void StoreSnapshot::add_segment(const SegmentMoment& segment, const OpenRequest& request) {
  if (!segment.segment || segment.mark.table.counts.spans == 0) return;
  const GroupBounds& bounds = segment.mark.table.bounds;
  if (overlaps(bounds, request)) add(bounds, {.segment = &segment});
}

Result<void> StoreSnapshot::add_block(const Block& block, const OpenRequest& request) {
  const std::span<const GroupBounds> groups = block.reader->groups();
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!overlaps(groups[i], request)) continue;
    if (!request.required.empty()) {
      GANTRY_TRY(const bool may_have, block.reader->may_have(i, request.required));
      if (!may_have) continue;
    }
    add(groups[i], {.block = &block, .group = i});
  }
  return {};
}

Result<void> StoreSnapshot::find_groups(const OpenRequest& request, const CancelToken& cancel) {
  add_segment(moment_.live, request);
  add_segment(moment_.sealing, request);
  for (const auto& block : moment_.view->blocks) {
    GANTRY_CHECK(cancel.check());
    GANTRY_CHECK(add_block(*block, request));
  }
  std::vector<std::size_t> order(bounds_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](std::size_t i) { return bounds_[i].trace_start_ns_max; });
  std::vector<GroupBounds> bounds;
  std::vector<Place> places;
  for (const std::size_t i : order) {
    bounds.push_back(bounds_[i]);
    places.push_back(places_[i]);
  }
  bounds_ = std::move(bounds);
  places_ = std::move(places);
  return {};
}

Result<std::unique_ptr<StoredGroup>> StoreSnapshot::open_visible(const Place& place) const {
  std::unique_ptr<StoredGroup> group;
  if (place.segment != nullptr) {
    group = place.segment->segment->table().snapshot(place.segment->mark.table);
  } else {
    GANTRY_TRY(group, place.block->reader->open_group(place.group));
  }
  const bool may_hide = place.segment == nullptr
                            ? moment_.may_hide()
                            : place.segment == &moment_.sealing && moment_.live.mark.adopted > 0;
  if (!may_hide) return group;
  GANTRY_TRY(const auto ids, group->trace_ids());
  std::vector<std::uint32_t> hidden;
  for (std::uint32_t trace = 0; trace < ids.size(); ++trace) {
    const bool is_hidden = place.segment == nullptr ? moment_.hides(ids[trace], *place.block)
                                                    : moment_.live.has_adopted(ids[trace]);
    if (is_hidden) hidden.push_back(trace);
  }
  return without_traces(std::move(group), hidden);
}

Result<std::unique_ptr<traceql::SpanGroup>> StoreSnapshot::open(std::size_t group) const {
  return open_visible(places_[group]);
}

std::vector<std::string> StoreSnapshot::warnings() const {
  std::vector<std::string> out;
  for (const QuarantinedBlock& block : moment_.view->quarantined) {
    if (block.start_ns_min > end_ns_ || block.end_ns_max < start_ns_) continue;
    out.push_back(fmt::format("trace block {} was damaged and set aside: its traces are missing",
                              block.name));
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<traceql::SpanSnapshot>> StoreSource::open(const OpenRequest& request,
                                                                 const CancelToken& cancel) const {
  GANTRY_CHECK(cancel.check());
  auto snapshot = std::make_unique<StoreSnapshot>(state_, state_->moment(), request);
  GANTRY_CHECK(snapshot->find_groups(request, cancel));
  return snapshot;
}

Result<void> StoreSource::find_trace(const telemetry::TraceId& id, std::int64_t /*start_ns*/,
                                     std::int64_t /*end_ns*/, const CancelToken& cancel,
                                     telemetry::SpanBatch& batch) const {
  batch.clear();
  GANTRY_CHECK(cancel.check());
  const RunningQuery query(state_);
  const StoreMoment moment = state_->moment();
  const SpanTable& live = moment.live.segment->table();
  if (const auto trace = live.find_trace(id, moment.live.mark.table)) {
    return read_traces(*live.snapshot(moment.live.mark.table), {&*trace, 1}, batch);
  }
  TraceLookup lookup(moment);
  GANTRY_CHECK(lookup.find(id));
  return lookup.read(cancel, batch);
}

}  // namespace gantry::traces
