#pragma once

// The traces of a source from the earliest on, page by page: for who hands all of them on.
//
//   TracePageRequest request{.after = {.start_ns = start}, .end_ns = end};
//   while (true) {
//     GANTRY_TRY(const TracePage page, read_trace_page(source, request, cancel, batch));
//     …
//     if (page.is_last) break;
//     request.after = page.last;
//   }
//
// A position means the same after merges, restarts and further appends, so that it can be kept.

#include <compare>
#include <cstddef>
#include <cstdint>

#include "core/cancel.h"
#include "core/error.h"
#include "telemetry/span_batch.h"
#include "traceql/span_source.h"

namespace gantry::traces {

/// A trace in the order in which they are read: by the start of its first span, then by its id.
struct TracePosition {
  std::int64_t start_ns = 0;
  telemetry::TraceId trace;  ///< All zero: before every trace that starts then.

  friend auto operator<=>(const TracePosition&, const TracePosition&) = default;
};

struct TracePageRequest {
  TracePosition after;
  std::int64_t end_ns = 0;  ///< Traces that start then or later are left out.
  std::size_t traces_max = 2048;
  std::size_t bytes_max =
      2 << 20;  ///< Of texts, about; exceeded by some dozens of spans or a trace.
};

struct TracePage {
  TracePosition last;  ///< Of the page; the request's `after` when it is empty.
  std::size_t traces = 0;
  bool is_last = false;  ///< There are no more before the end.
};

/// Replaces `batch` by the next traces, each whole; it owns its texts. A trace that gets a span
/// before its first one moves forward: it is passed over if the reading is between the two at that
/// moment. Holds nothing of the source between calls. Errors: those of the source, Cancelled;
/// Unimplemented when its groups are not those of a store.
Result<TracePage> read_trace_page(const traceql::SpanSource& source,
                                  const TracePageRequest& request, const CancelToken& cancel,
                                  telemetry::SpanBatch& batch);

}  // namespace gantry::traces
