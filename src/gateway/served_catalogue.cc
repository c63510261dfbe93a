#include "gateway/served_catalogue.h"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace gantry::gateway {
namespace {

constexpr std::size_t kSecretBytesMax = 16 << 10;

UpstreamType upstream_type(ProviderType type) {
  switch (type) {
    case ProviderType::OpenAi:
    case ProviderType::Gemini:
      return UpstreamType::OpenAi;
    case ProviderType::Anthropic:
      return UpstreamType::Anthropic;
    case ProviderType::AzureOpenAi:
      return UpstreamType::AzureOpenAi;
  }
  std::unreachable();
}

Result<std::string> read_secret_file(const std::string& path, std::string_view reference) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return fail(Code::NotFound,
                fmt::format("{}: {}", reference, std::generic_category().message(errno)));
  std::string secret(kSecretBytesMax + 1, '\0');
  file.read(secret.data(), static_cast<std::streamsize>(secret.size()));
  if (file.bad()) return fail(Code::Internal, fmt::format("{}: cannot be read", reference));
  secret.resize(static_cast<std::size_t>(file.gcount()));
  if (secret.size() > kSecretBytesMax)
    return fail(Code::TooLarge,
                fmt::format("{}: larger than {} bytes", reference, kSecretBytesMax));
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  return secret;
}

Result<std::vector<std::string>> read_secrets(const Provider& provider,
                                              const SecretReader& read_secret) {
  std::vector<std::string> secrets;
  for (const ProviderKey& key : provider.keys) {
    auto secret = read_secret(key.secret_reference);
    if (!secret)
      return fail(secret.error().code,
                  fmt::format("provider {}: {}", provider.slug, secret.error().message));
    secrets.push_back(*std::move(secret));
  }
  return secrets;
}

Result<std::vector<std::shared_ptr<const BpeTokenizer>>> load_tokenizers(
    const std::vector<TokenizerConfig>& configs) {
  std::vector<std::shared_ptr<const BpeTokenizer>> tokenizers;
  for (std::size_t i = 0; i < configs.size(); ++i) {
    auto tokenizer = BpeTokenizer::load(configs[i].encoding, configs[i].file);
    if (!tokenizer)
      return fail(tokenizer.error().code,
                  fmt::format("gateway.tokenizers[{}]: {}", i, tokenizer.error().message));
    tokenizers.push_back(*std::move(tokenizer));
  }
  return tokenizers;
}

}  // namespace

Result<std::string> read_secret(std::string_view reference) {
  constexpr std::string_view kVariable = "env:";
  constexpr std::string_view kFile = "file:";
  std::string secret;
  if (reference.starts_with(kVariable)) {
    const std::string name(reference.substr(kVariable.size()));
    const char* const value = std::getenv(name.c_str());
    if (value != nullptr) secret = value;
  } else if (reference.starts_with(kFile)) {
    GANTRY_TRY(secret, read_secret_file(std::string(reference.substr(kFile.size())), reference));
  } else {
    return fail(Code::Unimplemented, "a secret is given as env:NAME, file:PATH or sealed:NAME");
  }
  if (secret.empty()) return fail(Code::NotFound, fmt::format("{}: not set, or empty", reference));
  return secret;
}

ServedProvider::ServedProvider(std::shared_ptr<const Provider> provider,
                               std::vector<std::string> secrets, std::shared_ptr<CallSlots> slots,
                               const Clock& clock, RandomSource& random)
    : provider_(std::move(provider)),
      secrets_(std::move(secrets)),
      slots_(std::move(slots)),
      keys_(provider_->keys, clock, random) {
  GANTRY_ASSERT(secrets_.size() == provider_->keys.size(), "each key has its secret");
}

Upstream ServedProvider::upstream(const Endpoint& endpoint, const ProviderTimeouts& timeouts,
                                  std::optional<std::size_t> key_index) const {
  const UpstreamType type = upstream_type(provider_->type);
  net::Headers headers;
  for (const auto& [name, value] : provider_->headers) headers.add(name, value);
  return {.name = provider_->name,
          .slug = provider_->slug,
          .type = type,
          .base_url = provider_->base_url,
          .api_version = provider_->api_version,
          .key = key_index ? secrets_[*key_index] : std::string(),
          .headers = std::move(headers),
          .forward_headers = provider_->forward_headers.value_or(default_forward_headers(type)),
          .forwards_trace_context = provider_->forwards_trace_context,
          .model = endpoint.upstream_model,
          .usage = provider_->stream_usage == StreamUsageSupport::Request
                       ? StreamUsage::Ask
                       : StreamUsage::AsClientSaid,
          .gateway_fields = provider_->is_gateway ? GatewayFields::Keep : GatewayFields::Remove,
          .timeouts = {.connect = timeouts.connect,
                       .headers = timeouts.headers,
                       .idle = timeouts.idle,
                       .total = timeouts.total}};
}

Result<std::shared_ptr<const ServedCatalogue>> ServedCatalogue::make(const Options& options) {
  const std::shared_ptr<ServedCatalogue> served(new ServedCatalogue());
  served->catalogue_ = options.catalogue;
  for (const auto& provider : options.catalogue->providers()) {
    GANTRY_TRY(std::vector<std::string> secrets, read_secrets(*provider, options.read_secret));
    std::shared_ptr<CallSlots> slots;
    if (options.previous != nullptr) {
      const auto before = options.previous->providers_.find(provider->slug);
      if (before != options.previous->providers_.end()) slots = before->second->slots();
    }
    if (slots == nullptr) {
      slots = std::make_shared<CallSlots>(provider->max_concurrent, options.waiting_room);
    }
    served->providers_.emplace(provider->slug, std::make_unique<ServedProvider>(
                                                   provider, std::move(secrets), std::move(slots),
                                                   options.steady_clock, options.random));
  }
  GANTRY_TRY(served->tokenizers_, load_tokenizers(options.catalogue->tokenizers()));
  // Once nothing can fail any more: these are shared with the calls of the previous one.
  for (const auto& provider : options.catalogue->providers()) {
    served->providers_.at(provider->slug)->slots()->set_slots_max(provider->max_concurrent);
  }
  return served;
}

ServedProvider& ServedCatalogue::provider_of(const Endpoint& endpoint) const {
  const auto found = providers_.find(endpoint.provider->slug);
  GANTRY_ASSERT(found != providers_.end(), "endpoints are of the catalogue's providers");
  return *found->second;
}

const BpeTokenizer* ServedCatalogue::tokenizer_of(std::string_view model_id) const {
  const std::vector<TokenizerConfig>& configs = catalogue_->tokenizers();
  for (std::size_t i = 0; i < configs.size(); ++i) {
    if (configs[i].counts(model_id)) return tokenizers_[i].get();
  }
  return nullptr;
}

const BpeTokenizer* ServedCatalogue::tokenizer_for(std::string_view model_name) const {
  if (tokenizers_.empty()) return nullptr;
  const auto match = catalogue_->find(model_name);
  return match ? tokenizer_of(match->model->config.id) : nullptr;
}

}  // namespace gantry::gateway
