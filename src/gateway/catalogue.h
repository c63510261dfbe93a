#pragma once

// Which models there are, who serves them, where and at what price.
//
// A Catalogue is built whole from its configuration and never changes. Whoever owns the current one
// keeps a std::shared_ptr<const Catalogue>, of which each request takes a copy: models and
// endpoints live as long as something points to them, so that a new catalogue disturbs nothing that
// is under way.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/ids.h"
#include "core/time.h"
#include "gateway/generation.h"
#include "gateway/text_pieces.h"

namespace gantry::gateway {

enum class ProviderType : std::uint8_t { OpenAi, Anthropic, AzureOpenAi, Gemini };

/// How a provider comes to report the usage of a stream.
enum class StreamUsageSupport : std::uint8_t { Request, Native, None };

struct ProviderKey {
  /// Where the secret is, never the secret itself: "env:NAME", "file:NAME" or "sealed:NAME".
  std::string secret_reference;
  std::uint32_t weight = 1;
};

struct ProviderTimeouts {
  DurationMs connect{5'000};
  DurationMs headers{60'000};
  DurationMs idle{60'000};
  DurationMs total{600'000};
};

struct Provider {
  std::string slug;  ///< [a-z0-9-]+, the name in a request's `provider`.
  std::string name;  ///< For people; empty: the slug.
  ProviderType type = ProviderType::OpenAi;
  std::string base_url;
  std::vector<ProviderKey> keys;  ///< None: the provider asks for none.
  std::vector<std::pair<std::string, std::string>> headers;
  ProviderTimeouts timeouts;
  StreamUsageSupport stream_usage = StreamUsageSupport::Request;
  std::uint32_t max_concurrent = 512;
  bool has_responses_api = false;
  bool trusts_upstream_cost = false;  ///< What it reports is what its calls cost.
  bool is_gateway = false;            ///< Like this one: it gets the fields that are for a gateway.
  bool forwards_trace_context = false;  ///< By Catalogue::build: the configuration's.
  std::string api_version;              ///< Azure's; see Upstream.
  /// Names of the client's fields that are passed on. Nothing: the type's default.
  std::optional<std::vector<std::string>> forward_headers;

  /// Anthropic's shape goes to Anthropic alone, and Responses to those who say that they know it:
  /// bodies are passed on, not translated.
  [[nodiscard]] bool serves(Api api) const;
};

/// What is absent is the model's.
struct EndpointConfig {
  std::string provider;  ///< A provider's slug.
  std::string variant;   ///< [a-z0-9-]*; tells two endpoints of one provider apart.
  std::string model;     ///< As the provider calls it.
  std::optional<Prices> prices;
  std::optional<std::int64_t> context_length;
  std::optional<std::int64_t> output_tokens_max;
  std::optional<std::vector<std::string>> supported_parameters;
  std::optional<std::vector<std::string>> input_modalities;
};

struct ModelConfig {
  std::string id;  ///< author/slug
  std::vector<std::string> aliases;
  std::string name;  ///< Empty: the id.
  std::string description;
  std::int64_t created_unix_s = 0;
  std::optional<Prices> prices;  ///< Nothing: unpriced, which is not free of charge.
  std::optional<std::int64_t> context_length;
  std::optional<std::int64_t> output_tokens_max;
  std::vector<std::string> input_modalities = {"text"};
  std::vector<std::string> output_modalities = {"text"};
  std::string tokenizer;
  std::string instruct_type;
  std::vector<std::string> supported_parameters;  ///< Empty: none is known to be.
  std::string knowledge_cutoff;                   ///< A date; empty: unknown.
  std::string expiration_date;                    ///< A date; empty: none.
  std::vector<EndpointConfig> endpoints;
};

/// A vocabulary, and the models whose tokens are counted with it.
struct TokenizerConfig {
  Encoding encoding = Encoding::O200kBase;
  std::string file;                 ///< See BpeTokenizer.
  std::vector<std::string> models;  ///< Ids, or beginnings of ids with a * behind them.

  [[nodiscard]] bool counts(std::string_view model_id) const;
};

struct CatalogueConfig {
  std::vector<Provider> providers;
  std::vector<ModelConfig> models;
  std::vector<TokenizerConfig> tokenizers;  ///< The first that counts a model does.
  /// "<provider's slug>/<model>" goes to that provider, unpriced, though no model is called so.
  bool allows_unlisted = false;
  bool forwards_trace_context = false;  ///< Providers get the clients' traceparent and tracestate.
  std::optional<TimestampMs> prices_as_of;  ///< The day on which the prices were true.
};

/// What is wrong, one sentence each, beginning with the path of the setting:
/// "gateway.models[2].endpoints[0].provider: …". Empty: nothing. Values that may be secrets are
/// not repeated.
[[nodiscard]] std::vector<std::string> find_problems(const CatalogueConfig& config);

/// The same for the same model, provider, variant and provider's model in every catalogue and
/// every process: what was learnt of an endpoint outlives a reload. All unlisted models of one
/// provider are one endpoint, so that clients cannot make up any number of them.
using EndpointId = Id<struct EndpointIdTag, std::uint64_t>;

struct Endpoint {
  EndpointId id;
  std::shared_ptr<const Provider> provider;
  std::string tag;             ///< "azure" or "azure/sweden": provider and variant.
  std::string upstream_model;  ///< As the provider calls it.
  std::optional<Prices> prices;
  std::optional<std::int64_t> context_length;
  std::optional<std::int64_t> output_tokens_max;
  std::vector<std::string> supported_parameters;
  std::vector<std::string> input_modalities;

  [[nodiscard]] Pricing pricing() const {
    return {.prices = prices, .trusts_upstream_cost = provider->trusts_upstream_cost};
  }
};

struct Model {
  ModelConfig config;
  std::vector<std::shared_ptr<const Endpoint>> endpoints;  ///< As configured; at least one.
  bool is_listed = true;
};

enum class SortBy : std::uint8_t { Price, Throughput, Latency };

struct ModelMatch {
  std::shared_ptr<const Model> model;
  std::optional<SortBy> sort;  ///< What the name's suffix asks for.
};

/// The models that a key may use, by id.
struct AllowedModels {
  std::optional<std::vector<std::string>> ids;  ///< Nothing: all.

  [[nodiscard]] bool allows(std::string_view id) const;
};

/// Immutable: any number of threads.
class Catalogue {
 public:
  /// Errors: InvalidArgument, all that find_problems() finds, one a line.
  static Result<std::shared_ptr<const Catalogue>> build(CatalogueConfig config);

  /// By id or alias, which may end in ":nitro" (the fastest first) or ":floor" (the cheapest
  /// first).
  [[nodiscard]] std::optional<ModelMatch> find(std::string_view name) const;

  /// In the order of the configuration.
  [[nodiscard]] const std::vector<std::shared_ptr<const Model>>& models() const { return models_; }

  [[nodiscard]] const std::vector<std::shared_ptr<const Provider>>& providers() const {
    return providers_;
  }

  /// In the order of the configuration.
  [[nodiscard]] const std::vector<TokenizerConfig>& tokenizers() const { return tokenizers_; }

  /// Of all listed models and, where they are allowed, of unlisted ones.
  [[nodiscard]] std::vector<EndpointId> endpoint_ids() const;

 private:
  Catalogue() = default;

  [[nodiscard]] std::shared_ptr<const Model> find_listed(std::string_view name) const;
  [[nodiscard]] std::shared_ptr<const Model> find_unlisted(std::string_view name) const;

  std::vector<std::shared_ptr<const Provider>> providers_;
  std::vector<std::shared_ptr<const Model>> models_;
  std::map<std::string, std::shared_ptr<const Provider>, std::less<>> providers_by_slug_;
  std::map<std::string, std::shared_ptr<const Model>, std::less<>> models_by_name_;
  std::vector<TokenizerConfig> tokenizers_;
  bool allows_unlisted_ = false;
};

}  // namespace gantry::gateway
