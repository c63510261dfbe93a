#include "api/read_only.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/prometheus.h"
#include "api/prometheus_support.h"

namespace gantry::api {
namespace {

using net::Method;

constexpr std::array kEveryMethod = {Method::Get,    Method::Post,    Method::Put,
                                     Method::Delete, Method::Options, Method::Patch};

struct Allowed {
  std::string_view pattern;
  bool takes_post = false;
};

/// All there is. Spelt as in the routers that the handlers come from.
constexpr std::array kAllowed = {
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

/// Known elsewhere and kept away from here: each of these and what is below it.
constexpr std::array<std::string_view, 20> kWithheld = {"api/v1/admin",
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

bool is_withheld(std::string_view path) {
  return std::ranges::any_of(kWithheld, [&](std::string_view withheld) {
    return path.starts_with(withheld) &&
           (path.size() == withheld.size() || path[withheld.size()] == '/');
  });
}

const Allowed* find_allowed(const net::Route& route) {
  const auto* const found = std::ranges::find(kAllowed, route.pattern, &Allowed::pattern);
  if (found == kAllowed.end()) return nullptr;
  const bool takes =
      route.method == Method::Get || (found->takes_post && route.method == Method::Post);
  return takes ? found : nullptr;
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

/// The handlers that the Prometheus API has for what is allowed here.
std::vector<const net::Route*> pick_routes(const net::Router& whole) {
  std::vector<const net::Route*> picked;
  for (const auto& route : whole.routes())
    if (find_allowed(*route) != nullptr) picked.push_back(route.get());
  return picked;
}

net::Router make_whole_router(const Services& services) {
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

}  // namespace

void add_read_only_routes(net::Router& router, std::string_view mount, const Services& services) {
  const net::Router whole = make_whole_router(services);
  const std::string root(mount);
  const std::string scope(access::scope_name(access::Scope::MetricsRead));
  const auto add = [&](Method method, const std::string& path, std::string name,
                       net::Handler handler) {
    router.add(method, path, {.name = "read_only_" + std::move(name), .access = scope},
               harden(std::move(handler)));
  };
  for (const net::Route* route : pick_routes(whole))
    add(route->method, root + route->pattern, route->options.name, route->handler);

  // The rest is refused, but only to who has a token.
  const auto refuse = [&](StackHandler handler) {
    return admit_prometheus(services, access::Scope::MetricsRead, std::move(handler));
  };
  for (const Allowed& allowed : kAllowed) {
    for (const Method method : kEveryMethod) {
      if (method == Method::Get || (method == Method::Post && allowed.takes_post)) continue;
      const std::string_view allow = allowed.takes_post ? "GET, HEAD, POST" : "GET, HEAD";
      // A preflight carries no token, and all paths answer it alike.
      net::Handler handler =
          method == Method::Options
              ? net::Handler([](net::Request&) { return wrong_method("GET"); })
              : refuse(
                    [allow](net::Request&, const access::StackView&) -> ApiResult<net::Response> {
                      return wrong_method(allow);
                    });
      add(method, root + std::string(allowed.pattern), "wrong_method", std::move(handler));
    }
  }
  for (const Method method : kEveryMethod) {
    net::Handler handler = method == Method::Options
                               ? net::Handler([](net::Request&) { return wrong_method("GET"); })
                               : refuse([](net::Request& request,
                                           const access::StackView&) -> ApiResult<net::Response> {
                                   if (is_withheld(request.path_parameter("path")))
                                     return std::unexpected(ApiError{
                                         .status = 403,
                                         .type = "unauthorized",
                                         .message = "endpoint not available on the read-only API"});
                                   return std::unexpected(ApiError{
                                       .status = 404, .type = "not_found", .message = "not found"});
                                 });
    add(method, root, "unknown", handler);
    add(method, root + "/{path...}", "unknown", std::move(handler));
  }
}

}  // namespace gantry::api
