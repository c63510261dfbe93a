#include "server/readiness.h"

#include <gtest/gtest.h>

namespace gantry::server {
namespace {

net::Response call(const net::Router& router, std::string_view path) {
  net::Request request;
  request.path = path;
  const auto match = router.find(net::Method::Get, path);
  return match.route == nullptr ? net::Response{.status = match.status}
                                : match.route->handler(request);
}

TEST(ReadinessTest, NothingButHealthIsServedUntilReady) {
  Readiness readiness;
  net::Router plain;
  plain.add(net::Method::Get, "/x", {}, [](net::Request&) { return net::text_response(200, "x"); });
  net::Router router = serve_when_ready(plain, readiness);
  add_health_routes(router, readiness);

  EXPECT_EQ(call(router, "/x").status, 503);
  EXPECT_TRUE(call(router, "/x").headers.contains("Retry-After"));
  EXPECT_EQ(call(router, "/-/ready").status, 503);
  EXPECT_EQ(call(router, "/-/healthy").status, 200);
  readiness.set(true);
  EXPECT_EQ(call(router, "/x").status, 200);
  EXPECT_EQ(call(router, "/-/ready").status, 200);
  readiness.set(false);
  EXPECT_EQ(call(router, "/x").status, 503);
}

TEST(ReadinessTest, ARouteSaysItInItsOwnWay) {
  const Readiness readiness;
  net::Router plain;
  plain.add(net::Method::Get, "/x",
            {.render_error = [](const net::Request&, int status,
                                std::string_view) { return net::text_response(status, "mine"); }},
            [](net::Request&) { return net::Response{}; });
  EXPECT_EQ(call(serve_when_ready(plain, readiness), "/x").body, "mine");
}

TEST(ReadinessTest, GrpcIsUnavailableUntilReady) {
  Readiness readiness;
  const net::GrpcHandler handler =
      serve_when_ready([](net::GrpcRequest&) { return net::GrpcResponse{}; }, readiness);
  net::GrpcRequest request;
  EXPECT_EQ(handler(request).code, net::RpcCode::Unavailable);
  readiness.set(true);
  EXPECT_EQ(handler(request).code, net::RpcCode::Ok);
}

}  // namespace
}  // namespace gantry::server
