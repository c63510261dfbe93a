#pragma once

// The Prometheus HTTP API over a stack's metrics. Each function adds its routes below "" (mount the
// router where the API should appear: "", "/prometheus", "/api/prom").

#include "api/services.h"
#include "net/router.h"

namespace gantry::api {

/// query, query_range, query_exemplars, format_query, parse_query.
void add_prometheus_query_routes(net::Router& router, const Services& services);

/// series, labels, label/{name}/values, metadata.
void add_prometheus_series_routes(net::Router& router, const Services& services);

/// status/*, rules, alerts, alertmanagers, targets, scrape_pools, features, notifications.
void add_prometheus_status_routes(net::Router& router, const Services& services);

/// admin/tsdb/{delete_series,clean_tombstones}; scope metrics:delete.
void add_prometheus_admin_routes(net::Router& router, const Services& services);

/// /federate.
void add_federate_route(net::Router& router, const Services& services);

}  // namespace gantry::api
