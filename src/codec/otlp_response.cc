#include "codec/otlp_response.h"

#include <algorithm>

#include <protozero/pbf_writer.hpp>

#include "core/json_writer.h"

namespace gantry::codec {

namespace {

using Writer = protozero::basic_pbf_writer<std::string>;

enum : protozero::pbf_tag_type {
  // Export…ServiceResponse and Export…PartialSuccess.
  kPartialSuccess = 1,
  kRejected = 1,
  kErrorMessage = 2,
  // google.rpc.Status.
  kCode = 1,
  kMessage = 2,
  kDetails = 3,
  // google.protobuf.Any.
  kTypeUrl = 1,
  kValue = 2,
  // google.rpc.RetryInfo and google.protobuf.Duration.
  kRetryDelay = 1,
  kSeconds = 1,
  kNanos = 2,
};

constexpr std::string_view kRetryInfoType = "type.googleapis.com/google.rpc.RetryInfo";
/// Answers are bounded; a longer text helps nobody.
constexpr std::size_t kMessageBytesMax = 64 << 10;

std::string_view rejected_key(OtlpSignal signal) {
  switch (signal) {
    case OtlpSignal::Metrics:
      return "rejectedDataPoints";
    case OtlpSignal::Traces:
      return "rejectedSpans";
    case OtlpSignal::Logs:
      return "rejectedLogRecords";
  }
  return "rejectedDataPoints";
}

std::string retry_info(std::int64_t delay_ms) {
  std::string duration;
  Writer writer(duration);
  const std::int64_t seconds = delay_ms / 1000;
  const auto nanos = static_cast<std::int32_t>(delay_ms % 1000 * 1'000'000);
  if (seconds != 0) writer.add_int64(kSeconds, seconds);
  if (nanos != 0) writer.add_int32(kNanos, nanos);
  std::string info;
  Writer(info).add_message(kRetryDelay, duration);
  return info;
}

/// As proto3 JSON writes a Duration: "1.500s".
std::string duration_text(std::int64_t delay_ms) {
  std::string text = std::to_string(delay_ms / 1000);
  if (const std::int64_t rest = delay_ms % 1000; rest != 0) {
    const std::string digits = std::to_string(rest);
    text += "." + std::string(3 - digits.size(), '0') + digits;
  }
  return text + "s";
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return lower(x) == lower(y);
  });
}

std::string status_json(const Error& error, std::optional<std::int64_t> retry_after_ms) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object();
  json.key("code").integer(std::int64_t{grpc_code(error.code)});
  json.key("message").string(error.message);
  json.key("details").begin_array();
  if (retry_after_ms) {
    json.begin_object();
    json.key("@type").string(kRetryInfoType);
    json.key("retryDelay").string(duration_text(*retry_after_ms));
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return out;
}

}  // namespace

Result<OtlpEncoding> parse_otlp_content_type(std::string_view value) {
  value = value.substr(0, value.find(';'));
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  for (const OtlpEncoding encoding : {OtlpEncoding::Protobuf, OtlpEncoding::Json}) {
    if (equals_ignoring_case(value, otlp_content_type(encoding))) return encoding;
  }
  return fail(Code::Unsupported,
              "415 unsupported media type, supported: [application/json, application/x-protobuf]");
}

std::string_view otlp_content_type(OtlpEncoding encoding) {
  return encoding == OtlpEncoding::Json ? "application/json" : "application/x-protobuf";
}

std::string encode_otlp_response(OtlpEncoding encoding, OtlpSignal signal, std::uint64_t rejected,
                                 std::string_view message) {
  message = message.substr(0, kMessageBytesMax);
  const bool is_partial = rejected != 0 || !message.empty();
  std::string out;
  if (encoding == OtlpEncoding::Json) {
    core::JsonWriter json(out);
    json.begin_object();
    if (is_partial) {
      json.key("partialSuccess").begin_object();
      if (rejected != 0) json.key(rejected_key(signal)).string(std::to_string(rejected));
      if (!message.empty()) json.key("errorMessage").string(message);
      json.end_object();
    }
    json.end_object();
    return out;
  }
  if (!is_partial) return out;
  std::string partial;
  Writer writer(partial);
  if (rejected != 0) writer.add_int64(kRejected, static_cast<std::int64_t>(rejected));
  if (!message.empty()) writer.add_string(kErrorMessage, message);
  Writer(out).add_message(kPartialSuccess, partial);
  return out;
}

std::string encode_rpc_status(OtlpEncoding encoding, const Error& error,
                              std::optional<std::int64_t> retry_after_ms) {
  if (encoding == OtlpEncoding::Json) return status_json(error, retry_after_ms);
  std::string out;
  Writer writer(out);
  writer.add_int32(kCode, grpc_code(error.code));
  writer.add_string(kMessage, error.message);
  if (retry_after_ms) {
    std::string any;
    Writer any_writer(any);
    any_writer.add_string(kTypeUrl, kRetryInfoType);
    any_writer.add_bytes(kValue, retry_info(*retry_after_ms));
    writer.add_message(kDetails, any);
  }
  return out;
}

std::int32_t grpc_code(Code code) {
  switch (code) {
    case Code::Cancelled:
      return 1;
    case Code::InvalidArgument:
      return 3;
    case Code::DeadlineExceeded:
      return 4;
    case Code::NotFound:
      return 5;
    case Code::AlreadyExists:
      return 6;
    case Code::PermissionDenied:
      return 7;
    case Code::ResourceExhausted:
    case Code::TooLarge:
      return 8;
    case Code::FailedPrecondition:
      return 9;
    case Code::OutOfRange:
      return 11;
    case Code::Unimplemented:
    case Code::Unsupported:
      return 12;
    case Code::Internal:
      return 13;
    case Code::Unavailable:
      return 14;
    case Code::DataLoss:
      return 15;
    case Code::Unauthenticated:
      return 16;
  }
  return 2;
}

}  // namespace gantry::codec
