#include "net/router.h"

#include <gtest/gtest.h>

namespace gantry::net {
namespace {

Handler named(std::string name) {
  return [name](Request&) { return text_response(200, name); };
}

/// The handler's name and bound parameters, or the status and Allow.
std::string describe(const Router& router, Method method, std::string_view path) {
  const RouteMatch match = router.find(method, path);
  if (match.route == nullptr) return std::to_string(match.status) + " " + match.allow;
  Request request;
  std::string text = match.route->handler(request).body;
  for (const auto& [name, value] : match.path_parameters) text += " " + name + "=" + value;
  return text;
}

Router sample() {
  Router router;
  router.add(Method::Get, "/", {}, named("root"));
  router.add(Method::Get, "/api/v1/query", {.cors = Cors::Yes}, named("query"));
  router.add(Method::Post, "/api/v1/query", {.cors = Cors::Yes}, named("query_post"));
  router.add(Method::Get, "/api/v1/label/{name}/values", {}, named("values"));
  router.add(Method::Get, "/api/v1/label/special/values", {}, named("special"));
  router.add(Method::Get, "/api/v1/label/special/more", {}, named("more"));
  router.add(Method::Get, "/console/{path...}", {}, named("console"));
  router.add(Method::Post, "/write", {}, named("write"));
  return router;
}

struct RouteCase {
  std::string_view name;
  Method method;
  std::string_view path, expected;
};

class RouterFind : public testing::TestWithParam<RouteCase> {};

TEST_P(RouterFind, FindsTheRoute) {
  EXPECT_EQ(describe(sample(), GetParam().method, GetParam().path), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Routes, RouterFind,
    testing::Values(
        RouteCase{"root", Method::Get, "/", "root"},
        RouteCase{"literal", Method::Get, "/api/v1/query", "query"},
        RouteCase{"by_method", Method::Post, "/api/v1/query", "query_post"},
        RouteCase{"head_is_get", Method::Head, "/api/v1/query", "query"},
        RouteCase{"parameter", Method::Get, "/api/v1/label/job/values", "values name=job"},
        RouteCase{"literal_wins", Method::Get, "/api/v1/label/special/values", "special"},
        RouteCase{"back_from_a_dead_literal", Method::Get, "/api/v1/label/special/values/x",
                  "404 "},
        RouteCase{"parameter_is_not_empty", Method::Get, "/api/v1/label//values", "404 "},
        RouteCase{"rest", Method::Get, "/console/a/b.js", "console path=a/b.js"},
        RouteCase{"rest_keeps_trailing_slash", Method::Get, "/console/a/", "console path=a/"},
        RouteCase{"rest_is_not_empty", Method::Get, "/console/", "404 "},
        RouteCase{"rest_needs_a_segment", Method::Get, "/console", "404 "},
        RouteCase{"trailing_slash_is_another_path", Method::Get, "/api/v1/query/", "404 "},
        RouteCase{"inner_node", Method::Get, "/api/v1", "404 "},
        RouteCase{"unknown", Method::Get, "/nope", "404 "},
        RouteCase{"wrong_method", Method::Delete, "/api/v1/query", "405 GET, HEAD, POST, OPTIONS"},
        RouteCase{"wrong_method_without_get", Method::Get, "/write", "405 POST"},
        RouteCase{"head_without_get", Method::Head, "/write", "405 POST"},
        RouteCase{"unknown_method", Method::Other, "/write", "405 POST"},
        RouteCase{"preflight", Method::Options, "/api/v1/query", "204 GET, HEAD, POST, OPTIONS"},
        RouteCase{"options_without_cors", Method::Options, "/write", "405 POST"}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(Router, BacktracksFromALiteralToAParameter) {
  Router router;
  router.add(Method::Get, "/a/b/c", {}, named("literal"));
  router.add(Method::Get, "/a/{x}/d", {}, named("parameter"));
  router.add(Method::Get, "/{rest...}", {}, named("rest"));
  EXPECT_EQ(describe(router, Method::Get, "/a/b/d"), "parameter x=b");
  EXPECT_EQ(describe(router, Method::Get, "/a/b/e"), "rest rest=a/b/e");
}

TEST(Router, MountsUnderSeveralPrefixesWithOneName) {
  Router root;
  const Router api = sample();
  for (const std::string_view prefix : {"", "/prometheus", "/api/prom"}) root.mount(prefix, api);
  for (const std::string_view path :
       {"/api/v1/label/job/values", "/prometheus/api/v1/label/job/values",
        "/api/prom/api/v1/label/job/values"}) {
    EXPECT_EQ(describe(root, Method::Get, path), "values name=job");
    EXPECT_EQ(root.find(Method::Get, path).route->options.name, "/api/v1/label/{name}/values");
  }
  EXPECT_EQ(describe(root, Method::Get, "/other/api/v1/query"), "404 ");
}

TEST(RouterDeathTest, RefusesPatternsThatCannotWork) {
  Router router = sample();
  EXPECT_DEATH(router.add(Method::Get, "/", {}, named("again")), "one route per method");
  EXPECT_DEATH(router.add(Method::Get, "no/slash", {}, named("x")), "starts with a slash");
  EXPECT_DEATH(router.add(Method::Get, "/{rest...}/x", {}, named("x")), "comes last");
  EXPECT_DEATH(router.add(Method::Get, "/y", {}, nullptr), "has a handler");
}

TEST(PrometheusErrorResponse, EscapesWhatTheClientSent) {
  const Response response = prometheus_error_response({}, 404, "no such path: /<b>\"");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.find("content-type"), "application/json");
  EXPECT_EQ(
      response.body,
      R"({"status":"error","errorType":"not_found","error":"no such path: /\u003cb\u003e\""})");
}

}  // namespace
}  // namespace gantry::net
