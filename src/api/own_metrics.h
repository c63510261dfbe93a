#pragma once

#include "api/services.h"
#include "net/router.h"

namespace gantry::api {

/// /metrics: Gantry's own metrics as text or OpenMetrics. Open to everybody who reaches the port,
/// as is usual for scraping, unless server.metrics_require_token asks for a token with
/// metrics:read.
void add_own_metrics_route(net::Router& router, const Services& services);

}  // namespace gantry::api
