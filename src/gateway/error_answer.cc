#include "gateway/error_answer.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json_writer.h"
#include "core/utf8.h"

namespace gantry::gateway {
namespace {

struct Row {
  ErrorType type;
  std::string_view word;
  int status;
  std::string_view anthropic = "api_error";
  std::string_view responses = "server_error";
};

constexpr std::string_view kAnthropicRequest = "invalid_request_error";
constexpr std::string_view kAnthropicOther = "api_error";
constexpr std::string_view kResponsesPrompt = "invalid_prompt";

constexpr std::array kRows = {
    Row{ErrorType::InvalidRequest, "invalid_request", 400, kAnthropicRequest, kResponsesPrompt},
    Row{ErrorType::InvalidPrompt, "invalid_prompt", 400, kAnthropicOther, kResponsesPrompt},
    Row{ErrorType::ContextLengthExceeded, "context_length_exceeded", 400, kAnthropicRequest,
        kResponsesPrompt},
    Row{ErrorType::MaxTokensExceeded, "max_tokens_exceeded", 400, kAnthropicOther,
        kResponsesPrompt},
    Row{ErrorType::TokenLimitExceeded, "token_limit_exceeded", 400, kAnthropicOther,
        kResponsesPrompt},
    Row{ErrorType::StringTooLong, "string_too_long", 400, kAnthropicOther, kResponsesPrompt},
    Row{ErrorType::ContentPolicyViolation, "content_policy_violation", 400, kAnthropicRequest,
        "image_content_policy_violation"},
    Row{ErrorType::Refusal, "refusal", 400, kAnthropicOther, kResponsesPrompt},
    Row{ErrorType::InvalidImage, "invalid_image", 400, kAnthropicOther, "invalid_image"},
    Row{ErrorType::ImageTooLarge, "image_too_large", 400, kAnthropicOther, "image_too_large"},
    Row{ErrorType::ImageTooSmall, "image_too_small", 400, kAnthropicOther, "image_too_small"},
    Row{ErrorType::UnsupportedImageFormat, "unsupported_image_format", 400, kAnthropicOther,
        "unsupported_image_media_type"},
    Row{ErrorType::ImageDownloadFailed, "image_download_failed", 400, kAnthropicOther,
        "failed_to_download_image"},
    Row{ErrorType::Authentication, "authentication", 401, "authentication_error"},
    Row{ErrorType::PaymentRequired, "payment_required", 402, "billing_error"},
    Row{ErrorType::PermissionDenied, "permission_denied", 403, "permission_error"},
    Row{ErrorType::NotFound, "not_found", 404, "not_found_error"},
    Row{ErrorType::ImageNotFound, "image_not_found", 404, kAnthropicOther, "image_file_not_found"},
    Row{ErrorType::PreconditionFailed, "precondition_failed", 412},
    Row{ErrorType::PayloadTooLarge, "payload_too_large", 413},
    Row{ErrorType::Unprocessable, "unprocessable", 422},
    Row{ErrorType::RateLimitExceeded, "rate_limit_exceeded", 429, "rate_limit_error",
        "rate_limit_exceeded"},
    Row{ErrorType::ClientDisconnected, "client_disconnected", 499},
    Row{ErrorType::Server, "server", 500},
    Row{ErrorType::Unmapped, "unmapped", 500},
    Row{ErrorType::ProviderUnavailable, "provider_unavailable", 502},
    Row{ErrorType::ProviderOverloaded, "provider_overloaded", 503, "overloaded_error"},
    Row{ErrorType::Timeout, "timeout", 504, "timeout_error"},
};

constexpr bool rows_follow_types() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].type) != i) return false;
  }
  return true;
}

static_assert(rows_follow_types(), "a row is found by its type's number");

const Row& row(ErrorType type) {
  return kRows.at(static_cast<std::size_t>(type));
}

void write_strings(core::JsonWriter& json, std::string_view key,
                   const std::vector<std::string>& values) {
  json.key(key).begin_array();
  for (const std::string& value : values) json.string(value);
  json.end_array();
}

void write_availability(core::JsonWriter& json, const TypedError& error) {
  const Availability& availability = *error.availability;
  const auto write_text = [&](std::string_view key, const std::string& value) {
    json.key(key);
    value.empty() ? json.null() : json.string(value);
  };
  json.key("availability").begin_object();
  json.key("code").string(availability.code);
  json.key("retryable").boolean(availability.is_retryable);
  json.key("retry_after");
  error.retry_after_s ? json.integer(*error.retry_after_s) : json.null();
  write_strings(json, "requested_models", availability.requested_models);
  write_strings(json, "affected_providers", availability.affected_providers);
  write_strings(json, "excluded_by", availability.excluded_by);
  write_strings(json, "fallback_models", availability.fallback_models);
  write_text("constraint", availability.constraint);
  write_text("docs_url", availability.docs_url);
  json.end_object();
}

/// At most 100 characters: of what is longer, the middle gives way to "...".
std::string shorten(std::string_view text) {
  constexpr std::size_t kCharactersMax = 100;
  constexpr std::size_t kHeadCharacters = 49;
  constexpr std::size_t kTailCharacters = 48;
  std::vector<std::size_t> begins;  ///< Of the characters.
  for (std::size_t at = 0; at < text.size(); static_cast<void>(core::next_code_point(text, at))) {
    begins.push_back(at);
  }
  if (begins.size() <= kCharactersMax) return std::string(text);
  return fmt::format("{}...{}", text.substr(0, begins[kHeadCharacters]),
                     text.substr(begins[begins.size() - kTailCharacters]));
}

void write_moderation(core::JsonWriter& json, const Moderation& moderation) {
  json.key("reasons").begin_array();
  for (const std::string& reason : moderation.reasons) json.string(shorten(reason));
  json.end_array();
  if (!moderation.flagged_input.empty()) {
    json.key("flagged_input").string(shorten(moderation.flagged_input));
  }
  json.key("provider_name").string(moderation.provider_name);
  json.key("model_slug").string(moderation.model_slug);
}

void write_metadata(core::JsonWriter& json, const TypedError& error) {
  json.begin_object();
  json.key("error_type").string(error_word(error.type));
  // The text of a 500 is masked, and the provider's code would tell it after all.
  if (!error.provider_code.empty() && http_status(error.type) != 500) {
    json.key("provider_code").string(error.provider_code);
  }
  if (error.moderation) write_moderation(json, *error.moderation);
  if (!error.previous_errors.empty()) {
    json.key("previous_errors").begin_array();
    for (const PreviousError& previous : error.previous_errors) {
      json.begin_object();
      json.key("provider").string(previous.provider);
      json.key("code").string(previous.code);
      json.key("status");
      previous.status ? json.integer(*previous.status) : json.null();
      json.end_object();
    }
    json.end_array();
  }
  json.end_object();
}

/// The family of an error at OpenAI: what its clients call `error.type`.
std::string_view openai_family(int status) {
  if (status == 402) return "insufficient_quota";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

void write_error(core::JsonWriter& json, const TypedError& error, Api api, int status) {
  json.begin_object();
  json.key("code").integer(status);
  json.key("message").string(error.message);
  if (api == Api::Responses) {
    json.key("type").string(openai_family(status));
    json.key("param").null();
  }
  json.key("metadata");
  write_metadata(json, error);
  if (error.availability) write_availability(json, error);
  json.end_object();
}

}  // namespace

std::string_view error_word(ErrorType type) {
  return row(type).word;
}

std::optional<ErrorType> find_error_type(std::string_view word) {
  const auto found = std::ranges::find(kRows, word, &Row::word);
  if (found == kRows.end()) return std::nullopt;
  return found->type;
}

int http_status(ErrorType type) {
  return row(type).status;
}

bool is_token_limit(ErrorType type) {
  return type == ErrorType::ContextLengthExceeded || type == ErrorType::MaxTokensExceeded ||
         type == ErrorType::TokenLimitExceeded || type == ErrorType::StringTooLong;
}

std::string_view anthropic_error_word(ErrorType type) {
  return row(type).anthropic;
}

std::string_view responses_error_word(ErrorType type) {
  return row(type).responses;
}

void name_moderator(TypedError& error, std::string_view provider_name, std::string_view model) {
  if (!error.moderation) return;
  Moderation& moderation = *error.moderation;
  if (moderation.provider_name.empty()) moderation.provider_name = provider_name;
  if (moderation.model_slug.empty()) moderation.model_slug = model;
}

std::string openai_error_object(const TypedError& error) {
  std::string out;
  core::JsonWriter json(out);
  write_error(json, error, Api::Chat, http_status(error.type));
  return out;
}

std::string openai_error_body(const TypedError& error) {
  return error_body(Api::Chat, error, {});
}

std::string anthropic_error_body(const TypedError& error, std::string_view request_id) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.key("type").string("error");
  json.key("error").begin_object();
  json.key("type").string(anthropic_error_word(error.type));
  json.key("message").string(error.message);
  json.key("error_type").string(error_word(error.type));
  json.end_object();
  json.key("request_id");
  request_id.empty() ? json.null() : json.string(request_id);
  json.end_object();
  return out;
}

std::string error_body(Api api, const TypedError& error, std::string_view request_id,
                       std::optional<int> status) {
  if (api == Api::Messages) return anthropic_error_body(error, request_id);
  std::string out;
  core::JsonWriter json(out);
  json.begin_object().key("error");
  write_error(json, error, api, status.value_or(http_status(error.type)));
  if (api == Api::Responses) json.key("error_type").string(error_word(error.type));
  json.end_object();
  return out;
}

TypedError provider_disconnected() {
  return {.type = ErrorType::ProviderUnavailable, .message = "Provider disconnected"};
}

TypedError provider_timeout(std::int64_t waited_ms) {
  return {.type = ErrorType::Timeout,
          .message = fmt::format("Provider did not answer in {} ms", waited_ms)};
}

TypedError combine_attempts(std::span<const FailedAttempt> attempts) {
  GANTRY_ASSERT(!attempts.empty(), "a call fails after an attempt");
  TypedError combined = attempts.back().error;
  const bool is_one_type = std::ranges::all_of(
      attempts, [&](const FailedAttempt& each) { return each.error.type == combined.type; });
  if (!is_one_type) {
    combined = {.type = ErrorType::ProviderUnavailable, .message = "Provider returned error"};
  }
  for (const FailedAttempt& attempt : attempts) {
    const auto& wait = attempt.error.retry_after_s;
    if (is_one_type && wait && wait < combined.retry_after_s.value_or(*wait + 1)) {
      combined.retry_after_s = wait;
    }
  }
  for (const FailedAttempt& attempt : attempts.first(attempts.size() - 1)) {
    combined.previous_errors.push_back({.provider = attempt.provider_name,
                                        .code = std::string(error_word(attempt.error.type)),
                                        .status = attempt.status});
  }
  return combined;
}

}  // namespace gantry::gateway
