// The published cases: which attempts are made of the providers' answers, and what the client is
// told when none served.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/attempt_plan.h"
#include "gateway/testing/broadcast_cases.h"
#include "gateway/testing/catalogues.h"

namespace gantry::gateway {
namespace {

using nlohmann::json;

std::vector<json> cases_with_failures() {
  std::vector<json> cases;
  for (const std::string& name : testing::broadcast_case_names()) {
    json each = testing::read_broadcast_json(name).value();
    if (!each["attempts"].empty() && !each["attempts"][0]["ok"]) cases.push_back(std::move(each));
  }
  return cases;
}

/// One model for each upstream model of the attempts, served by their providers.
Route route_of(const json& attempts) {
  CatalogueConfig config;
  Route route;
  for (const json& attempt : attempts) {
    const auto slug = attempt["provider"]["slug"].get<std::string>();
    if (std::ranges::count(config.providers, slug, &Provider::slug) == 0) {
      config.providers.push_back(testing::make_provider(slug));
      config.providers.back().name = attempt["provider"]["name"];
    }
    EndpointConfig endpoint = testing::make_endpoint(slug);
    endpoint.model = attempt["upstream_model"];
    ModelConfig model{.id = "m/" + std::to_string(config.models.size())};
    model.endpoints.push_back(std::move(endpoint));
    config.models.push_back(std::move(model));
  }
  for (const auto& model : testing::make_catalogue(config)->models()) {
    route.candidates.push_back({.model = model, .endpoint = model->endpoints.front()});
  }
  return route;
}

AttemptFailure failure_of(const json& upstream, const json& published) {
  if (upstream.contains("never_answers")) {
    return {.error = provider_timeout(published["gateway"]["header_timeout_ms"]), .status = {}};
  }
  const std::string body = upstream["body"].dump();
  const std::string retry_after =
      upstream.value("headers", json::object()).value("retry-after", std::string());
  return {.error = classify_upstream({.status = upstream["status"],
                                      .body = body,
                                      .retry_after = retry_after,
                                      .now_unix_s = 0}),
          .status = upstream["status"].get<int>()};
}

TEST(AttemptConformance, MakesTheAttemptsOfThePublishedCases) {
  const auto cases = cases_with_failures();
  EXPECT_GE(cases.size(), 4U);
  for (const json& published : cases) {
    SCOPED_TRACE(published["id"].get<std::string>());
    RandomSource random(1);
    const json& attempts = published["attempts"];
    AttemptPlan plan(route_of(attempts), TimestampMs{600'000}, random, {.max_retries = 0});
    AttemptStep step = plan.first(TimestampMs{0});
    for (std::size_t i = 0; i < attempts.size(); ++i) {
      const auto* attempt = std::get_if<NextAttempt>(&step);
      ASSERT_NE(attempt, nullptr);
      EXPECT_EQ(attempt->candidate.endpoint->provider->name,
                attempts[i]["provider"]["name"].get<std::string>());
      EXPECT_EQ(attempt->candidate.endpoint->upstream_model,
                attempts[i]["upstream_model"].get<std::string>());
      if (attempts[i]["ok"]) break;
      const AttemptFailure failure = failure_of(published["upstream"][i], published);
      EXPECT_EQ(error_word(failure.error.type), attempts[i]["error_type"].get<std::string>());
      step = plan.after_failure(failure, TimestampMs{attempts[i].value("failed_ms", 0)});
    }
    if (attempts.back()["ok"]) continue;
    const auto* error = std::get_if<TypedError>(&step);
    ASSERT_NE(error, nullptr);
    if (!published.contains("client_response")) continue;
    const json told = json::parse(openai_error_body(*error))["error"];
    const json& expected = published["client_response"]["error"];
    EXPECT_EQ(told["code"], expected["code"]);
    EXPECT_EQ(told["message"], expected["message"]);
    EXPECT_EQ(told["metadata"]["error_type"], expected["metadata"]["error_type"]);
  }
}

}  // namespace
}  // namespace gantry::gateway
