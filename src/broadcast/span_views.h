#pragma once

// What is put into the queue of a batch of spans: views for destinations, in items of a size that
// receivers take.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broadcast/filter_rules.h"
#include "core/error.h"
#include "telemetry/span_batch.h"

namespace gantry::broadcast {

/// Resource attribute (double) of what is sent to a destination that samples, so that counts can be
/// scaled.
inline constexpr std::string_view kSamplingRateKey = "gantry.sampling_rate";

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

/// Adds kSamplingRateKey to each resource, in the place of one that came along.
void set_sampling_rate(telemetry::SpanBatch& batch, double rate);

/// A batch with the resources, scopes, attributes, events and links of `from`, and no spans. Shares
/// its views.
void share_parts(const telemetry::SpanBatch& from, telemetry::SpanBatch& to);

/// Takes an item: an ExportTraceServiceRequest in protobuf with so many spans.
using ItemSink = std::function<void(std::string_view payload, std::uint32_t spans)>;

/// Encodes the spans of those groups that `kept` says (as long as `groups`). Groups stay together
/// unless they do not fit into `bytes_max`; then their spans are dealt out in order. A single span
/// that is larger is an item of its own. `batch` has the spans that `groups` was made of.
void encode_items(const telemetry::SpanBatch& batch, std::span<const TraceGroup> groups,
                  const std::vector<bool>& kept, std::size_t bytes_max, const ItemSink& sink);

}  // namespace gantry::broadcast
