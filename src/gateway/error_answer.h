#pragma once

// What goes wrong with a call, as one of a fixed list of words, and how each API says it. The
// words, codes and shapes are OpenRouter's; Messages answers in Anthropic's, and Responses adds
// what OpenAI's clients look for.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/generation.h"

namespace gantry::gateway {

/// metadata.error_type: stable, and free of anything that a client or provider wrote.
enum class ErrorType : std::uint8_t {
  InvalidRequest,
  InvalidPrompt,
  ContextLengthExceeded,
  MaxTokensExceeded,
  TokenLimitExceeded,
  StringTooLong,
  ContentPolicyViolation,
  Refusal,
  InvalidImage,
  ImageTooLarge,
  ImageTooSmall,
  UnsupportedImageFormat,
  ImageDownloadFailed,
  Authentication,
  PaymentRequired,
  PermissionDenied,
  NotFound,
  ImageNotFound,
  PreconditionFailed,
  PayloadTooLarge,
  Unprocessable,
  RateLimitExceeded,
  ClientDisconnected,  ///< 499, in metrics and traces only.
  Server,
  Unmapped,
  ProviderUnavailable,
  ProviderOverloaded,
  Timeout,
};

[[nodiscard]] std::string_view error_word(ErrorType type);
[[nodiscard]] std::optional<ErrorType> find_error_type(std::string_view word);
[[nodiscard]] int http_status(ErrorType type);

/// What ended an answer is that no more tokens fit, before it or in it.
[[nodiscard]] bool is_token_limit(ErrorType type);

/// "rate_limit_error": what Anthropic's API calls it.
[[nodiscard]] std::string_view anthropic_error_word(ErrorType type);

/// "rate_limit_exceeded": the code of a failed response of OpenAI's Responses API, whose list is
/// short: what it has no word for is a server_error.
[[nodiscard]] std::string_view responses_error_word(ErrorType type);

/// metadata.previous_errors: never what a provider wrote.
struct PreviousError {
  std::string provider;
  std::string code;  ///< A word of this list.
  std::optional<int> status;
};

/// Why no endpoint could take the call; see `error.availability`.
struct Availability {
  std::string code;  ///< no_endpoints, constraint_filtered, …
  bool is_retryable = false;
  std::vector<std::string> requested_models;
  std::vector<std::string> affected_providers;
  std::vector<std::string> excluded_by;
  std::vector<std::string> fallback_models;
  std::string constraint;
  std::string docs_url;
};

/// What a provider tells of content that it refused. `flagged_input` is content: it is the client's
/// alone.
struct Moderation {
  std::vector<std::string> reasons;
  std::string flagged_input;  ///< At most 100 characters are written; "": the provider said none.
  std::string provider_name;
  std::string model_slug;
};

struct TypedError {
  ErrorType type = ErrorType::Server;
  std::string message;
  std::string provider_code;  ///< The provider's own; "": none.
  std::optional<std::int64_t> retry_after_s;
  std::vector<PreviousError> previous_errors;
  std::optional<Availability> availability;
  std::optional<Moderation> moderation;
};

/// Who refused, where the provider did not say it. Nothing happens to an error without moderation.
void name_moderator(TypedError& error, std::string_view provider_name, std::string_view model);

/// {"error":{"code":…,"message":…,"metadata":{"error_type":…,…}}}
[[nodiscard]] std::string openai_error_body(const TypedError& error);

/// The value of its `error` alone: streams put it among a chunk's members.
[[nodiscard]] std::string openai_error_object(const TypedError& error);

/// {"type":"error","error":{"type":…,"message":…,"error_type":…},"request_id":…}; an empty
/// `request_id` is written as null.
[[nodiscard]] std::string anthropic_error_body(const TypedError& error,
                                               std::string_view request_id);

/// The body that the API's clients expect: one of the above, or for Responses the first of them
/// with OpenAI's `type` and `param` added to `error`, and `error_type` beside it, where a failed
/// response has it. `request_id` is of Messages. `status`: of the answer, if it is another than the
/// error's own (405, say).
[[nodiscard]] std::string error_body(Api api, const TypedError& error, std::string_view request_id,
                                     std::optional<int> status = {});

/// Seconds, or an HTTP date as seconds from now (never below 0); nothing if it is neither.
[[nodiscard]] std::optional<std::int64_t> parse_retry_after(std::string_view value,
                                                            std::int64_t now_unix_s);

struct UpstreamAnswer {
  int status = 0;
  std::string_view body;
  std::string_view retry_after;  ///< The header's value; "": none.
  std::int64_t now_unix_s = 0;
};

/// True if the body is an error object, whatever the status says: some providers answer 200.
[[nodiscard]] bool is_error_body(std::string_view body);

/// True for the names of the events with which a stream of Responses or Messages fails; `error` is
/// also the one of others that have names.
[[nodiscard]] bool is_error_event(std::string_view type);

/// What a provider's failed answer means to the client. The provider's text is passed on where the
/// client can mend the request by it; other texts are "Provider returned error". 401, 402 and 403
/// of a provider are about the gateway's key, not the client's: provider_unavailable.
[[nodiscard]] TypedError classify_upstream(const UpstreamAnswer& answer);

/// The same for an error that came as an event of a stream which had begun well. What is not the
/// client's to mend is masked too: "Provider disconnected" for provider_unavailable.
[[nodiscard]] TypedError classify_stream_error(std::string_view json);

/// A stream or an answer that broke off.
[[nodiscard]] TypedError provider_disconnected();

/// "Provider did not answer in 10000 ms"
[[nodiscard]] TypedError provider_timeout(std::int64_t waited_ms);

struct FailedAttempt {
  std::string provider_name;
  TypedError error;
  std::optional<int> status;
};

/// What the client is told after the last of `attempts` (at least one) failed. One type in all:
/// that type, with the smallest Retry-After; else provider_unavailable.
[[nodiscard]] TypedError combine_attempts(std::span<const FailedAttempt> attempts);

}  // namespace gantry::gateway
