// What can be wrong with a catalogue's configuration.

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "gateway/catalogue.h"
#include "gateway/price_names_internal.h"
#include "gateway/upstream_request.h"

namespace gantry::gateway {
namespace {

constexpr std::string_view kSlugCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-";
constexpr std::int64_t kPicoPriceMax = 1'000'000'000'000'000'000;  // 1,000,000 USD, as parse_usd.
constexpr std::uint32_t kWeightMax = 1'000'000;

/// Set by the gateway or by the connection: an entry of its own would break requests, or tell a
/// client's secret to a provider.
constexpr std::array<std::string_view, 7> kReservedHeaders = {
    "authorization", "connection", "content-length",   "content-type",
    "cookie",        "host",       "transfer-encoding"};

bool is_slug(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kSlugCharacters) == std::string_view::npos;
}

bool is_visible_ascii(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

bool is_header_name(std::string_view name) {
  return is_visible_ascii(name) &&
         name.find_first_of("()<>@,;:\\\"/[]?={}") == std::string_view::npos;
}

/// Why `url` cannot be called; empty: it can. The text itself may hold a password.
std::string_view url_problem(std::string_view url) {
  const std::size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    return "must begin with http:// or https://";
  }
  if (!is_visible_ascii(url)) return "must not have spaces or characters outside ASCII";
  if (url.find_first_of("?#") != std::string_view::npos) return "must not have a query or fragment";
  const std::string_view rest = url.substr(scheme_end + 3);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.contains('@')) return "must not have a user or password; use keys";
  if (authority.empty() || authority.starts_with(':')) return "has no host";
  return {};
}

class Inspector {
 public:
  explicit Inspector(const CatalogueConfig& config) : config_(config) {}

  std::vector<std::string> run() {
    for (std::size_t i = 0; i < config_.providers.size(); ++i) {
      provider(fmt::format("gateway.providers[{}]", i), config_.providers[i]);
    }
    for (std::size_t i = 0; i < config_.models.size(); ++i) {
      model(fmt::format("gateway.models[{}]", i), config_.models[i]);
    }
    for (std::size_t i = 0; i < config_.tokenizers.size(); ++i) {
      tokenizer(fmt::format("gateway.tokenizers[{}]", i), config_.tokenizers[i]);
    }
    return std::move(problems_);
  }

 private:
  void add(std::string_view path, std::string_view field, std::string_view why) {
    problems_.push_back(fmt::format("{}.{}: {}", path, field, why));
  }

  void provider(const std::string& path, const Provider& provider) {
    if (!is_slug(provider.slug)) {
      add(path, "slug", fmt::format("\"{}\" is not of a-z, 0-9 and -", provider.slug));
    } else if (!slugs_.insert(provider.slug).second) {
      add(path, "slug", fmt::format("\"{}\" is there twice", provider.slug));
    }
    if (const auto why = url_problem(provider.base_url); !why.empty()) add(path, "base_url", why);
    for (std::size_t i = 0; i < provider.keys.size(); ++i) {
      key(fmt::format("{}.keys[{}]", path, i), provider.keys[i]);
    }
    for (const auto& [name, value] : provider.headers) header(path, name, value);
    forwarded(path, provider.forward_headers.value_or(std::vector<std::string>()));
    if (!provider.api_version.empty() && provider.type != ProviderType::AzureOpenAi) {
      add(path, "api_version", "is of the type azure-openai alone");
    } else if (!provider.api_version.empty() && !is_visible_ascii(provider.api_version)) {
      add(path, "api_version", "must not have spaces or characters outside ASCII");
    }
    timeouts(path + ".timeouts", provider.timeouts);
    if (provider.max_concurrent == 0) add(path, "max_concurrent", "must be above 0");
  }

  void key(const std::string& path, const ProviderKey& key) {
    const std::string_view reference = key.secret_reference;
    const std::size_t colon = reference.find(':');
    const std::string_view kind = reference.substr(0, colon);
    const bool is_known = kind == "env" || kind == "file" || kind == "sealed";
    if (colon == std::string_view::npos || !is_known || colon + 1 == reference.size()) {
      // What stands here in error is likely to be the secret.
      add(path, "secret", "must be env:NAME, file:NAME or sealed:NAME");
    }
    if (key.weight == 0 || key.weight > kWeightMax) {
      add(path, "weight", fmt::format("{} is not from 1 to {}", key.weight, kWeightMax));
    }
  }

  void header(const std::string& path, const std::string& name, const std::string& value) {
    if (!is_header_name(name)) {
      add(path, "headers", fmt::format("\"{}\" is not a header's name", name));
    } else if (std::ranges::count(kReservedHeaders, lower(name)) > 0) {
      add(path, "headers", fmt::format("\"{}\" is set by the gateway", name));
    }
    const bool is_text = std::ranges::all_of(value, [](char c) {
      return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 127);
    });
    if (!is_text) {
      add(path, "headers", fmt::format("the value of \"{}\" has control characters", name));
    }
  }

  void forwarded(const std::string& path, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (!is_header_name(name)) {
        add(path, "forward_headers", fmt::format("\"{}\" is not a header's name", name));
      } else if (is_never_forwarded(name)) {
        add(path, "forward_headers", fmt::format("\"{}\" is never passed on", name));
      }
    }
  }

  void timeouts(const std::string& path, const ProviderTimeouts& timeouts) {
    const auto check = [&](std::string_view field, DurationMs timeout) {
      if (timeout.count <= 0) add(path, field, "must be above 0");
    };
    check("connect", timeouts.connect);
    check("headers", timeouts.headers);
    check("idle", timeouts.idle);
    check("total", timeouts.total);
  }

  void model(const std::string& path, const ModelConfig& model) {
    const auto slash = model.id.find('/');
    const bool is_author_and_slug = is_visible_ascii(model.id) && slash != std::string::npos &&
                                    slash > 0 && slash + 1 < model.id.size() &&
                                    model.id.find('/', slash + 1) == std::string::npos;
    if (!is_author_and_slug) {
      add(path, "id", fmt::format("\"{}\" is not of the form author/slug", model.id));
    } else {
      name(path, "id", model.id);
    }
    for (std::size_t i = 0; i < model.aliases.size(); ++i) {
      const std::string field = fmt::format("aliases[{}]", i);
      if (!is_visible_ascii(model.aliases[i])) {
        add(path, field, "must not be empty or have spaces or characters outside ASCII");
      } else {
        name(path, field, model.aliases[i]);
      }
    }
    if (model.prices) prices(path, *model.prices);
    limit(path, "context_length", model.context_length);
    limit(path, "max_completion_tokens", model.output_tokens_max);
    if (model.input_modalities.empty()) add(path, "input_modalities", "must not be empty");
    if (model.endpoints.empty()) add(path, "endpoints", "at least one is required");
    std::set<std::string> seen;
    for (std::size_t i = 0; i < model.endpoints.size(); ++i) {
      const std::string place = fmt::format("{}.endpoints[{}]", path, i);
      endpoint(place, model.endpoints[i]);
      const EndpointConfig& each = model.endpoints[i];
      if (!seen.insert(each.provider + '\n' + each.variant + '\n' + each.model).second) {
        problems_.push_back(place + ": the same as one before it; give one of them a variant");
      }
    }
  }

  void name(const std::string& path, std::string_view field, const std::string& name) {
    if (name.ends_with(":nitro") || name.ends_with(":floor")) {
      add(path, field, fmt::format("\"{}\" ends in a suffix that asks for an order", name));
    } else if (!names_.insert(name).second) {
      add(path, field, fmt::format("\"{}\" is there twice, as an id or alias", name));
    }
  }

  void endpoint(const std::string& path, const EndpointConfig& endpoint) {
    const bool is_known =
        std::ranges::count(config_.providers, endpoint.provider, &Provider::slug) > 0;
    if (!is_known) {
      add(path, "provider", fmt::format("no provider has the slug \"{}\"", endpoint.provider));
    }
    if (!endpoint.variant.empty() && !is_slug(endpoint.variant)) {
      add(path, "variant", fmt::format("\"{}\" is not of a-z, 0-9 and -", endpoint.variant));
    }
    if (endpoint.model.empty()) add(path, "model", "required");
    if (endpoint.prices) prices(path, *endpoint.prices);
    limit(path, "context_length", endpoint.context_length);
    limit(path, "max_completion_tokens", endpoint.output_tokens_max);
    if (endpoint.input_modalities && endpoint.input_modalities->empty()) {
      add(path, "input_modalities", "must not be empty");
    }
  }

  void tokenizer(const std::string& path, const TokenizerConfig& tokenizer) {
    if (tokenizer.file.empty()) add(path, "file", "required");
    if (tokenizer.models.empty()) add(path, "models", "at least one is required");
    for (std::size_t i = 0; i < tokenizer.models.size(); ++i) {
      const std::string& pattern = tokenizer.models[i];
      if (is_visible_ascii(pattern) && pattern.find('*') >= pattern.size() - 1) continue;
      add(path, fmt::format("models[{}]", i),
          fmt::format("\"{}\" is not a model's id, or the beginning of one and a *", pattern));
    }
  }

  void prices(const std::string& path, const Prices& prices) {
    const auto check = [&](std::string_view field, std::optional<PicoUsd> price) {
      if (price && (price->value < 0 || price->value > kPicoPriceMax)) {
        add(path + ".pricing", field, "not from 0 to 1,000,000 USD");
      }
    };
    check("prompt", prices.input);
    check("completion", prices.output);
    check("request", prices.request);
    for (const PriceName& name : kPriceNames) check(name.name, prices.*name.price);
    std::int64_t before = 0;
    for (std::size_t i = 0; i < prices.tiers.size(); ++i) {
      const PriceTier& tier = prices.tiers[i];
      const std::string field = fmt::format("overrides[{}]", i);
      if (tier.above_tokens <= before) {
        add(path + ".pricing", field + ".above_tokens",
            "must be above 0, and above that of the one before");
      }
      before = tier.above_tokens;
      check(field + ".prompt", tier.input);
      check(field + ".completion", tier.output);
      for (const PriceName& name : kPriceNames) {
        if (name.of_tier != nullptr)
          check(fmt::format("{}.{}", field, name.name), tier.*name.of_tier);
      }
    }
  }

  void limit(const std::string& path, std::string_view field, std::optional<std::int64_t> tokens) {
    if (tokens && *tokens <= 0) add(path, field, "must be above 0");
  }

  const CatalogueConfig& config_;
  std::vector<std::string> problems_;
  std::set<std::string> slugs_;
  std::set<std::string> names_;
};

}  // namespace

std::vector<std::string> find_problems(const CatalogueConfig& config) {
  return Inspector(config).run();
}

}  // namespace gantry::gateway
