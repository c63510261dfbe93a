#include "gateway/model_listing.h"

#include <algorithm>
#include <string_view>

#include <fmt/ranges.h>

#include "core/json_writer.h"
#include "gateway/price_names_internal.h"

namespace gantry::gateway {
namespace {

void write_text_or_null(core::JsonWriter& json, std::string_view key, std::string_view text) {
  json.key(key);
  text.empty() ? json.null() : json.string(text);
}

void write_integer_or_null(core::JsonWriter& json, std::string_view key,
                           std::optional<std::int64_t> value) {
  json.key(key);
  value ? json.integer(*value) : json.null();
}

void write_texts(core::JsonWriter& json, std::string_view key,
                 const std::vector<std::string>& texts) {
  json.key(key).begin_array();
  for (const std::string& text : texts) json.string(text);
  json.end_array();
}

/// In the form of OpenRouter's.
void write_tiers(core::JsonWriter& json, const std::vector<PriceTier>& tiers) {
  const auto write = [&](std::string_view key, const std::optional<PicoUsd>& price) {
    if (price) json.key(key).string(format_usd(*price));
  };
  json.key("overrides").begin_array();
  for (const PriceTier& tier : tiers) {
    json.begin_object();
    json.key("min_prompt_tokens").integer(tier.above_tokens + 1);
    write("prompt", tier.input);
    write("completion", tier.output);
    for (const PriceName& name : kPriceNames) {
      if (name.of_tier != nullptr) write(name.name, tier.*name.of_tier);
    }
    json.end_object();
  }
  json.end_array();
}

void write_pricing(core::JsonWriter& json, const std::optional<Prices>& prices) {
  json.key("pricing");
  if (!prices) {
    json.null();
    return;
  }
  json.begin_object();
  json.key("prompt").string(format_usd(prices->input));
  json.key("completion").string(format_usd(prices->output));
  json.key("request").string(format_usd(prices->request));
  for (const PriceName& name : kPriceNames) {
    if (const auto price = (*prices).*name.price) json.key(name.name).string(format_usd(*price));
  }
  if (!prices->tiers.empty()) write_tiers(json, prices->tiers);
  json.end_object();
}

void write_architecture(core::JsonWriter& json, const ModelConfig& model) {
  json.key("architecture").begin_object();
  json.key("modality")
      .string(fmt::format("{}->{}", fmt::join(model.input_modalities, "+"),
                          fmt::join(model.output_modalities, "+")));
  write_texts(json, "input_modalities", model.input_modalities);
  write_texts(json, "output_modalities", model.output_modalities);
  write_text_or_null(json, "tokenizer", model.tokenizer);
  write_text_or_null(json, "instruct_type", model.instruct_type);
  json.end_object();
}

/// What a call to the model costs if it goes to the endpoint that stands first.
const std::optional<Prices>& shown_prices(const Model& model) {
  return model.config.prices ? model.config.prices : model.endpoints.front()->prices;
}

void write_model(core::JsonWriter& json, const Model& model) {
  const ModelConfig& config = model.config;
  const Endpoint& first = *model.endpoints.front();
  json.begin_object();
  json.key("id").string(config.id);
  json.key("object").string("model");
  json.key("owned_by").string(std::string_view(config.id).substr(0, config.id.find('/')));
  json.key("canonical_slug").string(config.id);
  json.key("name").string(config.name);
  json.key("created").integer(config.created_unix_s);
  json.key("description").string(config.description);
  write_integer_or_null(json, "context_length", config.context_length);
  write_architecture(json, config);
  write_pricing(json, shown_prices(model));
  json.key("top_provider").begin_object();
  write_integer_or_null(json, "context_length", first.context_length);
  write_integer_or_null(json, "max_completion_tokens", first.output_tokens_max);
  json.key("is_moderated").boolean(false);
  json.end_object();
  json.key("per_request_limits").null();
  write_texts(json, "supported_parameters", config.supported_parameters);
  json.key("default_parameters").null();
  write_text_or_null(json, "knowledge_cutoff", config.knowledge_cutoff);
  write_text_or_null(json, "expiration_date", config.expiration_date);
  json.end_object();
}

void write_endpoint(core::JsonWriter& json, const Model& model, const Endpoint& endpoint) {
  json.begin_object();
  json.key("name").string(fmt::format("{} | {}", endpoint.provider->name, model.config.id));
  json.key("model_id").string(model.config.id);
  json.key("model_name").string(model.config.name);
  write_integer_or_null(json, "context_length", endpoint.context_length);
  write_pricing(json, endpoint.prices);
  json.key("provider_name").string(endpoint.provider->name);
  json.key("tag").string(endpoint.tag);
  json.key("quantization").null();
  write_integer_or_null(json, "max_completion_tokens", endpoint.output_tokens_max);
  json.key("max_prompt_tokens").null();
  write_texts(json, "supported_parameters", endpoint.supported_parameters);
  json.end_object();
}

}  // namespace

std::string print_models(const Catalogue& catalogue, const AllowedModels& allowed) {
  std::string out;
  core::JsonWriter json(out);
  std::int64_t count = 0;
  json.begin_object();
  json.key("object").string("list");
  json.key("data").begin_array();
  for (const auto& model : catalogue.models()) {
    if (!allowed.allows(model->config.id)) continue;
    write_model(json, *model);
    ++count;
  }
  json.end_array();
  json.key("total_count").integer(count);
  json.key("links").begin_object().end_object();
  json.end_object();
  return out;
}

std::string print_model_count(const Catalogue& catalogue, const AllowedModels& allowed) {
  const auto count = std::ranges::count_if(
      catalogue.models(), [&](const auto& model) { return allowed.allows(model->config.id); });
  return fmt::format(R"({{"data":{{"count":{}}}}})", count);
}

std::string print_endpoints(const Model& model) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.key("data").begin_object();
  json.key("id").string(model.config.id);
  json.key("name").string(model.config.name);
  json.key("created").integer(model.config.created_unix_s);
  json.key("description").string(model.config.description);
  write_architecture(json, model.config);
  json.key("endpoints").begin_array();
  for (const auto& endpoint : model.endpoints) write_endpoint(json, model, *endpoint);
  json.end_array();
  json.end_object();
  json.end_object();
  return out;
}

}  // namespace gantry::gateway
