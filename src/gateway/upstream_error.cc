// What a provider's error means: by its own words first, then by the status.

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "gateway/error_answer.h"
#include "gateway/json_reader.h"

namespace gantry::gateway {
namespace {

constexpr std::string_view kMasked = "Provider returned error";

/// What providers put into an error object, whichever of the usual shapes it has.
struct ErrorFields {
  bool is_error = false;
  std::string code;        ///< Text, or a number's digits.
  std::string type;        ///< OpenAI's and Anthropic's `error.type`.
  std::string error_type;  ///< A gateway's, of wherever it stands first.
  std::string message;
  Moderation moderation;
};

constexpr std::size_t kReasonsMax = 32;  ///< Of a refusal; what is more is left out.

void add_reason(std::string reason, ErrorFields& fields) {
  std::vector<std::string>& reasons = fields.moderation.reasons;
  if (reasons.size() < kReasonsMax) reasons.push_back(std::move(reason));
}

void read_error_type(JsonReader& json, ErrorFields& fields) {
  std::string word = json.string().value_or("");
  if (fields.error_type.empty()) fields.error_type = std::move(word);
}

/// OpenRouter's, of any error and of content that was refused.
void read_metadata(JsonReader& json, ErrorFields& fields) {
  Moderation& moderation = fields.moderation;
  json.object([&](const JsonMember& member) {
    if (member.key == "error_type") {
      read_error_type(json, fields);
    } else if (member.key == "reasons") {
      json.array([&] {
        if (auto reason = json.string()) add_reason(*std::move(reason), fields);
      });
    } else if (member.key == "flagged_input") {
      json.append_string(moderation.flagged_input);
    } else if (member.key == "provider_name") {
      json.append_string(moderation.provider_name);
    } else if (member.key == "model_slug") {
      json.append_string(moderation.model_slug);
    }
  });
}

/// {"hate":{"filtered":true,"severity":"high"},…}
void read_filter_result(JsonReader& json, ErrorFields& fields) {
  json.object([&](const JsonMember& category) {
    std::string name(category.key);
    bool is_filtered = false;
    json.object([&](const JsonMember& member) {
      if (member.key == "filtered") is_filtered = json.boolean().value_or(false);
    });
    if (is_filtered) add_reason(std::move(name), fields);
  });
}

/// Azure's: the content filter's own code and what it found are one level down.
void read_inner_error(JsonReader& json, ErrorFields& fields) {
  json.object([&](const JsonMember& member) {
    if (member.key == "code" && fields.type.empty()) {
      json.append_string(fields.type);
    } else if (member.key == "content_filter_result" || member.key == "content_filter_results") {
      read_filter_result(json, fields);
    }
  });
}

void read_error_value(JsonReader& json, ErrorFields& fields) {
  if (json.kind() == JsonKind::String) {
    json.append_string(fields.message);
    return;
  }
  json.object([&](const JsonMember& member) {
    if (member.key == "code") {
      if (json.kind() == JsonKind::String) {
        json.append_string(fields.code);
      } else if (const auto code = json.integer()) {
        fields.code = std::to_string(*code);
      }
    } else if (member.key == "type") {
      json.append_string(fields.type);
    } else if (member.key == "message") {
      json.append_string(fields.message);
    } else if (member.key == "error_type") {
      read_error_type(json, fields);
    } else if (member.key == "innererror") {
      read_inner_error(json, fields);
    } else if (member.key == "metadata") {
      read_metadata(json, fields);
    }
  });
}

/// True for a member of what holds an error; it was read then.
bool read_error_member(JsonReader& json, std::string_view key, ErrorFields& fields) {
  if (key == "error_type") {
    read_error_type(json, fields);
  } else if (key == "error" && json.kind() != JsonKind::Null) {
    fields.is_error = true;
    read_error_value(json, fields);
  } else {
    return false;
  }
  return true;
}

/// {"error":{…}}, {"error":"…"}, {"type":"error",…}, {"object":"error","message":…}, and
/// {"type":"response.failed","response":{"error":{…}}}.
ErrorFields read_error(std::string_view body) {
  ErrorFields fields;
  JsonReader json(body);
  bool is_flat = false;
  json.object([&](const JsonMember& member) {
    if (read_error_member(json, member.key, fields)) return;
    if (member.key == "response") {
      json.object([&](const JsonMember& part) { read_error_member(json, part.key, fields); });
    } else if (member.key == "object") {
      is_flat |= json.string() == "error";
    } else if (member.key == "type") {
      is_flat |= json.string() == "error";
    }
  });
  if (!json.finish()) return {};
  if (is_flat && !fields.is_error) {
    JsonReader flat(body);
    fields.is_error = true;
    read_error_value(flat, fields);
  }
  return fields;
}

struct Word {
  std::string_view text;
  ErrorType type;
};

/// Codes and types of providers that say more than the status does.
constexpr std::array kWords = {
    Word{"context_length_exceeded", ErrorType::ContextLengthExceeded},
    Word{"model_context_window_exceeded", ErrorType::ContextLengthExceeded},
    Word{"max_tokens_exceeded", ErrorType::MaxTokensExceeded},
    Word{"token_limit_exceeded", ErrorType::TokenLimitExceeded},
    Word{"string_above_max_length", ErrorType::StringTooLong},
    Word{"string_too_long", ErrorType::StringTooLong},
    Word{"invalid_prompt", ErrorType::InvalidPrompt},
    Word{"content_filter", ErrorType::ContentPolicyViolation},
    Word{"content_policy_violation", ErrorType::ContentPolicyViolation},
    Word{"ResponsibleAIPolicyViolation", ErrorType::ContentPolicyViolation},
    Word{"image_content_policy_violation", ErrorType::ContentPolicyViolation},
    Word{"moderation_blocked", ErrorType::ContentPolicyViolation},
    Word{"bio_policy", ErrorType::ContentPolicyViolation},
    Word{"refusal", ErrorType::Refusal},
    Word{"invalid_image", ErrorType::InvalidImage},
    Word{"invalid_image_url", ErrorType::InvalidImage},
    Word{"invalid_base64_image", ErrorType::InvalidImage},
    Word{"invalid_image_mode", ErrorType::InvalidImage},
    Word{"image_parse_error", ErrorType::InvalidImage},
    Word{"empty_image_file", ErrorType::InvalidImage},
    Word{"image_too_large", ErrorType::ImageTooLarge},
    Word{"image_file_too_large", ErrorType::ImageTooLarge},
    Word{"image_too_small", ErrorType::ImageTooSmall},
    Word{"invalid_image_format", ErrorType::UnsupportedImageFormat},
    Word{"unsupported_image_media_type", ErrorType::UnsupportedImageFormat},
    Word{"failed_to_download_image", ErrorType::ImageDownloadFailed},
    Word{"image_file_not_found", ErrorType::ImageNotFound},
    Word{"rate_limit_exceeded", ErrorType::RateLimitExceeded},
    Word{"rate_limit_error", ErrorType::RateLimitExceeded},
    Word{"insufficient_quota", ErrorType::RateLimitExceeded},
    Word{"overloaded_error", ErrorType::ProviderOverloaded},
    Word{"timeout_error", ErrorType::Timeout},
    Word{"vector_store_timeout", ErrorType::Timeout},
    Word{"server_error", ErrorType::Server},
    Word{"api_error", ErrorType::Server},
    Word{"not_found_error", ErrorType::NotFound},
    Word{"model_not_found", ErrorType::NotFound},
    Word{"request_too_large", ErrorType::PayloadTooLarge},
    Word{"authentication_error", ErrorType::ProviderUnavailable},
    Word{"permission_error", ErrorType::ProviderUnavailable},
    Word{"billing_error", ErrorType::ProviderUnavailable},
    Word{"invalid_request_error", ErrorType::InvalidRequest},
};

/// How providers without a code for it say that the input is too long.
constexpr std::array<std::string_view, 5> kContextPhrases = {
    "maximum context length", "context window", "context length", "prompt is too long",
    "input is too long"};

std::optional<ErrorType> find_word(std::string_view text) {
  const auto found = std::ranges::find(kWords, text, &Word::text);
  if (found == kWords.end()) return std::nullopt;
  return found->type;
}

bool is_about_gateway(ErrorType type) {
  return type == ErrorType::Authentication || type == ErrorType::PaymentRequired ||
         type == ErrorType::PermissionDenied;
}

ErrorType type_of_status(int status) {
  switch (status) {
    case 400:
    case 415:
      return ErrorType::InvalidRequest;
    case 404:
      return ErrorType::NotFound;
    case 408:
    case 504:
    case 524:
      return ErrorType::Timeout;
    case 412:
      return ErrorType::PreconditionFailed;
    case 413:
      return ErrorType::PayloadTooLarge;
    case 422:
      return ErrorType::Unprocessable;
    case 429:
      return ErrorType::RateLimitExceeded;
    case 503:
    case 529:
      return ErrorType::ProviderOverloaded;
    case 401:
    case 402:
    case 403:
    case 409:
    case 502:
      return ErrorType::ProviderUnavailable;
    default:
      if (status >= 500) return ErrorType::Server;
      return status >= 400 ? ErrorType::Unmapped : ErrorType::ProviderUnavailable;
  }
}

/// A status that stands in `code`, as some providers of streams write it.
std::optional<int> status_in_code(const ErrorFields& fields) {
  int status = 0;
  const char* const end = fields.code.data() + fields.code.size();
  const auto parsed = std::from_chars(fields.code.data(), end, status);
  if (parsed.ec != std::errc() || parsed.ptr != end || status < 400 || status > 599) {
    return std::nullopt;
  }
  return status;
}

/// Refines a status that leaves open what was wrong with the request.
std::optional<ErrorType> type_of_words(const ErrorFields& fields) {
  if (const auto word = find_error_type(fields.error_type)) {
    return is_about_gateway(*word) ? ErrorType::ProviderUnavailable : *word;
  }
  for (const std::string* text : {&fields.code, &fields.type}) {
    const auto word = find_word(*text);
    if (word && word != ErrorType::InvalidRequest) return word;
  }
  const bool is_too_long = std::ranges::any_of(
      kContextPhrases, [&](std::string_view phrase) { return fields.message.contains(phrase); });
  if (is_too_long) return ErrorType::ContextLengthExceeded;
  return find_word(fields.type);
}

ErrorType type_of(int status, const ErrorFields& fields) {
  if (status < 300) {
    if (const auto inner = status_in_code(fields)) return type_of(*inner, fields);
    return type_of_words(fields).value_or(ErrorType::ProviderUnavailable);
  }
  const ErrorType by_status = type_of_status(status);
  // The statuses that say no more than "your request" are told apart by words; 401 and the like
  // are not: a moderation error is the only 403 that concerns the client. Reasons make one, which
  // OpenRouter gives without any word.
  if (by_status == ErrorType::InvalidRequest || by_status == ErrorType::Unprocessable ||
      by_status == ErrorType::PayloadTooLarge) {
    return type_of_words(fields).value_or(by_status);
  }
  const bool is_moderation = !fields.moderation.reasons.empty() ||
                             type_of_words(fields) == ErrorType::ContentPolicyViolation;
  if (status == 403 && is_moderation) {
    return ErrorType::ContentPolicyViolation;
  }
  return by_status;
}

/// The client can mend the request, so the provider's own words help. A model that a provider does
/// not know is the gateway's configuration.
bool is_clients(ErrorType type) {
  const int status = http_status(type);
  return status == 400 || status == 412 || status == 413 || status == 422 ||
         type == ErrorType::ImageNotFound;
}

TypedError make_error(ErrorType type, ErrorFields fields, std::string_view masked) {
  TypedError error{.type = type};
  // A code that repeats a status says nothing of the provider's own.
  if (!status_in_code(fields)) error.provider_code = std::move(fields.code);
  if (error.provider_code.empty()) error.provider_code = std::move(fields.type);
  const bool is_told = is_clients(type) && !fields.message.empty();
  error.message = is_told ? std::move(fields.message) : std::string(masked);
  if (type == ErrorType::ContentPolicyViolation) error.moderation = std::move(fields.moderation);
  return error;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, IMF-fixdate) in Unix seconds.
std::optional<std::int64_t> parse_http_date(std::string_view text) {
  constexpr std::size_t kLength = 29;
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != kLength || !text.ends_with(" GMT") || text[3] != ',') return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t digits) {
    int value = -1;
    const char* const begin = text.data() + at;
    const auto parsed = std::from_chars(begin, begin + digits, value);
    return parsed.ptr == begin + digits ? value : -1;
  };
  const std::size_t month = kMonths.find(text.substr(8, 3));
  const int day = number(5, 2);
  const int year = number(12, 4);
  const int hour = number(17, 2);
  const int minute = number(20, 2);
  const int second = number(23, 2);
  if (month == std::string_view::npos || month % 3 != 0 || year < 0) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                                         std::chrono::day(static_cast<unsigned>(std::max(day, 0)))};
  const bool is_time = hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0;
  if (!date.ok() || !is_time || second > 60) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch();
  return std::chrono::seconds(days).count() + hour * 3600 + minute * 60 + second;
}

}  // namespace

std::optional<std::int64_t> parse_retry_after(std::string_view value, std::int64_t now_unix_s) {
  std::int64_t seconds = 0;
  const char* const end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, seconds);
  if (parsed.ec == std::errc() && parsed.ptr == end && seconds >= 0) return seconds;
  const auto date = parse_http_date(value);
  if (!date) return std::nullopt;
  return std::max<std::int64_t>(*date - now_unix_s, 0);
}

bool is_error_body(std::string_view body) {
  return read_error(body).is_error;
}

bool is_error_event(std::string_view type) {
  return type == "error" || type == "response.error" || type == "response.failed";
}

TypedError classify_upstream(const UpstreamAnswer& answer) {
  ErrorFields fields = read_error(answer.body);
  const ErrorType type = type_of(answer.status, fields);
  TypedError error = make_error(type, std::move(fields), kMasked);
  error.retry_after_s = parse_retry_after(answer.retry_after, answer.now_unix_s);
  return error;
}

TypedError classify_stream_error(std::string_view json) {
  ErrorFields fields = read_error(json);
  if (!fields.is_error) {
    // `event: error` may carry the error's members bare.
    JsonReader reader(json);
    read_error_value(reader, fields);
  }
  const ErrorType type = type_of(200, fields);
  const bool is_gone = type == ErrorType::ProviderUnavailable;
  return make_error(type, std::move(fields),
                    is_gone ? provider_disconnected().message : std::string(kMasked));
}

}  // namespace gantry::gateway
