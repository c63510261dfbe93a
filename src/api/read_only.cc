#include "api/read_only.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "api/prometheus.h"
#include "api/prometheus_support.h"
#include "api/tempo.h"

namespace gantry::api {
namespace {

using net::Method;

constexpr std::array kEveryMethod = {Method::Get,    Method::Post,    Method::Put,
                                     Method::Delete, Method::Options, Method::Patch};

struct Allowed {
  std::string_view pattern;
  bool takes_post = false;
};

/// What is found below a mount.
struct Surface {
  access::Scope scope = access::Scope::MetricsRead;
  std::span<const Allowed> allowed;  ///< All there is.
  /// Known elsewhere and kept away from here: each of these and what is below it.
  std::span<const std::string_view> withheld;
};

/// Spelt as in the routers that the handlers come from.
constexpr std::array kMetricsAllowed = {
    Allowed{"/api/v1/query", true},
    Allowed{"/api/v1/query_range", true},
    Allowed{"/api/v1/query_exemplars", true},
    Allowed{"/api/v1/series", true},
    Allowed{"/api/v1/labels", true},
    Allowed{"/api/v1/format_query", true},
    Allowed{"/api/v1/parse_query", true},
    Allowed{"/api/v1/label/{name}/values"},
    Allowed{"/api/v1/metadata"},
    Allowed{"/api/v1/status/buildinfo"},
    Allowed{"/api/v1/rules"},
    Allowed{"/api/v1/alerts"},
    Allowed{"/federate"},
    Allowed{"/-/healthy"},
    Allowed{"/-/ready"},
};

constexpr std::array<std::string_view, 20> kMetricsWithheld = {"api/v1/admin",
                                                               "api/v1/write",
                                                               "api/v1/push",
                                                               "api/v1/otlp",
                                                               "api/v1/read",
                                                               "api/v1/status",
                                                               "api/v1/targets",
                                                               "api/v1/scrape_pools",
                                                               "api/v1/features",
                                                               "api/v1/alertmanagers",
                                                               "api/v1/notifications",
                                                               "-/reload",
                                                               "-/quit",
                                                               "debug",
                                                               "metrics",
                                                               "graph",
                                                               "consoles",
                                                               "config",
                                                               "api/v1/search",
                                                               "user"};

constexpr Surface kMetrics = {
    .scope = access::Scope::MetricsRead, .allowed = kMetricsAllowed, .withheld = kMetricsWithheld};

constexpr std::array kTracesAllowed = {
    Allowed{"/api/echo"},
    Allowed{"/api/status/buildinfo"},
    Allowed{"/api/search"},
    Allowed{"/api/search/tags"},
    Allowed{"/api/search/tag/{path...}"},
    Allowed{"/api/v2/search/tags"},
    Allowed{"/api/v2/search/tag/{path...}"},
    Allowed{"/api/traces/{id}"},
    Allowed{"/api/v2/traces/{id}"},
    Allowed{"/api/metrics/query"},
    Allowed{"/api/metrics/query_range"},
};

constexpr std::array<std::string_view, 8> kTracesWithheld = {
    "api/overrides", "api/mcp", "api/v2/traces/diff", "flush", "shutdown", "status",
    "metrics",       "v1"};

constexpr Surface kTraces = {
    .scope = access::Scope::TracesRead, .allowed = kTracesAllowed, .withheld = kTracesWithheld};

bool is_withheld(const Surface& surface, std::string_view path) {
  return std::ranges::any_of(surface.withheld, [&](std::string_view withheld) {
    return path.starts_with(withheld) &&
           (path.size() == withheld.size() || path[withheld.size()] == '/');
  });
}

bool is_allowed(const Surface& surface, const net::Route& route) {
  const auto found = std::ranges::find(surface.allowed, route.pattern, &Allowed::pattern);
  if (found == surface.allowed.end()) return false;
  return route.method == Method::Get || (found->takes_post && route.method == Method::Post);
}

/// Somebody typed the address into a browser: nothing that a program sends looks like this.
bool is_navigation(const net::Request& request) {
  return request.method == Method::Get && request.headers.find("Sec-Fetch-Mode") == "navigate" &&
         request.headers.find("Accept").contains("text/html") &&
         !request.headers.contains("Authorization") && !request.headers.contains("X-Gantry-Token");
}

net::Response redirect_to_sign_in() {
  net::Response response{.status = 302};
  response.headers.add("Location", "/login");
  return response;
}

/// What every answer of this endpoint has, whoever asks.
net::Handler harden(net::Handler handler) {
  return [handler = std::move(handler)](net::Request& request) {
    // Some proxies choose an encoding that a data source cannot read; gzip all of them can.
    const bool takes_gzip = request.headers.find("Accept-Encoding").contains("gzip");
    request.headers.set("Accept-Encoding", takes_gzip ? "gzip" : "identity");
    net::Response response = is_navigation(request) ? redirect_to_sign_in() : handler(request);
    response.headers.set("Cache-Control", "no-store");
    response.headers.set("X-Content-Type-Options", "nosniff");
    response.headers.set("Cross-Origin-Resource-Policy", "same-origin");
    return response;
  };
}

net::Response wrong_method(std::string_view allow) {
  net::Response response =
      error_response({.status = 405, .type = "bad_data", .message = "method not allowed"});
  response.headers.set("Allow", std::string(allow));
  return response;
}

net::Router make_prometheus_router(const Services& services) {
  net::Router whole;
  add_prometheus_query_routes(whole, services);
  add_prometheus_series_routes(whole, services);
  add_prometheus_status_routes(whole, services);
  add_federate_route(whole, services);
  const auto add_health = [&](std::string_view path, std::string_view name, std::string_view text) {
    add_prometheus_route(
        whole, Method::Get, path, {.name = std::string(name)}, services, access::Scope::MetricsRead,
        [text](net::Request&, const access::StackView&) -> ApiResult<net::Response> {
          return net::text_response(200, std::string(text));
        });
  };
  add_health("/-/healthy", "healthy", "Gantry is healthy.\n");
  add_health("/-/ready", "ready", "Gantry is ready.\n");
  return whole;
}

ApiResult<net::Response> refuse_unknown(const Surface& surface, const net::Request& request) {
  if (is_withheld(surface, request.path_parameter("path"))) return not_for_restricted();
  return std::unexpected(ApiError{.status = 404, .type = "not_found", .message = "not found"});
}

/// What `whole` has of `surface`, and refusals for everything else.
void add_surface(net::Router& router, std::string_view mount, const Services& services,
                 const Surface& surface, const net::Router& whole) {
  const std::string root(mount);
  const std::string scope(access::scope_name(surface.scope));
  const auto add = [&](Method method, const std::string& path, std::string_view name,
                       net::Handler handler) {
    router.add(method, path, {.name = "read_only_" + std::string(name), .access = scope},
               harden(std::move(handler)));
  };
  for (const auto& route : whole.routes())
    if (is_allowed(surface, *route))
      add(route->method, root + route->pattern, route->options.name, route->handler);

  // The rest is refused, but only to who has a token; a preflight carries none, and all paths
  // answer it alike.
  const auto refuse = [&](Method method, StackHandler handler) {
    return method == Method::Options
               ? net::Handler([](net::Request&) { return wrong_method("GET"); })
               : admit_prometheus(services, surface.scope, std::move(handler));
  };
  for (const Allowed& allowed : surface.allowed) {
    for (const Method method : kEveryMethod) {
      if (method == Method::Get || (method == Method::Post && allowed.takes_post)) continue;
      const std::string_view allow = allowed.takes_post ? "GET, HEAD, POST" : "GET, HEAD";
      add(method, root + std::string(allowed.pattern), "wrong_method",
          refuse(method,
                 [allow](net::Request&, const access::StackView&) -> ApiResult<net::Response> {
                   return wrong_method(allow);
                 }));
    }
  }
  for (const std::string_view withheld : surface.withheld) {
    for (const Method method : kEveryMethod)
      add(method, fmt::format("{}/{}", root, withheld), "withheld",
          refuse(method, [](net::Request&, const access::StackView&) -> ApiResult<net::Response> {
            return not_for_restricted();
          }));
  }
  for (const Method method : kEveryMethod) {
    const net::Handler handler =
        refuse(method, [&surface](net::Request& request, const access::StackView&) {
          return refuse_unknown(surface, request);
        });
    add(method, root, "unknown", handler);
    add(method, root + "/{path...}", "unknown", handler);
  }
}

}  // namespace

void add_read_only_routes(net::Router& router, std::string_view mount, const Services& services) {
  add_surface(router, mount, services, kMetrics, make_prometheus_router(services));
}

void add_read_only_trace_routes(net::Router& router, std::string_view mount,
                                const Services& services) {
  net::Router tempo;
  add_tempo_routes(tempo, services, TempoRefusals::Json);
  add_surface(router, mount, services, kTraces, tempo);
}

}  // namespace gantry::api
