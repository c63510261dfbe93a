#pragma once

// gRPC writes lines of its own to standard error. Here they become events of ours.

namespace gantry::net {

/// From now on, for the whole process: what gRPC calls an error is a warning, since nearly always
/// it is a peer's, and all else is for debugging. GRPC_VERBOSITY says what gRPC tells at all (if it
/// is not set, errors). Thread-safe; again: nothing happens.
void log_grpc_lines();

}  // namespace gantry::net
