#pragma once

// Every request becomes a trace of Gantry's own.

#include "collect/own_traces.h"
#include "net/grpc_server.h"
#include "net/router.h"

namespace gantry::server {

/// The same routes, each recorded as a server span named by method and pattern. `traces` must
/// outlive the router.
[[nodiscard]] net::Router trace_requests(const net::Router& router, collect::OwnTraces& traces);

[[nodiscard]] net::GrpcHandler trace_requests(net::GrpcHandler handler, collect::OwnTraces& traces);

}  // namespace gantry::server
