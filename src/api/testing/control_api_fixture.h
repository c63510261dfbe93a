#pragma once

// The routes of one API of the control plane, and tokens to call them with, for tests.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "access/gate.h"
#include "access/testing/control_fixture.h"
#include "api/cloud.h"
#include "net/router.h"

namespace gantry::api::testing {

struct Answer {
  int status = 0;
  nlohmann::json body;
};

class ControlApiFixture : public access::ControlFixture {
 protected:
  /// `path`: what all paths of the API begin with. `token`: who calls unless a test says.
  ControlApiFixture(std::string_view path, std::string_view token)
      : path_of_api_(path), token_(token) {}

  [[nodiscard]] access::Realm whole_stack() const { return whole(stack_); }

  [[nodiscard]] static access::Realm whole(StackId stack) {
    return {.type = access::Realm::Type::Stack, .identifier = stack.value(), .label_policies = {}};
  }

  [[nodiscard]] access::Realm whole_org() const {
    return {.type = access::Realm::Type::Org, .identifier = org_.value(), .label_policies = {}};
  }

  /// The token glc_NAME.
  void allow(std::string_view name, std::vector<access::Scope> scopes, access::Realm realm) {
    const std::string policy = add_policy(org_, name, std::move(scopes), {std::move(realm)});
    add_token(org_, policy, name, fmt::format("glc_{}", name));
  }

  /// `target`: behind the API's path, with its query. `token`: the name that `allow` was given; "":
  /// nobody.
  Answer send(net::Method method, std::string_view target, std::string body = {}) {
    return send(method, target, std::move(body), token_);
  }

  Answer send(net::Method method, std::string_view target, std::string body,
              std::string_view token) {
    net::Request request;
    request.method = method;
    const std::string url = fmt::format("{}{}", path_of_api_, target);
    const std::size_t query = url.find('?');
    request.path = request.raw_path = url.substr(0, query);
    if (query != std::string::npos) request.raw_query = url.substr(query + 1);
    if (!token.empty()) request.headers.set("Authorization", fmt::format("Bearer glc_{}", token));
    request.body = std::move(body);
    const net::RouteMatch match = router_.find(method, request.path);
    EXPECT_NE(match.route, nullptr) << url;
    if (match.route == nullptr) return {};
    request.path_parameters = match.path_parameters;
    const net::Response response = match.route->handler(request);
    EXPECT_EQ(response.headers.find("Cache-Control"), "no-store");
    return {.status = response.status, .body = nlohmann::json::parse(response.body)};
  }

  static void expect_error(const Answer& answer, int status, std::string_view message,
                           std::string_view reason = {}) {
    EXPECT_EQ(answer.status, status) << answer.body;
    ASSERT_TRUE(answer.body.contains("error")) << answer.body;
    const nlohmann::json& error = answer.body["error"];
    EXPECT_EQ(error["code"], status);
    EXPECT_EQ(error["message"], message);
    if (!reason.empty()) EXPECT_EQ(error["metadata"]["reason"], reason);
  }

  access::StackStores stores_;
  access::Gate gate_{authenticator_, stores_, registry_, {}};
  RequestRate rate_{clock_, 0};
  net::Router router_;

 private:
  const std::string_view path_of_api_;
  const std::string_view token_;
};

}  // namespace gantry::api::testing
