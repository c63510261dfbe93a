#include "telemetry/span_append_result.h"

#include <numeric>

namespace gantry::telemetry {

std::string_view span_reject_reason_name(SpanRejectReason reason) {
  switch (reason) {
    case SpanRejectReason::InvalidId:
      return "invalid_id";
    case SpanRejectReason::TraceTooLarge:
      return "trace_too_large";
    case SpanRejectReason::LiveTraces:
      return "live_traces_exceeded";
    case SpanRejectReason::RateLimited:
      return "rate_limited";
  }
  return "";
}

std::uint64_t SpanAppendResult::spans_rejected() const {
  return std::accumulate(rejected_counts.begin(), rejected_counts.end(), std::uint64_t{0});
}

}  // namespace gantry::telemetry
