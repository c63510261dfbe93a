#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "broadcast/verdict_internal.h"

namespace gantry::broadcast {
namespace {

using net::RpcCode;

/// How servers say that a message is too large; the code alone may mean the rate.
constexpr std::array<std::string_view, 5> kSizeWords = {"larger than max", "larger than the limit",
                                                        "exceeds maximum size", "message too large",
                                                        "request too large"};

bool speaks_of_size(std::string_view message) {
  std::string lower(message);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return std::ranges::any_of(kSizeWords,
                             [&](std::string_view words) { return lower.contains(words); });
}

/// At least, as the receiver says; nothing when it says "at once".
std::optional<DurationMs> retry_after(const RpcEnd& end) {
  if (!end.retry_delay || end.retry_delay->count <= 0) return std::nullopt;
  return DurationMs{std::min(end.retry_delay->count, kRetryAfterMaxMs)};
}

Classified classify_exhausted(const RpcEnd& end) {
  if (speaks_of_size(end.message))
    return {.verdict = Verdict::Split,
            .kind = FailureKind::BadRequest,
            .message = "the receiver finds the request too large (RESOURCE_EXHAUSTED)"};
  Classified classified{
      .verdict = Verdict::Retry,
      .kind = FailureKind::RateLimited,
      .retry_after = retry_after(end),
      .message =
          "the receiver limits the rate (RESOURCE_EXHAUSTED); ask there for a higher limit "
          "of this sender"};
  // OTLP gives the data up then. Receivers that limit the rate forget the RetryInfo, though.
  if (!end.retry_delay) classified.retries_max = kServerErrorRetriesMax;
  return classified;
}

std::string endpoint_advice(const Destination& destination) {
  std::string advice =
      fmt::format("check {}: host and port of a receiver of OTLP over gRPC, mostly port 4317",
                  config_field_names(destination.type).url);
  if (destination.config.compression != Compression::None)
    advice += "; a receiver that does not know gzip needs compression none";
  return advice;
}

/// Without the receiver's words.
Classified classify_code(const Destination& destination, const RpcEnd& end) {
  const std::string_view name = rpc_code_name(end.code);
  switch (end.code) {
    case RpcCode::Ok:
      return {};
    case RpcCode::Unauthenticated:
    case RpcCode::PermissionDenied:
      return {.verdict = Verdict::Hold,
              .kind = FailureKind::Unauthorized,
              .message = fmt::format("the receiver refused the credentials ({}); {}", name,
                                     unauthorized_advice(destination))};
    case RpcCode::Unimplemented:
    case RpcCode::NotFound:
      return {.verdict = Verdict::Hold,
              .kind = FailureKind::WrongEndpoint,
              .message =
                  fmt::format("the receiver answered {}; {}", name, endpoint_advice(destination))};
    case RpcCode::InvalidArgument:
    case RpcCode::AlreadyExists:
    case RpcCode::FailedPrecondition:
      return {.verdict = Verdict::Bisect,
              .kind = FailureKind::BadRequest,
              .message = fmt::format("the receiver refused the data with {}", name)};
    case RpcCode::ResourceExhausted:
      return classify_exhausted(end);
    case RpcCode::Cancelled:
    case RpcCode::DeadlineExceeded:
    case RpcCode::Aborted:
    case RpcCode::OutOfRange:
    case RpcCode::Unavailable:
    case RpcCode::DataLoss:
      return {.verdict = Verdict::Retry,
              .kind = end.code == RpcCode::DeadlineExceeded ? FailureKind::Timeout
                                                            : FailureKind::ServerError,
              .retry_after = retry_after(end),
              .message = fmt::format("the receiver answered {}", name)};
    case RpcCode::Unknown:
    case RpcCode::Internal:
      break;
  }
  return {.verdict = Verdict::Retry,
          .kind = FailureKind::ServerError,
          .retries_max = kServerErrorRetriesMax,
          .message = fmt::format("the receiver answered {}", name)};
}

}  // namespace

Classified classify_rpc(const Destination& destination, const RpcEnd& end, std::string_view body) {
  if (end.code == RpcCode::Ok)
    return classify_partial_success(destination, codec::OtlpEncoding::Protobuf, body);
  Classified classified = classify_code(destination, end);
  const std::string ours = std::move(classified.message);
  set_message(classified, ours, quotable(destination.config, end.message));
  return classified;
}

}  // namespace gantry::broadcast
