#pragma once

#include <cstddef>
#include <cstdint>

#include "telemetry/span_batch.h"

namespace gantry::traces {

/// Random for each process: senders choose the ids.
[[nodiscard]] std::uint64_t hash_of(const telemetry::TraceId& id);

/// For the standard's containers.
struct TraceIdHash {
  [[nodiscard]] std::size_t operator()(const telemetry::TraceId& id) const { return hash_of(id); }
};

}  // namespace gantry::traces
