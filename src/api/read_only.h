#pragma once

// The read-only bearer endpoint: the parts of the Prometheus API and of Tempo's that a data source
// needs, for tokens that can do nothing but read.
//
// It has handlers of its own, made from services whose gate stands at the read-only door: no
// handler that changes anything is among them. Every request below the mount is authenticated
// before its path is looked at, so that nobody without a token learns which paths there are.

#include "api/services.h"
#include "net/router.h"

namespace gantry::api {

/// Adds everything below `mount` ("/metrics-api-bearer"). `services.gate` must be one of
/// Gate::Door::ReadOnlyBearer; `services` must outlive the router.
void add_read_only_routes(net::Router& router, std::string_view mount, const Services& services);

/// The same for traces, below "/traces-api-bearer".
void add_read_only_trace_routes(net::Router& router, std::string_view mount,
                                const Services& services);

}  // namespace gantry::api
