#pragma once

// What a store did with a SpanBatch: how much is durable, and what it refused and why.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace gantry::telemetry {

enum class SpanRejectReason : std::uint8_t {
  InvalidId,      ///< Trace or span id of the wrong length, or all zero.
  TraceTooLarge,  ///< limits.bytes_per_trace_max.
  LiveTraces,     ///< limits.live_traces_max: try again later.
  RateLimited,    ///< limits.span_bytes_per_second_max: all of the request; try again later.
};
inline constexpr std::size_t kSpanRejectReasonCount = 4;

/// snake_case, for metric labels; Tempo's words where it has one: "trace_too_large",
/// "live_traces_exceeded", "rate_limited", "invalid_id".
[[nodiscard]] std::string_view span_reject_reason_name(SpanRejectReason reason);

struct SpanAppendResult {
  std::uint64_t spans_written = 0;   ///< Durable; spans that were there before included.
  std::uint64_t spans_repeated = 0;  ///< Of those, how many were there before.
  std::array<std::uint64_t, kSpanRejectReasonCount> rejected_counts{};  ///< By SpanRejectReason.
  std::vector<std::string>
      messages;  ///< For the first kMessagesKept: names what, which limit and its setting.

  /// Not 0: a limit refused spans, and will not before this has passed.
  DurationMs retry_after;

  static constexpr std::size_t kMessagesKept = 10;

  [[nodiscard]] std::uint64_t spans_rejected() const;
};

}  // namespace gantry::telemetry
