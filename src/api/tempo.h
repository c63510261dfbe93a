#pragma once

// Tempo's HTTP API over a stack's traces. Source of paths, shapes and texts: grafana/tempo,
// pkg/api and modules/frontend (3.x), and what Grafana's data source and Traces Drilldown ask.

#include <cstdint>

#include "api/services.h"
#include "net/router.h"

namespace gantry::api {

/// How callers are refused who may not come in. Everything else is text, as Tempo answers it.
enum class TempoRefusals : std::uint8_t {
  Text,
  Json,  ///< As the read-only endpoint answers.
};

/// Below "" (mount the router at "" and "/tempo"): api/echo, api/status/buildinfo, api/search,
/// api/{,v2/}traces/{id}, api/{,v2/}search/tags, api/{,v2/}search/tag/{name}/values,
/// api/metrics/query{,_range}. GET only; scope traces:read.
void add_tempo_routes(net::Router& router, const Services& services,
                      TempoRefusals refusals = TempoRefusals::Text);

/// DELETE api/traces/{id}: 204, or 404 when there is no such trace. Scope traces:delete.
void add_tempo_delete_route(net::Router& router, const Services& services);

}  // namespace gantry::api
