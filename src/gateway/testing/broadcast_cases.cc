#include "gateway/testing/broadcast_cases.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "gateway/answer_reader.h"
#include "gateway/request_context.h"
#include "gateway/stream_reader.h"
#include "gateway/token_estimate.h"

namespace gantry::gateway::testing {

namespace {

using nlohmann::json;

Api api_of(const std::string& path) {
  if (path.ends_with("/chat/completions")) return Api::Chat;
  return path.ends_with("/embeddings") ? Api::Embeddings : Api::Completions;
}

void read_request(const json& request, Generation& generation) {
  generation.api = api_of(request.at("path"));
  const std::string session_id = request.at("headers").value("x-session-id", "");
  const std::string traceparent = request.at("headers").value("traceparent", "");
  auto context =
      read_request_context(generation.api, padded(request.at("body").dump()),
                           {.session_id = session_id, .traceparent = traceparent}, "gantry");
  ASSERT_TRUE(context) << context.error().message;
  generation.requested_model = context->model;
  generation.context = std::move(context->trace);
  generation.parameters = std::move(context->parameters);
  generation.is_stream = context->is_stream;
  generation.tools_count = context->tools_count;
  generation.output_type = context->output_type;
  generation.prompt = std::move(context->prompt);
}

std::optional<double> optional_ms(const json& attempt, const char* key) {
  const auto found = attempt.find(key);
  if (found == attempt.end() || found->is_null()) return std::nullopt;
  return found->get<double>();
}

Attempt attempt_of(const json& from) {
  Attempt attempt;
  const json& provider = from.at("provider");
  attempt.provider_name = provider.at("name");
  attempt.provider_slug = provider.at("slug");
  attempt.server_address = provider.at("server_address");
  attempt.server_port = provider.at("server_port");
  attempt.upstream_model = from.at("upstream_model");
  attempt.sent_ms = from.at("sent_ms");
  attempt.headers_ms = optional_ms(from, "headers_ms");
  attempt.first_token_ms = optional_ms(from, "first_token_ms");
  attempt.body_end_ms = optional_ms(from, "body_end_ms");
  attempt.failed_ms = optional_ms(from, "failed_ms");
  if (from.at("status").is_number()) attempt.status = from.at("status").get<int>();
  attempt.is_ok = from.at("ok");
  attempt.error_type = from.value("error_type", "");
  attempt.message = from.value("message", "");
  return attempt;
}

/// Of the models asked for, the one that the provider knows by the name it was sent.
std::string served_model(const json& body, const std::string& upstream_model) {
  std::vector<std::string> models = body.value("models", std::vector<std::string>());
  if (body.contains("model")) models.push_back(body.at("model"));
  const auto served = std::ranges::find_if(
      models, [&](const std::string& model) { return model.ends_with("/" + upstream_model); });
  return served == models.end() ? "" : *served;
}

Prices prices_of(const json& from) {
  Prices prices;
  prices.input = parse_usd(from.at("prompt").get<std::string>()).value();
  prices.output = parse_usd(from.at("completion").get<std::string>()).value();
  if (from.contains("input_cache_read")) {
    prices.cache_read = parse_usd(from.at("input_cache_read").get<std::string>()).value();
  }
  return prices;
}

void read_whole_answer(const json& body, Generation& generation) {
  auto answer = read_answer(generation.api, padded(body.dump()));
  ASSERT_TRUE(answer) << answer.error().message;
  generation.upstream_id = answer->upstream_id;
  generation.usage = answer->usage;
  generation.finish_reason = answer->finish_reason;
  generation.native_finish_reason = answer->native_finish_reason;
  generation.finish_reasons = answer->finish_reasons;
  generation.tool_calls_count = answer->tool_calls_count;
  generation.completion = answer->completion;
}

void read_stream(const json& events, const std::string& request_body, Generation& generation) {
  StreamReader reader(generation.api);
  for (const json& event : events) {
    const std::string data = event.is_string() ? event.get<std::string>() : event.dump();
    static_cast<void>(reader.read({.data = data}));
  }
  const StreamedAnswer& answer = reader.answer();
  generation.upstream_id = answer.upstream_id;
  generation.finish_reason = answer.finish_reason;
  generation.native_finish_reason = answer.native_finish_reason;
  generation.finish_reasons = answer.finish_reasons;
  generation.tool_calls_count = answer.tool_calls_count;
  generation.completion = record_streamed(answer);
  generation.usage = answer.usage;
  if (generation.usage) return;
  generation.usage =
      estimate_usage(estimate_input_tokens(generation.api, request_body), answer.output_bytes);
}

void read_error(const json& broadcast_case, Generation& generation) {
  const json answer = broadcast_case.value("client_response", json::object());
  const json& holder = answer.contains("error") ? answer : answer.value("last_event", json());
  if (holder.is_object() && holder.contains("error")) {
    const json& error = holder.at("error");
    generation.error_message = error.at("message");
    generation.error_type = error.at("metadata").at("error_type");
  } else if (!generation.attempts.back().is_ok) {
    // The attempts' messages of such a case are what is left of the provider's own words.
    Attempt& last = generation.attempts.back();
    last.message = broadcast_case.at("upstream").back().at("body").at("error").at("message");
    generation.error_message = last.message;
    generation.error_type = last.error_type;
  }
  generation.is_ok = generation.error_type.empty();
}

}  // namespace

std::optional<json> read_broadcast_json(std::string_view name) {
  std::ifstream file(std::filesystem::path(GANTRY_BROADCAST_CASES) / name, std::ios::binary);
  if (!file) return std::nullopt;
  return json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

std::vector<std::string> broadcast_case_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(GANTRY_BROADCAST_CASES, error)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".json") && name[0] >= '0' && name[0] <= '9') names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::string padded(std::string_view text) {
  std::string body(text);
  body.reserve(body.size() + 64);
  return body;
}

TraceOptions options_of(const json& broadcast_case) {
  const json& config = broadcast_case.at("config");
  TraceOptions options;
  options.service_name = config.at("service_name");
  options.service_version = config.at("service_version");
  options.trace_id_resource_key = config.at("trace_id_resource_key");
  options.metadata_namespace = config.at("metadata_namespace");
  options.default_trace_name = config.at("default_trace_name");
  options.default_generation_name = config.at("default_generation_name");
  return options;
}

Generation generation_of(const json& broadcast_case) {
  Generation generation;
  generation.id = broadcast_case.at("generation_id");
  generation.start_unix_ns = broadcast_case.at("start_unix_ms").get<std::int64_t>() * 1'000'000;
  generation.end_ms = broadcast_case.at("end_ms");
  generation.api_key_name = broadcast_case.at("api_key").at("name");
  generation.api_key_hash = broadcast_case.at("api_key").at("hash");
  const json& request = broadcast_case.at("client_request");
  read_request(request, generation);
  for (const json& attempt : broadcast_case.at("attempts")) {
    generation.attempts.push_back(attempt_of(attempt));
  }
  if (generation.attempts.back().is_ok) {
    generation.served_model =
        served_model(request.at("body"), generation.attempts.back().upstream_model);
    const json& upstream = broadcast_case.at("upstream").back();
    if (upstream.contains("events")) {
      read_stream(upstream.at("events"), request.at("body").dump(), generation);
    } else {
      read_whole_answer(upstream.at("body"), generation);
    }
    const json& prices = broadcast_case.at("config").at("prices");
    if (const auto found = prices.find(generation.served_model); found != prices.end()) {
      generation.pricing.prices = prices_of(*found);
      generation.cost = compute_cost(*generation.usage, *generation.pricing.prices);
    }
  }
  read_error(broadcast_case, generation);
  return generation;
}

}  // namespace gantry::gateway::testing
