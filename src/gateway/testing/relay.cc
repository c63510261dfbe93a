#include "gateway/testing/relay.h"

#include <utility>

#include <fmt/format.h>

#include "gateway/testing/provider.h"

namespace gantry::gateway::testing {

using net::testing::TestServer;

struct Relay::Call {
  std::shared_ptr<const InferenceRequest> request;
  AnswerShape shape;
  Stopwatch stopwatch;
  std::shared_ptr<ClientStream> client;
  int attempt_count = 0;
  std::vector<FailedAttempt> failed;
  Generation generation;
};

Relay::Relay(Options options) : options_(std::move(options)), upstream_(options_.script) {
  server_ = std::make_unique<TestServer>(TestServer::Options{
      .queue_length_max = 1024, .add_routes = [this](net::Router& router) {
        router.add(net::Method::Post, "/v1/chat/completions", {},
                   [this](net::Request& request) { return open(Api::Chat, request); });
        router.add(net::Method::Post, "/v1/messages", {},
                   [this](net::Request& request) { return open(Api::Messages, request); });
      }});
}

Relay::~Relay() = default;

std::string Relay::request(std::string_view path, std::string_view body) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", path,
                     body.size(), body);
}

net::Response Relay::open(Api api, net::Request& request) {
  const auto call = std::make_shared<Call>();
  call->request = InferenceRequest::parse(api, std::move(request.body), request.headers).value();
  const RequestFields& fields = call->request->parsed().fields();
  call->shape = {.api = api,
                 .generation_id = "gen-1",
                 .model = fields.model,
                 .created_unix_s = 1'705'312'800,
                 .forwards_usage = fields.wants_usage};
  call->generation.api = api;
  net::Headers headers;
  headers.add("X-Generation-Id", "gen-1");
  auto [client, response] =
      ClientStream::open(caller_.client(), {.shape = call->shape,
                                            .headers = std::move(headers),
                                            .keep_alive = options_.keep_alive,
                                            .write_timeout = options_.write_timeout});
  call->client = std::move(client);
  try_next(call);
  return std::move(response);
}

void Relay::try_next(const std::shared_ptr<Call>& call) {
  ++call->attempt_count;
  Upstream upstream = upstream_at(upstream_);
  upstream.timeouts = options_.timeouts;
  if (call->shape.api == Api::Messages) upstream.type = UpstreamType::Anthropic;
  const auto attempt =
      RunningAttempt::make(caller_.client(),
                           {.request = call->request,
                            .upstream = std::move(upstream),
                            .shape = call->shape,
                            .stopwatch = call->stopwatch},
                           [this, call](AttemptResult outcome) { take(call, std::move(outcome)); });
  if (call->client->set_on_end([attempt](const net::AnswerEnd&) { attempt->cancel(); })) {
    attempt->cancel();
  }
  attempt->start();
}

void Relay::take(const std::shared_ptr<Call>& call, AttemptResult outcome) {
  if (auto* const stream = std::get_if<StreamOutcome>(&outcome.result)) {
    StreamPump::start({.upstream = std::move(*stream),
                       .record = std::move(outcome.record),
                       .client = call->client,
                       .shape = call->shape,
                       .timeouts = options_.timeouts,
                       .stopwatch = call->stopwatch},
                      [this, call](StreamResult result) { done(call, std::move(result)); });
    return;
  }
  const auto& failed = std::get<FailedOutcome>(outcome.result);
  call->generation.attempts.push_back(outcome.record);
  call->failed.push_back({.provider_name = "OpenAI", .error = failed.error});
  const bool is_last = call->attempt_count == options_.candidate_count;
  if (!is_last && failed.failure != FailureKind::Cancelled) return try_next(call);
  const TypedError error = combine_attempts(call->failed);
  call->client->fail(error);
  call->generation.error_type = error_word(error.type);
  call->generation.is_cancelled = failed.failure == FailureKind::Cancelled;
  const core::Lock lock(mutex_);
  generations_.push_back(call->generation);
}

void Relay::done(const std::shared_ptr<Call>& call, StreamResult result) {
  add_stream(result, call->generation);
  add_stream_usage(result.answer, *call->request, {}, call->generation);
  const core::Lock lock(mutex_);
  generations_.push_back(call->generation);
  results_.push_back(std::move(result));
}

std::vector<Generation> Relay::generations(std::size_t count) {
  net::testing::wait_until([&] {
    const core::Lock lock(mutex_);
    return generations_.size() >= count;
  });
  const core::Lock lock(mutex_);
  return generations_;
}

std::vector<StreamResult> Relay::results(std::size_t count) {
  net::testing::wait_until([&] {
    const core::Lock lock(mutex_);
    return results_.size() >= count;
  });
  const core::Lock lock(mutex_);
  return results_;
}

std::vector<nlohmann::json> payloads(std::string_view body) {
  std::vector<nlohmann::json> all;
  SseReader reader;
  reader.push(body);
  while (const auto event = *reader.next()) {
    all.push_back(event->data == "[DONE]" ? nlohmann::json("[DONE]")
                                          : nlohmann::json::parse(event->data));
  }
  return all;
}

}  // namespace gantry::gateway::testing
