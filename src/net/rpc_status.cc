#include "net/rpc_status.h"

#include <array>

#include "codec/otlp_response.h"

namespace gantry::net {
namespace {

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void append_varint_field(std::string& out, std::uint32_t field, std::uint64_t value) {
  if (value == 0) return;  // proto3: a default value is not written
  append_varint(out, field << 3);
  append_varint(out, value);
}

void append_bytes_field(std::string& out, std::uint32_t field, std::string_view bytes) {
  append_varint(out, field << 3 | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

/// google.protobuf.Any of google.rpc.RetryInfo{retry_delay = 1: Duration{seconds = 1, nanos = 2}}.
std::string encode_retry_info(DurationMs delay) {
  std::string duration;
  append_varint_field(duration, 1, static_cast<std::uint64_t>(delay.count / 1000));
  append_varint_field(duration, 2, static_cast<std::uint64_t>(delay.count % 1000 * 1'000'000));
  std::string info;
  append_bytes_field(info, 1, duration);
  std::string any;
  append_bytes_field(any, 1, "type.googleapis.com/google.rpc.RetryInfo");
  append_bytes_field(any, 2, info);
  return any;
}

}  // namespace

std::string_view rpc_code_name(RpcCode code) {
  static constexpr std::array<std::string_view, 17> kNames{"OK",
                                                           "CANCELLED",
                                                           "UNKNOWN",
                                                           "INVALID_ARGUMENT",
                                                           "DEADLINE_EXCEEDED",
                                                           "NOT_FOUND",
                                                           "ALREADY_EXISTS",
                                                           "PERMISSION_DENIED",
                                                           "RESOURCE_EXHAUSTED",
                                                           "FAILED_PRECONDITION",
                                                           "ABORTED",
                                                           "OUT_OF_RANGE",
                                                           "UNIMPLEMENTED",
                                                           "INTERNAL",
                                                           "UNAVAILABLE",
                                                           "DATA_LOSS",
                                                           "UNAUTHENTICATED"};
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames.at(index) : "";
}

RpcCode rpc_code(Code code) {
  return static_cast<RpcCode>(codec::grpc_code(code));
}

std::string encode_rpc_status(RpcCode code, std::string_view message,
                              std::optional<DurationMs> retry_after) {
  std::string out;
  append_varint_field(out, 1, static_cast<std::uint64_t>(code));
  if (!message.empty()) append_bytes_field(out, 2, message);
  if (retry_after && retry_after->count >= 0) {
    append_bytes_field(out, 3, encode_retry_info(*retry_after));
  }
  return out;
}

}  // namespace gantry::net
