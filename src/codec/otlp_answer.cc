#include "codec/otlp_answer.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <protozero/pbf_message.hpp>
#include <simdjson.h>

namespace gantry::codec {
namespace {

using protozero::pbf_wire_type;
namespace dom = simdjson::dom;

enum class ExportResponse : std::uint32_t { PartialSuccess = 1 };
enum class PartialSuccess : std::uint32_t { Rejected = 1, ErrorMessage = 2 };
enum class RpcStatus : std::uint32_t { Message = 2, Details = 3 };
enum class Any : std::uint32_t { TypeUrl = 1, Value = 2 };
enum class RetryInfo : std::uint32_t { RetryDelay = 1 };
enum class Duration : std::uint32_t { Seconds = 1, Nanos = 2 };

/// The end of its type URL; what is before the slash may be anything.
constexpr std::string_view kRetryInfo = "/google.rpc.RetryInfo";
constexpr std::int64_t kDurationSecondsMax = 315'576'000'000;  // google/protobuf/duration.proto

std::uint64_t count_of(std::int64_t number) {
  return number > 0 ? static_cast<std::uint64_t>(number) : 0;
}

std::string_view rejected_key(OtlpSignal signal) {
  switch (signal) {
    case OtlpSignal::Metrics:
      return "rejectedDataPoints";
    case OtlpSignal::Traces:
      return "rejectedSpans";
    case OtlpSignal::Logs:
      return "rejectedLogRecords";
  }
  return "rejectedSpans";
}

OtlpPartialSuccess read_partial_success(std::string_view bytes) {
  OtlpPartialSuccess partial;
  protozero::pbf_message<PartialSuccess> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(PartialSuccess::Rejected, pbf_wire_type::varint):
        partial.rejected = count_of(message.get_int64());
        break;
      case tag_and_type(PartialSuccess::ErrorMessage, pbf_wire_type::length_delimited):
        partial.message = message.get_string();
        break;
      default:
        message.skip();
    }
  }
  return partial;
}

Result<OtlpPartialSuccess> decode_protobuf(std::string_view body) {
  try {
    OtlpPartialSuccess partial;
    protozero::pbf_message<ExportResponse> message(body);
    while (message.next()) {
      if (message.tag_and_type() ==
          tag_and_type(ExportResponse::PartialSuccess, pbf_wire_type::length_delimited)) {
        partial = read_partial_success(message.get_view());
      } else {
        message.skip();
      }
    }
    return partial;
  } catch (const protozero::exception&) {
    return fail(Code::InvalidArgument, "the answer is not an OTLP export response");
  }
}

/// A parsed document; its parser owns what it refers to.
struct JsonAnswer {
  dom::parser parser;
  dom::object object;
};

bool parse_object(std::string_view body, JsonAnswer& answer) {
  return answer.parser.parse(body.data(), body.size()).get_object().get(answer.object) ==
         simdjson::SUCCESS;
}

/// 64-bit integers are strings in proto3's JSON, and numbers in that of many servers.
std::optional<std::int64_t> read_integer(const dom::element& element) {
  if (std::int64_t number = 0; element.get_int64().get(number) == simdjson::SUCCESS) return number;
  std::string_view text;
  if (element.get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<OtlpPartialSuccess> decode_json(OtlpSignal signal, std::string_view body) {
  const auto refuse = [] {
    return fail(Code::InvalidArgument, "the answer is not an OTLP/JSON export response");
  };
  JsonAnswer answer;
  if (!parse_object(body, answer)) return refuse();
  OtlpPartialSuccess partial;
  dom::element member;
  if (answer.object["partialSuccess"].get(member) != simdjson::SUCCESS || member.is_null())
    return partial;
  dom::object object;
  if (member.get_object().get(object) != simdjson::SUCCESS) return refuse();
  if (object[rejected_key(signal)].get(member) == simdjson::SUCCESS && !member.is_null()) {
    const std::optional<std::int64_t> rejected = read_integer(member);
    if (!rejected) return refuse();
    partial.rejected = count_of(*rejected);
  }
  if (object["errorMessage"].get(member) == simdjson::SUCCESS && !member.is_null()) {
    std::string_view text;
    if (member.get_string().get(text) != simdjson::SUCCESS) return refuse();
    partial.message = text;
  }
  return partial;
}

std::string status_message_json(std::string_view body) {
  JsonAnswer answer;
  if (!parse_object(body, answer)) return "";
  for (const char* const pointer : {"/message", "/error/message", "/error"}) {
    std::string_view text;
    if (answer.object.at_pointer(pointer).get_string().get(text) == simdjson::SUCCESS)
      return std::string(text);
  }
  return "";
}

std::string status_message_protobuf(std::string_view body) {
  try {
    std::string text;
    protozero::pbf_message<RpcStatus> message(body);
    while (message.next()) {
      if (message.tag_and_type() ==
          tag_and_type(RpcStatus::Message, pbf_wire_type::length_delimited)) {
        text = message.get_string();
      } else {
        message.skip();
      }
    }
    return text;
  } catch (const protozero::exception&) {
    return "";
  }
}

/// The last field of that number; "" when there is none.
template <class Message>
std::string_view bytes_of(std::string_view bytes, Message field) {
  std::string_view found;
  protozero::pbf_message<Message> message(bytes);
  while (message.next(field, pbf_wire_type::length_delimited)) found = message.get_view();
  return found;
}

/// Negative when one of its parts is.
DurationMs read_duration(std::string_view bytes) {
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
  protozero::pbf_message<Duration> message(bytes);
  while (message.next()) {
    switch (message.tag_and_type()) {
      case tag_and_type(Duration::Seconds, pbf_wire_type::varint):
        seconds = message.get_int64();
        break;
      case tag_and_type(Duration::Nanos, pbf_wire_type::varint):
        nanoseconds = message.get_int32();
        break;
      default:
        message.skip();
    }
  }
  if (seconds < 0 || nanoseconds < 0) return {-1};
  return {std::min(seconds, kDurationSecondsMax) * 1000 + (nanoseconds + 999'999) / 1'000'000};
}

}  // namespace

Result<OtlpPartialSuccess> decode_otlp_response(OtlpEncoding encoding, OtlpSignal signal,
                                                std::string_view body) {
  if (body.empty()) return OtlpPartialSuccess{};
  return encoding == OtlpEncoding::Json ? decode_json(signal, body) : decode_protobuf(body);
}

std::string decode_status_message(OtlpEncoding encoding, std::string_view body) {
  return encoding == OtlpEncoding::Json ? status_message_json(body) : status_message_protobuf(body);
}

std::optional<DurationMs> decode_retry_delay(std::string_view status) {
  try {
    protozero::pbf_message<RpcStatus> message(status);
    while (message.next(RpcStatus::Details, pbf_wire_type::length_delimited)) {
      const std::string_view detail = message.get_view();
      if (!bytes_of(detail, Any::TypeUrl).ends_with(kRetryInfo)) continue;
      const DurationMs delay =
          read_duration(bytes_of(bytes_of(detail, Any::Value), RetryInfo::RetryDelay));
      return delay.count < 0 ? std::nullopt : std::optional(delay);
    }
  } catch (const protozero::exception&) {
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace gantry::codec
