#include "gateway/catalogue.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "core/hash.h"

namespace gantry::gateway {
namespace {

EndpointId make_endpoint_id(std::string_view model, std::string_view tag,
                            std::string_view upstream_model) {
  std::string key(model);
  key.append(1, '\0').append(tag).append(1, '\0').append(upstream_model);
  return EndpointId(core::hash64(key));
}

EndpointId unlisted_endpoint_id(const Provider& provider) {
  return make_endpoint_id("", provider.slug, "");
}

std::shared_ptr<const Endpoint> make_endpoint(const ModelConfig& model,
                                              const EndpointConfig& config,
                                              std::shared_ptr<const Provider> provider) {
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->provider = std::move(provider);
  endpoint->tag = config.variant.empty() ? config.provider : config.provider + "/" + config.variant;
  endpoint->upstream_model = config.model;
  endpoint->id = make_endpoint_id(model.id, endpoint->tag, endpoint->upstream_model);
  endpoint->prices = config.prices ? config.prices : model.prices;
  endpoint->context_length = config.context_length ? config.context_length : model.context_length;
  endpoint->output_tokens_max =
      config.output_tokens_max ? config.output_tokens_max : model.output_tokens_max;
  endpoint->supported_parameters = config.supported_parameters.value_or(model.supported_parameters);
  endpoint->input_modalities = config.input_modalities.value_or(model.input_modalities);
  return endpoint;
}

struct Suffix {
  std::string_view text;
  SortBy sort;
};

constexpr std::array kSuffixes = {Suffix{":nitro", SortBy::Throughput},
                                  Suffix{":floor", SortBy::Price}};

}  // namespace

bool Provider::serves(Api api) const {
  switch (api) {
    case Api::Messages:
      return type == ProviderType::Anthropic;
    case Api::Responses:
      return type != ProviderType::Anthropic && has_responses_api;
    case Api::Chat:
    case Api::Completions:
    case Api::Embeddings:
      return type != ProviderType::Anthropic;
  }
  return false;
}

bool TokenizerConfig::counts(std::string_view model_id) const {
  return std::ranges::any_of(models, [&](std::string_view pattern) {
    if (!pattern.ends_with('*')) return pattern == model_id;
    pattern.remove_suffix(1);
    return model_id.starts_with(pattern);
  });
}

bool AllowedModels::allows(std::string_view id) const {
  return !ids || std::ranges::count(*ids, id) > 0;
}

Result<std::shared_ptr<const Catalogue>> Catalogue::build(CatalogueConfig config) {
  if (const auto problems = find_problems(config); !problems.empty()) {
    return fail(Code::InvalidArgument, fmt::format("{}", fmt::join(problems, "\n")));
  }
  const std::shared_ptr<Catalogue> catalogue(new Catalogue());
  catalogue->allows_unlisted_ = config.allows_unlisted;
  catalogue->tokenizers_ = std::move(config.tokenizers);
  for (Provider& each : config.providers) {
    if (each.name.empty()) each.name = each.slug;
    each.forwards_trace_context = config.forwards_trace_context;
    auto provider = std::make_shared<const Provider>(std::move(each));
    catalogue->providers_by_slug_.emplace(provider->slug, provider);
    catalogue->providers_.push_back(std::move(provider));
  }
  for (ModelConfig& each : config.models) {
    if (each.name.empty()) each.name = each.id;
    auto model = std::make_shared<Model>();
    for (const EndpointConfig& endpoint : each.endpoints) {
      model->endpoints.push_back(
          make_endpoint(each, endpoint, catalogue->providers_by_slug_.at(endpoint.provider)));
    }
    model->config = std::move(each);
    catalogue->models_by_name_.emplace(model->config.id, model);
    for (const std::string& alias : model->config.aliases) {
      catalogue->models_by_name_.emplace(alias, model);
    }
    catalogue->models_.push_back(std::move(model));
  }
  return catalogue;
}

std::shared_ptr<const Model> Catalogue::find_listed(std::string_view name) const {
  const auto found = models_by_name_.find(name);
  return found == models_by_name_.end() ? nullptr : found->second;
}

std::shared_ptr<const Model> Catalogue::find_unlisted(std::string_view name) const {
  const std::size_t slash = name.find('/');
  if (!allows_unlisted_ || slash == std::string_view::npos || slash + 1 == name.size()) {
    return nullptr;
  }
  const auto provider = providers_by_slug_.find(name.substr(0, slash));
  if (provider == providers_by_slug_.end()) return nullptr;
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->id = unlisted_endpoint_id(*provider->second);
  endpoint->provider = provider->second;
  endpoint->tag = provider->second->slug;
  endpoint->upstream_model = name.substr(slash + 1);
  auto model = std::make_shared<Model>();
  model->config.id = model->config.name = name;
  model->is_listed = false;
  model->endpoints.push_back(std::move(endpoint));
  return model;
}

std::optional<ModelMatch> Catalogue::find(std::string_view name) const {
  if (auto model = find_listed(name)) return ModelMatch{.model = std::move(model), .sort = {}};
  std::optional<SortBy> sort;
  for (const Suffix& suffix : kSuffixes) {
    if (!name.ends_with(suffix.text)) continue;
    name.remove_suffix(suffix.text.size());
    sort = suffix.sort;
    break;
  }
  auto model = sort ? find_listed(name) : nullptr;
  if (!model) model = find_unlisted(name);
  if (!model) return std::nullopt;
  return ModelMatch{.model = std::move(model), .sort = sort};
}

std::vector<EndpointId> Catalogue::endpoint_ids() const {
  std::vector<EndpointId> ids;
  for (const auto& model : models_) {
    for (const auto& endpoint : model->endpoints) ids.push_back(endpoint->id);
  }
  if (!allows_unlisted_) return ids;
  for (const auto& provider : providers_) ids.push_back(unlisted_endpoint_id(*provider));
  return ids;
}

}  // namespace gantry::gateway
