#pragma once

// What an attempt to deliver came to: what to do next, and what to tell people.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broadcast/destination.h"
#include "broadcast/transport.h"
#include "core/time.h"

namespace gantry::broadcast {

/// What to do after an attempt.
enum class Verdict : std::uint8_t {
  Done,      ///< Taken; see rejected_items.
  Retry,     ///< Later, see retry_after and retries_max.
  Split,     ///< Too large: in halves; a single item is refused.
  Bisect,    ///< Refused, perhaps because of one item: find it.
  Refuse,    ///< Refused for good, and none of the items is to blame: dead letters.
  Hold,      ///< Refused until somebody changes something: keep, probe now and then.
  Fallback,  ///< Another encoding or version, once.
};

/// Why an attempt failed, as Test Connection names it.
enum class FailureKind : std::uint8_t {
  None,
  InvalidConfig,
  Dns,
  Connect,
  Tls,
  Timeout,
  Unauthorized,
  WrongEndpoint,
  BadRequest,
  RateLimited,
  ServerError,
  Rejected,
};
inline constexpr std::size_t kFailureKindCount = 12;

/// "invalid_config", "dns", …; "" for None.
[[nodiscard]] std::string_view failure_kind_name(FailureKind kind);

inline constexpr std::size_t kVerdictMessageBytesMax = 1024;

struct Classified {
  Verdict verdict = Verdict::Done;
  FailureKind kind = FailureKind::None;
  std::optional<DurationMs> retry_after;  ///< At least, as the receiver says; at most an hour.
  /// Of Retry: give up for good after so many more attempts; absent: when the data is too old.
  std::optional<int> retries_max;
  std::uint64_t rejected_items = 0;  ///< Of a partial success: spans or samples; at least.
  /// One or two sentences that name the field to change and what the receiver said. At most
  /// kVerdictMessageBytesMax; holds none of the destination's secrets; empty when all is well.
  std::string message;
};

/// An answer, judged as the destination's kind of receiver means it.
[[nodiscard]] Classified classify_answer(const Destination& destination, const ExportAnswer& answer,
                                         TimestampMs now);

/// An attempt without an answer. Cancelled counts as a time-out.
[[nodiscard]] Classified classify_failure(const Destination& destination, TransportFailure failure);

/// A destination that no request can be made for: `why` is the error of make_export_request.
[[nodiscard]] Classified classify_config_error(std::string_view why);

/// Retry-After: seconds, or a date in the form of RFC 9110 that all servers send. Nothing when it
/// is neither, or past; at most an hour.
[[nodiscard]] std::optional<DurationMs> parse_retry_after(std::string_view value, TimestampMs now);

}  // namespace gantry::broadcast
