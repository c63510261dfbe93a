#pragma once

// Test Connection: whether a destination as it is set up takes what would be sent to it.

#include <optional>
#include <string>
#include <string_view>

#include "broadcast/destination.h"
#include "broadcast/transport.h"
#include "broadcast/verdict.h"
#include "core/cancel.h"
#include "core/time.h"

namespace gantry::broadcast {

inline constexpr DurationMs kConnectionTestTimeout{10'000};

struct ConnectionTestResult {
  bool is_ok = false;
  std::optional<int> status;  ///< Absent: there was no answer, or nothing was sent.
  DurationMs latency;         ///< Of the slowest request; 0 when nothing was sent.
  FailureKind kind = FailureKind::None;
  std::string message;  ///< Names the field to change, as in Classified; empty when it is ok.
};

/// Sends a request for each of the destination's signals, until one fails, with the header
/// X-Test-Connection: of traces a span named "<service_name>-connection-test", to webhooks no
/// spans, of metrics a sample of gantry_connection_test, since an empty request says little of what
/// is allowed. Errors of the configuration are found before anything is sent. A webhook may answer
/// 400: it is there, and owes us nothing for a body without spans.
[[nodiscard]] ConnectionTestResult test_connection(const Destination& destination,
                                                   std::string_view service_name,
                                                   Transport& transport, const Clock& clock,
                                                   const CancelToken& cancel);

}  // namespace gantry::broadcast
