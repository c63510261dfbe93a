#include "traces/table/trace_id_hash.h"

#include <string_view>

#include "core/hash.h"

namespace gantry::traces {

std::uint64_t hash_of(const telemetry::TraceId& id) {
  const std::string_view bytes(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
  return core::hash64(bytes, core::process_hash_seed());
}

}  // namespace gantry::traces
