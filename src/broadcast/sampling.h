#pragma once

// Deterministic sampling: a session, or else a trace, is whole or absent; raising the rate only
// adds.

#include <string_view>

namespace gantry::broadcast {

/// u = the first 8 bytes, big-endian, of SHA-256(destination id, 0x00, key) / 2^64; kept when rate
/// is 1 or u < rate. `key`: the session id, else the trace id in 32 hex digits.
[[nodiscard]] bool is_sampled(std::string_view destination_id, std::string_view key, double rate);

}  // namespace gantry::broadcast
