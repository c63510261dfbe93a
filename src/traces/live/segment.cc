#include "traces/live/segment.h"

#include <unordered_set>
#include <vector>

#include "traces/table/trace_id_hash.h"

namespace gantry::traces {

std::vector<std::uint32_t> Segment::adopt(const telemetry::SpanBatch& older) {
  // All spans of a trace are in `older`, so what is decided before the first append holds for all.
  std::unordered_set<telemetry::TraceId, TraceIdHash> seen;
  std::unordered_set<telemetry::TraceId, TraceIdHash> wanted;
  std::vector<std::uint32_t> spans;
  for (std::uint32_t span = 0; span < older.spans.size(); ++span) {
    const telemetry::TraceId& id = older.spans[span].trace_id;
    if (seen.insert(id).second && !table_.has_appended(id)) wanted.insert(id);
    if (wanted.contains(id)) spans.push_back(span);
  }
  for (const telemetry::TraceId& id : wanted) {
    const auto number = static_cast<std::uint32_t>(adopted_.size());
    adopted_.push_back(id);
    adopted_index_.insert(hash_of(id), number);
  }
  table_.append(older, spans);
  return spans;
}

void Segment::publish() {
  // Under one lock: who sees the table's rows must know which traces to hide elsewhere, and who
  // hides a trace elsewhere must see it here.
  const core::Lock lock(mutex_);
  table_.publish();
  published_ = {.table = table_.mark(), .adopted = adopted_.size()};
}

Segment::Mark Segment::mark() const {
  const core::Lock lock(mutex_);
  return published_;
}

bool Segment::has_adopted(const telemetry::TraceId& id, const Mark& mark) const {
  if (mark.adopted == 0) return false;
  const std::uint32_t number = adopted_index_.find(
      hash_of(id), [&](std::uint32_t candidate) { return adopted_[candidate] == id; });
  return number < mark.adopted;
}

}  // namespace gantry::traces
