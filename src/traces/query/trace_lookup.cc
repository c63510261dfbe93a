#include "traces/query/trace_lookup.h"

#include <algorithm>
#include <utility>

#include "traces/query/without_traces.h"

namespace gantry::traces {

Result<void> read_traces(StoredGroup& group, std::span<const std::uint32_t> traces,
                         telemetry::SpanBatch& batch) {
  GANTRY_TRY(const std::vector<std::uint32_t> rows, rows_of_traces(group, traces));
  return read_spans(group, rows, batch);
}

void TraceLookup::add(const Block* block, std::uint32_t group, std::uint32_t trace) {
  const auto found = std::ranges::find_if(
      places_, [&](const Place& place) { return place.block == block && place.group == group; });
  Place& place =
      found != places_.end() ? *found : places_.emplace_back(Place{.block = block, .group = group});
  place.traces.push_back(trace);
}

Result<bool> TraceLookup::find(const telemetry::TraceId& id) {
  if (moment_.sealing.segment) {
    const auto trace = moment_.sealing.segment->table().find_trace(id, moment_.sealing.mark.table);
    if (trace) {
      add(nullptr, 0, *trace);
      return true;
    }
  }
  for (const auto& block : moment_.view->blocks) {
    GANTRY_TRY(const bool may_contain, block->reader->may_contain(id));
    if (!may_contain || moment_.hides(id, *block)) continue;
    GANTRY_TRY(const std::optional<TracePlace> place, block->reader->find_trace(id));
    if (!place) continue;
    add(block.get(), place->group, place->trace);
    return true;
  }
  return false;
}

Result<void> TraceLookup::read(Place& place, telemetry::SpanBatch& batch) {
  std::ranges::sort(place.traces);
  if (place.block == nullptr) {
    const SegmentMoment& sealing = moment_.sealing;
    return read_traces(*sealing.segment->table().snapshot(sealing.mark.table), place.traces, batch);
  }
  GANTRY_TRY(const auto group, place.block->reader->open_group(place.group));
  return read_traces(*group, place.traces, batch);
}

Result<void> TraceLookup::read(const CancelToken& cancel, telemetry::SpanBatch& batch) {
  for (Place& place : std::exchange(places_, {})) {
    GANTRY_CHECK(cancel.check());
    GANTRY_CHECK(read(place, batch));
  }
  return {};
}

}  // namespace gantry::traces
