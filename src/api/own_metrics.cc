#include "api/own_metrics.h"

#include "api/prometheus_support.h"
#include "codec/exposition.h"

namespace gantry::api {
namespace {

net::Response expose(const Services& services, const net::Request& request) {
  const auto choice = codec::negotiate_exposition(request.headers.find("Accept"));
  net::Response response;
  response.headers.set("Content-Type", codec::exposition_content_type(choice));
  codec::write_exposition(choice, services.registry.collect(), response.body);
  return response;
}

}  // namespace

void add_own_metrics_route(net::Router& router, const Services& services) {
  net::Handler handler = [&services](net::Request& request) { return expose(services, request); };
  if (services.metrics_require_token) {
    handler =
        admit_prometheus(services, access::Scope::MetricsRead,
                         [&services](net::Request& request,
                                     const access::StackView& view) -> ApiResult<net::Response> {
                           if (!view.sees_server()) return not_for_restricted();
                           return expose(services, request);
                         });
  }
  router.add(net::Method::Get, "/metrics",
             {.name = "metrics",
              .access = services.metrics_require_token
                            ? std::string(access::scope_name(access::Scope::MetricsRead))
                            : "public"},
             std::move(handler));
}

}  // namespace gantry::api
