#pragma once

#include "api/services.h"
#include "net/router.h"

namespace gantry::api {

/// Influx line protocol on Grafana Cloud's path and on InfluxDB's v1 and v2 paths, with the few
/// other calls that such clients make first (/query for CREATE DATABASE, /ping, /health).
void add_influx_routes(net::Router& router, const Services& services);

}  // namespace gantry::api
