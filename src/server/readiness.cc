#include "server/readiness.h"

#include <string_view>
#include <utility>

namespace gantry::server {
namespace {

constexpr std::string_view kNotReady = "Gantry is not ready: it is starting or stopping";

}  // namespace

net::Router serve_when_ready(const net::Router& router, const Readiness& readiness) {
  net::Router guarded;
  guarded.set_error_renderer(router.error_renderer());
  for (const auto& route : router.routes()) {
    const net::ErrorRenderer render =
        route->options.render_error ? route->options.render_error : router.error_renderer();
    guarded.add(route->method, route->pattern, route->options,
                [&readiness, render, handler = route->handler](net::Request& request) {
                  if (readiness.is_ready()) return handler(request);
                  net::Response response = render(request, 503, kNotReady);
                  response.headers.set("Retry-After", "5");
                  return response;
                });
  }
  return guarded;
}

net::GrpcHandler serve_when_ready(net::GrpcHandler handler, const Readiness& readiness) {
  return [&readiness, handler = std::move(handler)](net::GrpcRequest& request) {
    if (readiness.is_ready()) return handler(request);
    return net::GrpcResponse{.code = net::RpcCode::Unavailable, .message = std::string(kNotReady)};
  };
}

void add_health_routes(net::Router& router, const Readiness& readiness) {
  router.add(net::Method::Get, "/-/healthy",
             {.name = "healthy", .runs_on = net::RunsOn::IoThread, .access = "public"},
             [](net::Request&) { return net::text_response(200, "Gantry is healthy.\n"); });
  router.add(net::Method::Get, "/-/ready",
             {.name = "ready", .runs_on = net::RunsOn::IoThread, .access = "public"},
             [&readiness](net::Request&) {
               return readiness.is_ready() ? net::text_response(200, "Gantry is ready.\n")
                                           : net::text_response(503, "Gantry is not ready.\n");
             });
}

}  // namespace gantry::server
