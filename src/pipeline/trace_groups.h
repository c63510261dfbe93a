#pragma once

// The traces in a batch of spans: what decides about whole traces goes by these.

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/filter_rules.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

/// The spans of one trace in a batch, by their indexes, and what they say of the trace: each field
/// is that of the first span which has it. Views into the batch.
struct TraceGroup {
  telemetry::TraceId trace_id;
  std::vector<std::uint32_t> spans;
  EventFields fields;
};

/// Whether groups have their fields: to look for them costs more than the grouping.
enum class GroupFields : bool { Skip, Read };

/// In the order in which the batch first has them. The fields are those of the semantic conventions
/// for generative AI, under their present and their former names.
[[nodiscard]] std::vector<TraceGroup> group_by_trace(const telemetry::SpanBatch& batch,
                                                     GroupFields fields);

/// "0af7651916cd43dd8448eb211c80319c"
[[nodiscard]] std::string trace_id_hex(const telemetry::TraceId& id);

/// A batch with the resources, scopes, attributes, events and links of `from`, and no spans. Shares
/// its views.
void share_parts(const telemetry::SpanBatch& from, telemetry::SpanBatch& to);

}  // namespace gantry::pipeline
