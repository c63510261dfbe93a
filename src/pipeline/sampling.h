#pragma once

// Deterministic sampling: a session, or else a trace, is whole or absent; raising the rate only
// adds.

#include <string_view>

namespace gantry::pipeline {

/// u = the first 8 bytes, big-endian, of SHA-256(owner, 0x00, key) / 2^64; kept when rate
/// is 1 or u < rate. `owner`: of the rate: the id of a destination,
/// or the instance id of a stack. `key`: the session id, else the trace id in 32 hex digits.
[[nodiscard]] bool is_sampled(std::string_view owner, std::string_view key, double rate);

}  // namespace gantry::pipeline
