#include "gateway/call_admission.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "core/log.h"
#include "gateway/provider_preferences.h"
#include "gateway/request_context.h"
#include "gateway/request_modalities.h"
#include "gateway/token_estimate.h"

namespace gantry::gateway {
namespace {

constexpr std::int64_t kMsPerSecond = 1000;
constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::size_t kExactBytesMax = 4 << 10;  ///< Of a prompt: counted in under a millisecond.
constexpr std::int64_t kTokensMax = 1'000'000'000;  ///< Of an estimate: bounds what is multiplied.

TypedError invalid(const Error& error) {
  return {
      .type = error.code == Code::TooLarge ? ErrorType::PayloadTooLarge : ErrorType::InvalidRequest,
      .message = error.message};
}

TypedError internal_error() {
  return {.type = ErrorType::Server, .message = "Internal server error"};
}

TypedError invalid_key() {
  return {.type = ErrorType::Authentication, .message = "Invalid API key"};
}

/// "" if there is none.
std::string_view bearer_secret(const net::Request& request) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view value = request.headers.find("Authorization");
  if (value.size() < kScheme.size()) return {};
  const bool is_bearer = std::ranges::equal(
      value.substr(0, kScheme.size()), kScheme,
      [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  if (!is_bearer) return {};
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

/// "" if there is none.
std::string_view secret_of(const net::Request& request, Api api) {
  const std::string_view secret = bearer_secret(request);
  return secret.empty() && api == Api::Messages ? request.headers.find("x-api-key") : secret;
}

void raise(PicoUsd& price, const std::optional<PicoUsd>& other) {
  price = std::max(price, other.value_or(price));
}

/// Prices at which no split of the tokens costs more than all of them as plain text: all of the
/// input may have to be written to a cache, all of the output may be reasoning. Audio is in the
/// input only if the request has any, and in the output only if the request asks for it.
Prices worst_prices(const Prices& prices, const Generation& generation) {
  Prices worst = prices;
  raise(worst.input, prices.cache_write);
  raise(worst.input, prices.cache_write_1h);
  if (std::ranges::count(generation.input_media.modalities, "audio") > 0)
    raise(worst.input, prices.audio);
  raise(worst.output, prices.reasoning);
  if (generation.output_type == "speech") raise(worst.output, prices.audio_output);
  return worst;
}

/// The largest that a call to one of the candidates may come to. Nothing: none has a price.
std::optional<PicoUsd> dearest_cost(const Route& route, const Usage& usage,
                                    const Generation& generation) {
  std::optional<PicoUsd> dearest;
  for (const Candidate& candidate : route.candidates) {
    if (!candidate.endpoint->prices) continue;
    const Prices prices = worst_prices(candidate.endpoint->prices->at(usage.input), generation);
    const Cost cost = compute_cost(usage, prices, generation.input_media.images);
    dearest = std::max(dearest.value_or(PicoUsd{}), cost.total);
  }
  return dearest;
}

std::string_view limit_word(LimitReset reset) {
  switch (reset) {
    case LimitReset::Never:
      return "total";
    case LimitReset::Daily:
      return "daily";
    case LimitReset::Weekly:
      return "weekly";
    case LimitReset::Monthly:
      return "monthly";
  }
  std::unreachable();
}

std::string refusal_message(const LimitRefusal& refusal, const GatewayKey& key) {
  switch (refusal.reason) {
    case LimitRefusal::Reason::Budget:
      return fmt::format("Key limit exceeded ({} limit)", limit_word(key.settings.limit_reset));
    case LimitRefusal::Reason::RequestRate:
      return fmt::format("Rate limit exceeded: {} requests per minute", refusal.limit);
    case LimitRefusal::Reason::TokenRate:
      return fmt::format("Rate limit exceeded: {} tokens per minute", refusal.limit);
    case LimitRefusal::Reason::Concurrency:
      return fmt::format("Rate limit exceeded: {} calls at once", refusal.limit);
  }
  std::unreachable();
}

/// One request on its way in. Each step leaves something behind for the next ones, or `refusal_`.
class Doorkeeper {
 public:
  Doorkeeper(CallParts& parts, std::shared_ptr<const ServedCatalogue> catalogue, Api api)
      : parts_(parts), catalogue_(std::move(catalogue)), api_(api) {
    const TimestampMs now = parts_.clock.now();
    generation_.id = parts_.make_id(now);
    generation_.api = api;
    generation_.start_unix_ns = now.since_epoch * kNsPerMs;
  }

  std::expected<AdmittedCall, RefusedCall> run(net::Request& request) {
    auto key = authenticate(parts_.keys, request, api_);
    if (!key) return refuse(std::move(key).error());
    key_ = *std::move(key);
    if (auto error = read(request)) return refuse(*std::move(error));
    auto route = find_route();
    if (!route) return refuse(std::move(route).error());
    auto reservation = reserve(*route);
    if (!reservation) return refuse(std::move(reservation).error());
    return AdmittedCall{.key = std::move(key_),
                        .request = std::move(request_),
                        .catalogue = std::move(catalogue_),
                        .route = *std::move(route),
                        .reservation = *std::move(reservation),
                        .session = std::move(session_),
                        .stopwatch = stopwatch_,
                        .generation = std::move(generation_)};
  }

 private:
  std::unexpected<RefusedCall> refuse(TypedError error) {
    generation_.end_ms = stopwatch_.elapsed_ms();
    generation_.error_type = error_word(error.type);
    generation_.error_message = error.message;
    return std::unexpected(RefusedCall{.error = std::move(error),
                                       .headers = std::move(headers_),
                                       .generation = std::move(generation_),
                                       .key = std::move(key_)});
  }

  std::optional<TypedError> read(net::Request& request) {
    generation_.api_key_name = key_->settings.name;
    generation_.api_key_hash = key_->hash;
    generation_.creator_user_id = key_->created_by;
    generation_.workspace_id = std::to_string(key_->stack.value());
    generation_.user_agent = request.headers.find("User-Agent");
    generation_.http_referer = request.headers.find("HTTP-Referer");
    generation_.app_name = request.headers.find("X-Title");
    generation_.origin = request.headers.find("Origin");
    auto parsed =
        InferenceRequest::parse(api_, std::move(request.body), std::move(request.headers));
    if (!parsed) return invalid(parsed.error());
    request_ = *std::move(parsed);
    const net::Headers& headers = request_->headers();
    // W3C: of several, none holds.
    const bool has_parent = headers.count("traceparent") == 1;
    auto context = read_request_context(
        api_, request_->body(),
        {.session_id = headers.find("x-session-id"),
         .traceparent = has_parent ? headers.find("traceparent") : std::string_view()},
        parts_.options.metadata_namespace);
    if (!context) return invalid(context.error());
    generation_.requested_model = std::move(context->model);
    generation_.context = std::move(context->trace);
    generation_.parameters = std::move(context->parameters);
    generation_.is_stream = context->is_stream;
    generation_.tools_count = context->tools_count;
    generation_.output_type = std::move(context->output_type);
    generation_.prompt = std::move(context->prompt);
    generation_.input_media = find_input_media(api_, request_->body());
    const std::string& session = generation_.context.session_id;
    session_ = session.empty() ? request_->parsed().fields().prompt_cache_key : session;
    return std::nullopt;
  }

  std::expected<Route, TypedError> find_route() {
    const RequestFields& fields = request_->parsed().fields();
    const auto& first_model =
        fields.model.empty() && !fields.models.empty() ? fields.models.front() : fields.model;
    input_tokens_ = estimate_input_tokens(
        api_, request_->body(),
        {.tokenizer = catalogue_->tokenizer_for(first_model), .exact_bytes_max = kExactBytesMax});
    RoutingRequest wanted{.api = api_,
                          .models = fields.requested_models(),
                          .preferences = {},
                          .passed_keys = fields.passed_keys,
                          .input_modalities = generation_.input_media.modalities,
                          .allowed = allowed_models(*key_),
                          .session_owner = key_->hash,
                          .session = session_,
                          .input_tokens = input_tokens_};
    if (!fields.provider.empty()) {
      auto preferences = parse_provider_preferences(fields.provider);
      if (!preferences) return std::unexpected(invalid(preferences.error()));
      wanted.preferences = *std::move(preferences);
    }
    auto route = parts_.router.route(catalogue_->catalogue(), wanted);
    if (route && parts_.options.requires_price && key_->settings.limit) {
      std::erase_if(route->candidates,
                    [](const Candidate& candidate) { return !candidate.endpoint->prices; });
      if (route->candidates.empty()) {
        return std::unexpected(
            TypedError{.type = ErrorType::PaymentRequired,
                       .message = "Models without a price are not open to keys with a limit"});
      }
    }
    return route;
  }

  std::expected<Reservation, TypedError> reserve(const Route& route) {
    const std::int64_t output =
        api_ == Api::Embeddings
            ? 0
            : std::clamp<std::int64_t>(request_->parsed().fields().output_tokens_max.value_or(
                                           parts_.options.output_tokens_assumed),
                                       0, kTokensMax);
    constexpr std::int64_t kChoicesMax = 1'000;
    const std::int64_t choices =
        std::clamp<std::int64_t>(generation_.parameters.choice_count.value_or(1), 1, kChoicesMax);
    Usage usage;
    usage.input = input_tokens_;
    usage.output = std::min(output * choices, kTokensMax);
    usage.total = usage.input + usage.output;
    const std::optional<PicoUsd> cost = dearest_cost(route, usage, generation_);
    if (!cost && key_->settings.limit) {
      log::info("unpriced model called by a key with a limit",
                {{"generation", generation_.id},
                 {"key", key_->label},
                 {"model", route.candidates.front().model->config.id}});
    }
    auto admission = parts_.budgets.admit(*key_, {.cost = cost, .tokens = usage.total});
    if (!admission && admission.error().code == Code::NotFound) {
      return std::unexpected(invalid_key());  // deleted a moment ago
    }
    if (!admission) {
      log::error("gateway budget could not be read", {{"error", admission.error().message}});
      return std::unexpected(internal_error());
    }
    if (auto* const reservation = std::get_if<Reservation>(&*admission)) {
      return std::move(*reservation);
    }
    return std::unexpected(limit_error(std::get<LimitRefusal>(*admission)));
  }

  TypedError limit_error(const LimitRefusal& refusal) {
    TypedError error{.type = refusal.reason == LimitRefusal::Reason::Budget
                                 ? ErrorType::PaymentRequired
                                 : ErrorType::RateLimitExceeded,
                     .message = refusal_message(refusal, *key_)};
    if (error.type == ErrorType::PaymentRequired) return error;
    headers_.add("X-RateLimit-Limit", std::to_string(refusal.limit));
    headers_.add("X-RateLimit-Remaining", std::to_string(refusal.remaining));
    if (!refusal.reset_at) return error;
    headers_.add("X-RateLimit-Reset", std::to_string(refusal.reset_at->since_epoch));
    const std::int64_t wait_ms = (*refusal.reset_at - parts_.clock.now()).count;
    error.retry_after_s = std::max<std::int64_t>(1, (wait_ms + kMsPerSecond - 1) / kMsPerSecond);
    return error;
  }

  CallParts& parts_;
  std::shared_ptr<const ServedCatalogue> catalogue_;
  Api api_;
  Stopwatch stopwatch_;
  Generation generation_;
  net::Headers headers_;
  std::shared_ptr<const GatewayKey> key_;
  std::shared_ptr<const InferenceRequest> request_;
  std::string session_;
  std::int64_t input_tokens_ = 0;  ///< Estimated.
};

}  // namespace

bool is_quick_call(const CallParts& parts, Api api, const net::Request& request) {
  constexpr std::size_t kQuickBodyBytes = 16 << 10;  // parsed within some 50 µs
  if (request.body.size() > kQuickBodyBytes) return false;
  const auto key = parts.keys.find_known(secret_of(request, api));
  return key != nullptr && parts.budgets.is_known(*key);
}

std::expected<std::shared_ptr<const GatewayKey>, TypedError> authenticate(
    GatewayKeyFinder& keys, const net::Request& request, Api api) {
  const std::string_view secret = secret_of(request, api);
  if (secret.empty()) {
    return std::unexpected(
        TypedError{.type = ErrorType::Authentication, .message = "Missing Authentication header"});
  }
  auto key = keys.find(secret);
  if (!key) {
    log::error("gateway key could not be looked up", {{"error", key.error().message}});
    return std::unexpected(internal_error());
  }
  if (*key == nullptr) return std::unexpected(invalid_key());
  return *std::move(key);
}

AllowedModels allowed_models(const GatewayKey& key) {
  if (key.settings.allowed_models.empty()) return {};
  return {.ids = key.settings.allowed_models};
}

std::expected<AdmittedCall, RefusedCall> admit_call(
    CallParts& parts, const std::shared_ptr<const ServedCatalogue>& catalogue, Api api,
    net::Request& request) {
  return Doorkeeper(parts, catalogue, api).run(request);
}

}  // namespace gantry::gateway
