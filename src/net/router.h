#pragma once

// Which handler answers a method and a path.
//
//   Router api;
//   api.add(Method::Get, "/api/v1/label/{name}/values", {.name = "label_values"}, handler);
//   Router root;
//   for (const auto prefix : {"", "/prometheus", "/api/prom"}) root.mount(prefix, api);
//
// A pattern is made of literal segments, `{name}` (one segment) and, as the last one, `{name...}`
// (the rest of the path, at least one segment). A literal segment wins over a parameter, a
// parameter over a rest. HEAD goes to the GET route when it has none of its own.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "net/http.h"

namespace gantry::net {

/// Where a handler runs. Ingest and queries have pools of their own, so that one cannot starve the
/// other.
enum class RunsOn : std::uint8_t {
  QueryPool,
  IngestPool,
  IoThread,  ///< For handlers of microseconds that never block: health checks answer when the pools
             ///< are full.
};

enum class Cors : std::uint8_t {
  No,   ///< OPTIONS is refused with 405 unless a route for it exists.
  Yes,  ///< OPTIONS answers 204, and answers carry Access-Control-* as the server's origin pattern
        ///< allows.
};

/// How an API says what the server itself found wrong with a request (404, 405, 413, 503, …). The
/// server adds Allow, Retry-After and Connection to the answer.
using ErrorRenderer =
    std::function<Response(const Request& request, int status, std::string_view message)>;

/// {"status":"error","errorType":"…","error":"…"}, as the Prometheus API.
[[nodiscard]] Response prometheus_error_response(const Request& request, int status,
                                                 std::string_view message);

struct RouteOptions {
  std::string name;  ///< `handler` label in metrics; the pattern when empty. Survives `mount`.
  RunsOn runs_on = RunsOn::QueryPool;
  /// Asked on an I/O thread about a whole request. True: its handler will not block and is done
  /// within some 100 µs, so it runs there at once, which saves two changes of thread. Empty: no.
  std::function<bool(const Request&)> is_quick;
  std::uint64_t body_bytes_max = 1ULL << 20;  ///< As sent. One more byte is answered with 413.
  std::string body_setting = "http.body_bytes_max";  ///< Named by that answer.
  Cors cors = Cors::No;
  std::string access;  ///< What a caller needs: the name of a scope, "session" (somebody signed
                       ///< in), "any token", or "public"; the handler sees to it. Survives `mount`.
  ErrorRenderer render_error;  ///< Empty: the router's.
};

struct Route {
  Method method = Method::Get;
  std::string pattern;
  RouteOptions options;
  Handler handler;
};

/// What `Router::find` found: either a route, or the status that says why there is none.
struct RouteMatch {
  const Route* route = nullptr;
  int status = 404;   ///< When route is nullptr: 404, 405 (with `allow`) or 204 (CORS preflight).
  std::string allow;  ///< For 405 and 204: "GET, HEAD, POST".
  const Route* sibling = nullptr;  ///< For 405 and 204: a route of the same path.
  std::vector<std::pair<std::string, std::string>> path_parameters;
};

/// Built once before the server starts, then only read: `find` is thread-safe when nobody adds.
class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  /// Asserts that the pattern is well-formed and that the method has no route there yet.
  void add(Method method, std::string_view pattern, RouteOptions options, Handler handler);

  /// Adds a copy of each of `other`'s routes below `prefix` ("" or "/prometheus").
  void mount(std::string_view prefix, const Router& other);

  /// For unknown paths, and for routes without their own. prometheus_error_response by default.
  void set_error_renderer(ErrorRenderer render_error);

  [[nodiscard]] const ErrorRenderer& error_renderer() const { return render_error_; }

  /// `path` as Request::path. O(segments) unless patterns overlap.
  [[nodiscard]] RouteMatch find(Method method, std::string_view path) const;

  [[nodiscard]] const std::vector<std::unique_ptr<Route>>& routes() const { return routes_; }

 private:
  struct Node;

  std::unique_ptr<Node> root_;
  std::vector<std::unique_ptr<Route>> routes_;
  ErrorRenderer render_error_;
};

/// Decodes a request path once, for routing, authorisation and handlers alike. Errors:
/// InvalidArgument for what could be read in two ways: no leading '/', empty segments inside
/// ("//"),
/// "." and ".." segments raw or encoded, '\', ';', %2f, %5c, control characters, broken escapes,
/// bytes that are not UTF-8. A trailing slash is kept.
[[nodiscard]] Result<std::string> normalise_path(std::string_view raw_path);

}  // namespace gantry::net
