// The published cases, from a client's socket through the whole gateway to the trace.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "gateway/testing/broadcast_cases.h"
#include "gateway/testing/gateway_fixture.h"
#include "gateway/testing/provider.h"
#include "gateway/testing/relay.h"

namespace gantry::gateway {
namespace {

using net::testing::RawResponse;
using nlohmann::json;
using testing::payloads;
using Peer = net::testing::RawServer::Connection;

/// Every member of `expected` is in `actual`, at all depths.
bool is_within(const json& expected, const json& actual) {
  if (!expected.is_object()) return expected == actual;
  for (const auto& [key, value] : expected.items()) {
    if (!actual.contains(key) || !is_within(value, actual[key])) return false;
  }
  return true;
}

std::string answer_of(const json& upstream) {
  if (!upstream.contains("events")) {
    return testing::whole_answer(upstream["status"].get<int>(), upstream["body"].dump());
  }
  std::string events;
  for (const json& event : upstream["events"]) {
    events += "data: " + (event.is_string() ? event.get<std::string>() : event.dump()) + "\n\n";
  }
  return testing::whole_stream(events);
}

/// The providers and models that the case's attempts go to, in that order.
CatalogueConfig catalogue_of(const json& published) {
  CatalogueConfig config;
  const json& body = published["client_request"]["body"];
  std::vector<std::string> models = body.value("models", std::vector<std::string>());
  if (body.contains("model")) models.insert(models.begin(), body["model"].get<std::string>());
  const json& prices = published["config"]["prices"];
  for (const std::string& id : models) {
    if (id.starts_with("acme/")) continue;  // the model that nobody has
    ModelConfig& model = config.models.emplace_back();
    model.id = id;
    model.input_modalities = {"text", "image", "audio", "file", "video"};
    if (prices.contains(id)) {
      const auto price = [&](const char* key) {
        return parse_usd(prices[id].value(key, "0")).value();
      };
      model.prices = Prices{.input = price("prompt"),
                            .output = price("completion"),
                            .cache_read = {},
                            .cache_write = {},
                            .request = {}};
      if (prices[id].contains("input_cache_read")) {
        model.prices->cache_read = price("input_cache_read");
      }
    } else if (published.contains("key_state")) {
      model.prices =
          Prices{.input = {1}, .output = {1}, .cache_read = {}, .cache_write = {}, .request = {}};
    }
    for (const json& attempt : published["attempts"]) {
      const std::string upstream_model = attempt["upstream_model"];
      const std::string slug = attempt["provider"]["slug"];
      const bool is_known = std::ranges::count(config.providers, slug, &Provider::slug) > 0;
      if (!is_known) {
        Provider& provider = config.providers.emplace_back();
        provider.slug = slug;
        provider.name = attempt["provider"]["name"];
        if (published.contains("gateway")) provider.timeouts.headers = {50};
      }
      const bool is_there =
          std::ranges::count(model.endpoints, slug, &EndpointConfig::provider) > 0;
      if (is_there || !id.ends_with("/" + upstream_model)) continue;
      EndpointConfig& endpoint = model.endpoints.emplace_back();
      endpoint.provider = slug;
      endpoint.model = upstream_model;
    }
    if (model.endpoints.empty()) {
      if (config.providers.empty()) config.providers.emplace_back().slug = "openai";
      EndpointConfig& endpoint = model.endpoints.emplace_back();
      endpoint.provider = config.providers.front().slug;
      endpoint.model = "gpt-4o";
    }
  }
  return config;
}

class CallCasesTest : public testing::GatewayFixture {
 protected:
  void play(const json& published);
  void expect_answer(const json& expected, const RawResponse& answer);
  void expect_trace(const json& published);
};

void CallCasesTest::expect_answer(const json& expected, const RawResponse& answer) {
  EXPECT_EQ(answer.field("x-generation-id"), next_id_);
  EXPECT_EQ(answer.status, expected.value("status", 200)) << answer.body;
  if (expected.contains("error")) {
    EXPECT_TRUE(is_within(expected["error"], json::parse(answer.body, nullptr, false)["error"]))
        << answer.body;
    return;
  }
  if (!expected.contains("last_event")) return;
  const auto all = payloads(answer.body);
  ASSERT_GE(all.size(), 2U) << answer.body;
  const bool is_error = expected["last_event"].is_object();
  EXPECT_TRUE(is_within(expected["last_event"], all[all.size() - (is_error ? 2 : 1)]))
      << answer.body;
}

/// What the gateway made of the call is what the readers make of the case: times, addresses and the
/// key apart, which are the case's own.
void CallCasesTest::expect_trace(const json& published) {
  const Generation reference = testing::generation_of(published);
  Generation generation = *sink_.wait_for(1).front();
  EXPECT_EQ(generation.id, reference.id);
  EXPECT_EQ(generation.requested_model, reference.requested_model);
  EXPECT_EQ(generation.served_model, reference.served_model);
  EXPECT_EQ(generation.context.trace_id, reference.context.trace_id);
  EXPECT_EQ(generation.context.session_id, reference.context.session_id);
  EXPECT_EQ(generation.context.metadata, reference.context.metadata);
  EXPECT_EQ(generation.prompt.json, reference.prompt.json);
  EXPECT_EQ(generation.completion.json, reference.completion.json);
  EXPECT_EQ(generation.finish_reasons, reference.finish_reasons);
  EXPECT_EQ(generation.native_finish_reason, reference.native_finish_reason);
  EXPECT_EQ(generation.error_type, reference.error_type);
  ASSERT_EQ(generation.attempts.size(), reference.attempts.size());
  for (std::size_t i = 0; i < reference.attempts.size(); ++i) {
    EXPECT_EQ(generation.attempts[i].provider_name, reference.attempts[i].provider_name);
    EXPECT_EQ(generation.attempts[i].status, reference.attempts[i].status);
    EXPECT_EQ(generation.attempts[i].is_ok, reference.attempts[i].is_ok);
    EXPECT_EQ(generation.attempts[i].error_type, reference.attempts[i].error_type);
  }
  ASSERT_EQ(generation.usage.has_value(), reference.usage.has_value());
  if (!reference.usage) return;
  EXPECT_EQ(generation.usage->input, reference.usage->input);
  EXPECT_EQ(generation.usage->output, reference.usage->output);
  EXPECT_EQ(generation.usage->is_estimated, reference.usage->is_estimated);
  ASSERT_EQ(generation.cost.has_value(), reference.cost.has_value());
  if (reference.cost) EXPECT_EQ(generation.cost->total, reference.cost->total);
}

void CallCasesTest::play(const json& published) {
  const auto answer_count = std::make_shared<std::size_t>(0);  // of one connection after the other
  GatewayOptions options;
  options.calls.attempts.max_retries = 0;
  next_id_ = published["generation_id"];
  clock_.set({published["start_unix_ms"].get<std::int64_t>()});
  GatewayKeySettings key{.name = published["api_key"]["name"]};
  if (published.contains("key_state")) key.limit = PicoUsd{0};
  secret_ = make_key(key);
  // The server's thread may end after this function.
  start(testing::answering([upstream = published["upstream"], answer_count](const std::string&) {
          const json& answer = upstream.at((*answer_count)++);
          return answer.contains("never_answers") ? std::string() : answer_of(answer);
        }),
        catalogue_of(published), options);
  const json& request = published["client_request"];
  std::string fields;
  for (const auto& [name, value] : request["headers"].items()) {
    fields += name + ": " + value.get<std::string>() + "\r\n";
  }
  json body = request["body"];
  std::vector<std::string> order;
  for (const json& attempt : published["attempts"]) order.push_back(attempt["provider"]["slug"]);
  if (order.size() > 1) body["provider"]["order"] = order;
  const RawResponse answer = post(request["path"].get<std::string>(), body.dump(), fields);
  json expected = published.value("client_response", json::object());
  if (published.contains("gateway")) {
    // Nobody waits for ten seconds.
    expected["error"]["message"] = "Provider did not answer in 50 ms";
  }
  const bool has_error = !published["attempts"].empty() && !published["attempts"].back()["ok"];
  if (!expected.empty() || !has_error) expect_answer(expected, answer);
  if (published["attempts"].empty()) {
    wait_for_no_calls();
    EXPECT_EQ(sink_.count(), 0U);
    return;
  }
  expect_trace(published);
}

TEST_F(CallCasesTest, GiveWhatIsPublished) {
  const std::vector<std::string> names = testing::broadcast_case_names();
  EXPECT_GE(names.size(), 38U);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    play(testing::read_broadcast_json(name).value());
    stop();
  }
}

}  // namespace
}  // namespace gantry::gateway
