#pragma once

// gRPC status codes and google.rpc.Status, which OTLP also uses as its HTTP error body.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/time.h"

namespace gantry::net {

/// The numbers on the wire (grpc/doc/statuscodes.md).
enum class RpcCode : std::uint8_t {
  Ok = 0,
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
};

/// Our code as gRPC's, by the codec's table. TooLarge is ResourceExhausted without RetryInfo (a
/// retry never helps), Unsupported is Unimplemented, as gRPC says of a compression it does not
/// know.
[[nodiscard]] RpcCode rpc_code(Code code);

/// "UNAVAILABLE"; "" for a number that is none.
[[nodiscard]] std::string_view rpc_code_name(RpcCode code);

/// google.rpc.Status {code = 1, message = 2, details = 3} in protobuf; with `retry_after` a
/// google.rpc.RetryInfo detail, without which OTLP senders drop a RESOURCE_EXHAUSTED batch.
[[nodiscard]] std::string encode_rpc_status(RpcCode code, std::string_view message,
                                            std::optional<DurationMs> retry_after = std::nullopt);

}  // namespace gantry::net
