#include "gateway/testing/gateway_fixture.h"

#include <utility>

#include <fmt/format.h>

namespace gantry::gateway::testing {

using access::ControlChange;
using net::testing::RawClient;
using net::testing::RawResponse;
using net::testing::RawServer;
using net::testing::TestServer;

void RecordingSink::take(access::OrgId, StackId,
                         const std::shared_ptr<const Generation>& generation) {
  core::Lock lock(mutex_);
  if (hold_ == Hold::Next) {
    hold_ = Hold::Held;
    while (hold_ == Hold::Held) changed_.wait(lock);
  }
  generations_.push_back(generation);
}

void RecordingSink::hold_next() {
  const core::Lock lock(mutex_);
  hold_ = Hold::Next;
}

void RecordingSink::wait_until_held() {
  net::testing::wait_until([&] {
    const core::Lock lock(mutex_);
    return hold_ == Hold::Held;
  });
}

void RecordingSink::release() {
  {
    const core::Lock lock(mutex_);
    hold_ = Hold::Off;
  }
  changed_.notify_all();
}

std::vector<std::shared_ptr<const Generation>> RecordingSink::wait_for(std::size_t count) {
  net::testing::wait_until([&] {
    const core::Lock lock(mutex_);
    return generations_.size() >= count;
  });
  const core::Lock lock(mutex_);
  return generations_;
}

std::size_t RecordingSink::count() const {
  const core::Lock lock(mutex_);
  return generations_.size();
}

void RecordingSink::clear() {
  const core::Lock lock(mutex_);
  generations_.clear();
}

GatewayFixture::~GatewayFixture() {
  stop();
}

void GatewayFixture::stop() {
  sink_.release();
  // Answers end with the server, and with them the calls that the gateway waits for.
  server_.reset();
  gateway_.reset();
  upstream_.reset();
  sink_.clear();
  secret_.clear();
}

void GatewayFixture::wait_for_no_calls() {
  net::testing::wait_until([this] { return gateway_->live_call_count() == 0; });
}

void GatewayFixture::start(RawServer::Script script, CatalogueConfig config,
                           GatewayOptions options) {
  upstream_.emplace(std::move(script));
  for (Provider& provider : config.providers) {
    if (provider.base_url.empty()) {
      provider.base_url = fmt::format("http://127.0.0.1:{}/v1", upstream_->port());
    }
  }
  gateway_ = std::make_unique<Gateway>(
      Gateway::Parts{.clock = clock_,
                     .steady_clock = steady_clock_,
                     .client = caller_.client(),
                     .keys = keys_,
                     .budgets = budgets_,
                     .records = records_,
                     .metrics = metrics_,
                     .registry = registry_,
                     .sinks = {&sink_},
                     .read_secret = [](std::string_view reference) -> Result<std::string> {
                       return "secret-of-" + std::string(reference);
                     },
                     .make_id = [this](TimestampMs) { return next_id_; },
                     .random_seed = 1},
      std::move(options));
  auto catalogue = Catalogue::build(std::move(config));
  ASSERT_TRUE(catalogue) << catalogue.error().message;
  ASSERT_TRUE(gateway_->serve(*std::move(catalogue)));
  server_ = std::make_unique<TestServer>(
      TestServer::Options{.queue_length_max = 1024,
                          .io_threads = io_threads_,
                          .add_routes = [this](net::Router& router) {
                            net::Router api;
                            gateway_->add_routes(api);
                            for (const auto prefix : {"/api/v1", "/v1"}) router.mount(prefix, api);
                          }});
  if (secret_.empty()) secret_ = make_key();
}

CatalogueConfig GatewayFixture::one_model() {
  Provider provider;
  provider.slug = "openai";
  provider.name = "OpenAI";
  provider.keys = {{.secret_reference = "env:A"}};
  provider.has_responses_api = true;
  ModelConfig model;
  model.id = "openai/gpt-4o";
  model.aliases = {"gpt-4o"};
  model.prices = Prices{.input = PicoUsd{2'500'000},
                        .output = PicoUsd{10'000'000},
                        .cache_read = {},
                        .cache_write = {},
                        .request = {}};
  EndpointConfig endpoint;
  endpoint.provider = "openai";
  endpoint.model = "gpt-4o-2024";
  model.endpoints = {std::move(endpoint)};
  CatalogueConfig config;
  config.providers = {std::move(provider)};
  config.models = {std::move(model)};
  return config;
}

CatalogueConfig GatewayFixture::two_providers() {
  CatalogueConfig config = one_model();
  Provider azure = config.providers.front();
  azure.slug = "azure";
  azure.name = "Azure";
  config.providers.push_back(azure);
  EndpointConfig endpoint = config.models.front().endpoints.front();
  endpoint.provider = "azure";
  endpoint.model = "deployment";
  config.models.front().endpoints.push_back(endpoint);
  return config;
}

std::string GatewayFixture::make_key(GatewayKeySettings settings) {
  if (settings.name.empty()) settings.name = "production";
  const auto issued = change(admin(), [&](ControlChange& change) {
    return create_gateway_key(org_, stack_, change, settings);
  });
  EXPECT_TRUE(issued) << (issued ? "" : issued.error().message);
  return issued ? issued->secret : "";
}

std::string GatewayFixture::request(std::string_view path, std::string_view body,
                                    std::string_view fields) const {
  const std::string authorization =
      secret_.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", secret_);
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}{}Content-Length: {}\r\n\r\n{}", path,
                     authorization, fields, body.size(), body);
}

RawResponse GatewayFixture::post(std::string_view path, std::string_view body,
                                 std::string_view fields) {
  RawClient client(server_->port());
  client.send(request(path, body, fields));
  return client.receive();
}

RawResponse GatewayFixture::fetch(std::string_view path) {
  RawClient client(server_->port());
  const std::string authorization =
      secret_.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", secret_);
  client.send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n", path, authorization));
  return client.receive();
}

RawServer::Script answering(std::function<std::string(const std::string& request)> answer) {
  return [answer = std::move(answer)](RawServer::Connection& connection, int) {
    for (std::string request; !(request = connection.read_request()).empty();) {
      const std::string bytes = answer(request);
      if (bytes.empty()) return connection.wait_for_end();
      connection.send(bytes);
    }
  };
}

}  // namespace gantry::gateway::testing
