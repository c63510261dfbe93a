#include "server/routes.h"

#include <string_view>
#include <utility>

#include "api/influx.h"
#include "api/otlp.h"
#include "api/own_metrics.h"
#include "api/prometheus.h"
#include "api/read_only.h"
#include "api/remote_write.h"
#include "api/tempo.h"
#include "server/traced_routes.h"

namespace gantry::server {
namespace {

net::Router recorded(const net::Router& router, collect::OwnTraces* traces) {
  if (traces != nullptr) return trace_requests(router, *traces);
  net::Router copy;
  copy.set_error_renderer(router.error_renderer());
  copy.mount("", router);
  return copy;
}

}  // namespace

std::shared_ptr<const net::Router> make_main_router(const api::Services& services,
                                                    const net::Router& administration,
                                                    const api::Services& read_only,
                                                    const Readiness& readiness,
                                                    collect::OwnTraces* traces) {
  net::Router prometheus;
  api::add_prometheus_query_routes(prometheus, services);
  api::add_prometheus_series_routes(prometheus, services);
  api::add_prometheus_status_routes(prometheus, services);
  api::add_prometheus_admin_routes(prometheus, services);
  api::add_federate_route(prometheus, services);

  net::Router everything;
  // The root, and the two prefixes that Grafana Cloud's data source URLs have.
  for (const std::string_view prefix : {"", "/prometheus", "/api/prom"})
    everything.mount(prefix, prometheus);
  net::Router tempo;
  api::add_tempo_routes(tempo, services);
  api::add_tempo_delete_route(tempo, services);
  for (const std::string_view prefix : {"", "/tempo"}) everything.mount(prefix, tempo);
  api::add_remote_write_routes(everything, services);
  api::add_influx_routes(everything, services);
  api::add_otlp_routes(everything, services);
  everything.mount("", administration);
  for (const std::string_view mount : {"/metrics-api-bearer", "/api/readonly/prometheus"})
    api::add_read_only_routes(everything, mount, read_only);
  api::add_read_only_trace_routes(everything, "/traces-api-bearer", read_only);

  net::Router router = serve_when_ready(recorded(everything, traces), readiness);
  add_health_routes(router, readiness);
  // Ungated: the metrics of a start that takes long are of interest.
  api::add_own_metrics_route(router, services);
  return std::make_shared<const net::Router>(std::move(router));
}

std::shared_ptr<const net::Router> make_otlp_router(const api::Services& services,
                                                    const Readiness& readiness,
                                                    collect::OwnTraces* traces) {
  net::Router otlp;
  api::add_otlp_routes(otlp, services);
  net::Router router = serve_when_ready(recorded(otlp, traces), readiness);
  add_health_routes(router, readiness);
  return std::make_shared<const net::Router>(std::move(router));
}

std::vector<net::GrpcMethod> make_grpc_methods(const api::Services& services,
                                               const Readiness& readiness,
                                               collect::OwnTraces* traces) {
  std::vector<net::GrpcMethod> methods = api::otlp_grpc_methods(services);
  for (net::GrpcMethod& method : methods) {
    if (traces != nullptr) method.handler = trace_requests(std::move(method.handler), *traces);
    method.handler = serve_when_ready(std::move(method.handler), readiness);
  }
  return methods;
}

}  // namespace gantry::server
