#include "server/routes.h"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "access/scope.h"
#include "net/client.h"
#include "server/server.h"

namespace gantry::server {
namespace {

/// What may answer without knowing who asks; whoever adds to it says why here.
/// - liveness and readiness: probes of orchestrators have no tokens
/// - /metrics: its own metrics, unless server.metrics_require_token
/// - /ping and /health: what InfluxDB clients try before they send their token
/// - /login and what signing in takes; the page /account, which shows nothing by itself
/// - /api/v1/accesspolicies/config: which scopes there are, as in Grafana Cloud
/// and signing in at a provider, /login/oidc/…, when one is set.
const std::set<std::string, std::less<>> kPublic = {"/-/healthy",
                                                    "/-/ready",
                                                    "/metrics",
                                                    "/ping",
                                                    "/health",
                                                    "/influx/health",
                                                    "/login",
                                                    "/login/password",
                                                    "/login/style.css",
                                                    "/login/script.js",
                                                    "/account",
                                                    "/api/session",
                                                    "/api/session/link",
                                                    "/api/session/link/password",
                                                    "/api/v1/accesspolicies/config"};

class RoutesTest : public testing::Test {
 protected:
  RoutesTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "gantry-routes-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    Config config;
    config.data = (directory_ / "data").string();
    config.server.listen = "127.0.0.1:0";
    config.otlp.http_listen = "127.0.0.1:0";
    config.otlp.grpc_listen = "";
    config.self.metrics = false;
    config.log.level = log::Level::Error;
    // The walk is one client in a hurry.
    config.read_only.limits = {.requests_per_second = 100'000, .burst = 100'000};
    auto server = Server::start(config, [config]() -> Result<Config> { return config; });
    EXPECT_TRUE(server) << (server ? "" : server.error().message);
    server_ = *std::move(server);
  }

  ~RoutesTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// The status of a request to the route, with a value for each parameter of its pattern.
  int ask(const net::Route& route, std::string_view token) {
    std::string path;
    for (std::size_t i = 0; i < route.pattern.size(); ++i) {
      if (route.pattern[i] != '{') {
        path += route.pattern[i];
        continue;
      }
      path += "x";
      i = route.pattern.find('}', i);
    }
    net::ClientRequest request;
    request.method = net::method_text(route.method);
    request.url = server_->url() + path;
    if (!token.empty()) request.headers.set("Authorization", "Bearer " + std::string(token));
    const auto response = net::send(request);
    EXPECT_TRUE(response) << (response ? "" : response.error().message);
    return response ? response->status : 0;
  }

  /// A token that is good but has not this scope.
  const std::string& token_without(access::Scope scope) {
    const auto& first = *server_->first_start();
    constexpr access::ScopeSet kRead = {access::Scope::MetricsRead, access::Scope::LogsRead,
                                        access::Scope::TracesRead, access::Scope::RulesRead,
                                        access::Scope::AlertsRead};
    return kRead.contains(scope) ? first.write_token : first.read_token;
  }

  std::filesystem::path directory_;
  std::unique_ptr<Server> server_;
};

TEST_F(RoutesTest, NoneAnswersWithoutAPrincipalOrItsScope) {
  std::size_t guarded = 0;
  for (const auto& route : server_->router().routes()) {
    SCOPED_TRACE(std::string(net::method_text(route->method)) + " " + route->pattern);
    const std::string& access = route->options.access;
    ASSERT_FALSE(access.empty()) << "the route does not say who may call it";
    if (access == "public") {
      EXPECT_TRUE(kPublic.contains(route->pattern));
      continue;
    }
    ++guarded;
    if (route->method == net::Method::Options) {  // preflights have no credentials
      EXPECT_EQ(ask(*route, ""), 405);
      continue;
    }
    if (access == "session") {  // without the header against forged requests, 403 comes first
      const int status = ask(*route, "");
      EXPECT_TRUE(status == 401 || status == 403) << status;
      continue;
    }
    EXPECT_EQ(ask(*route, ""), 401);
    EXPECT_EQ(ask(*route, "glc_forged"), 401);
    const auto scope = access::parse_scope(access);
    if (!scope) {
      EXPECT_TRUE(access == "any token") << access;
      continue;
    }
    EXPECT_EQ(ask(*route, token_without(*scope)), 403);
  }
  EXPECT_GT(guarded, 100U);
}

}  // namespace
}  // namespace gantry::server
