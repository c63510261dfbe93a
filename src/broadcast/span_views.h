#pragma once

// What is put into the queue of a batch of spans: views for destinations, in items of a size that
// receivers take.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "pipeline/trace_groups.h"
#include "telemetry/span_batch.h"

namespace gantry::broadcast {

using pipeline::group_by_trace;
using pipeline::GroupFields;
using pipeline::share_parts;
using pipeline::trace_id_hex;
using pipeline::TraceGroup;

/// Resource attribute (double) of what is sent to a destination that samples, so that counts can be
/// scaled.
inline constexpr std::string_view kSamplingRateKey = "gantry.sampling_rate";

/// Adds kSamplingRateKey to each resource, in the place of one that came along.
void set_sampling_rate(telemetry::SpanBatch& batch, double rate);

/// Takes an item: an ExportTraceServiceRequest in protobuf with so many spans.
using ItemSink = std::function<void(std::string_view payload, std::uint32_t spans)>;

/// Encodes the spans of those groups that `kept` says (as long as `groups`). Groups stay together
/// unless they do not fit into `bytes_max`; then their spans are dealt out in order. A single span
/// that is larger is an item of its own. `batch` has the spans that `groups` was made of.
void encode_items(const telemetry::SpanBatch& batch, std::span<const TraceGroup> groups,
                  const std::vector<bool>& kept, std::size_t bytes_max, const ItemSink& sink);

}  // namespace gantry::broadcast
