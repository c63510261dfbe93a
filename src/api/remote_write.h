#pragma once

#include "api/services.h"
#include "net/router.h"

namespace gantry::api {

/// Prometheus remote write 1.0 and 2.0 at /api/v1/write and /api/v1/push, and Grafana Cloud's
/// /api/prom/push.
void add_remote_write_routes(net::Router& router, const Services& services);

}  // namespace gantry::api
