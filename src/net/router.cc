#include "net/router.h"

#include <algorithm>
#include <map>

#include "core/json_writer.h"

namespace gantry::net {
namespace {

/// Takes the next segment of "/a/b" off its front; the path must not be empty.
std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);
  const std::string_view segment = path.substr(0, std::min(path.find('/'), path.size()));
  path.remove_prefix(segment.size());
  return segment;
}

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

std::string_view prometheus_error_type(int status) {
  switch (status) {
    case 401:
    case 403:
      return "unauthorized";
    case 404:
      return "not_found";
    case 406:
      return "not_acceptable";
    case 408:
    case 504:
      return "timeout";
    case 499:
      return "canceled";
    case 422:
      return "execution";
    case 429:
    case 502:
    case 503:
      return "unavailable";
    default:
      return status >= 500 ? "internal" : "bad_data";
  }
}

}  // namespace

struct Router::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> parameter;
  std::unique_ptr<Node> rest;  // a leaf
  std::vector<const Route*> routes;

  /// The node's child for a pattern segment, made when absent.
  Node& child(std::string_view segment) {
    std::unique_ptr<Node>* slot = nullptr;
    if (!is_parameter(segment)) {
      slot = &literals[std::string(segment)];
    } else {
      slot = segment.ends_with("...}") ? &rest : &parameter;
    }
    if (*slot == nullptr) *slot = std::make_unique<Node>();
    return **slot;
  }

  /// The best node with routes for `path`; "" is this node itself.
  [[nodiscard]] const Node* find(std::string_view path) const {
    if (path.empty()) return routes.empty() ? nullptr : this;
    std::string_view below = path;
    const std::string_view segment = take_segment(below);
    if (const auto literal = literals.find(segment); literal != literals.end()) {
      if (const Node* found = literal->second->find(below)) return found;
    }
    if (segment.empty()) return nullptr;  // a trailing slash fills no parameter
    if (parameter != nullptr) {
      if (const Node* found = parameter->find(below)) return found;
    }
    return rest.get();
  }

  [[nodiscard]] const Route* route_for(Method method) const {
    const auto found = std::find_if(routes.begin(), routes.end(),
                                    [&](const Route* r) { return r->method == method; });
    return found == routes.end() ? nullptr : *found;
  }

  /// "GET, HEAD, POST", in order of registration.
  [[nodiscard]] std::string allow() const {
    std::string text;
    const auto append = [&](Method method) {
      if (!text.empty()) text += ", ";
      text += method_text(method);
    };
    for (const Route* route : routes) {
      append(route->method);
      if (route->method == Method::Get && route_for(Method::Head) == nullptr) {
        append(Method::Head);
      }
    }
    if (routes.front()->options.cors == Cors::Yes && route_for(Method::Options) == nullptr) {
      append(Method::Options);
    }
    return text;
  }
};

Response prometheus_error_response(const Request&, int status, std::string_view message) {
  std::string body;
  core::JsonWriter json(body);
  json.begin_object();
  json.key("status").string("error");
  json.key("errorType").string(prometheus_error_type(status));
  json.key("error").string(message, core::HtmlEscape::Yes);
  json.end_object();
  return json_response(status, std::move(body));
}

Router::Router() : root_(std::make_unique<Node>()), render_error_(prometheus_error_response) {}

Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

void Router::add(Method method, std::string_view pattern, RouteOptions options, Handler handler) {
  GANTRY_ASSERT(!pattern.empty() && pattern.front() == '/', "a pattern starts with a slash");
  GANTRY_ASSERT(handler != nullptr, "a route has a handler");
  if (options.name.empty()) options.name = pattern;
  routes_.push_back(std::make_unique<Route>(Route{.method = method,
                                                  .pattern = std::string(pattern),
                                                  .options = std::move(options),
                                                  .handler = std::move(handler)}));
  Node* node = root_.get();
  std::string_view left = routes_.back()->pattern;
  while (!left.empty()) {
    const std::string_view segment = take_segment(left);
    GANTRY_ASSERT(left.empty() || !segment.ends_with("...}"), "a rest parameter comes last");
    node = &node->child(segment);
  }
  GANTRY_ASSERT(node->route_for(method) == nullptr, "one route per method and pattern");
  node->routes.push_back(routes_.back().get());
}

void Router::mount(std::string_view prefix, const Router& other) {
  for (const auto& route : other.routes_) {
    add(route->method, std::string(prefix) + route->pattern, route->options, route->handler);
  }
}

void Router::set_error_renderer(ErrorRenderer render_error) {
  render_error_ = std::move(render_error);
}

namespace {

/// Walks pattern and path together: the pattern is known to fit.
std::vector<std::pair<std::string, std::string>> bind_parameters(std::string_view pattern,
                                                                 std::string_view path) {
  std::vector<std::pair<std::string, std::string>> bound;
  while (!pattern.empty()) {
    const std::string_view segment = take_segment(pattern);
    if (is_parameter(segment) && segment.ends_with("...}")) {
      bound.emplace_back(segment.substr(1, segment.size() - 5), path.substr(1));
      break;
    }
    const std::string_view value = take_segment(path);
    if (is_parameter(segment)) bound.emplace_back(segment.substr(1, segment.size() - 2), value);
  }
  return bound;
}

}  // namespace

RouteMatch Router::find(Method method, std::string_view path) const {
  RouteMatch match;
  const Node* node = root_->find(path);
  if (node == nullptr) return match;
  match.route = node->route_for(method);
  if (match.route == nullptr && method == Method::Head) match.route = node->route_for(Method::Get);
  if (match.route != nullptr) {
    match.status = 200;
    match.path_parameters = bind_parameters(match.route->pattern, path);
    return match;
  }
  match.sibling = node->routes.front();
  match.allow = node->allow();
  match.status = method == Method::Options && match.sibling->options.cors == Cors::Yes ? 204 : 405;
  return match;
}

}  // namespace gantry::net
