#include "traces/testing/span_pieces.h"

#include <cstdint>
#include <set>
#include <span>
#include <string_view>
#include <tuple>

namespace gantry::traces {

telemetry::SpanBatch copy_spans(const telemetry::SpanBatch& batch, std::size_t begin,
                                std::size_t count) {
  telemetry::SpanBatch piece;
  for (const telemetry::BatchSpan& span : std::span(batch.spans).subspan(begin, count)) {
    telemetry::copy_span(batch, span, piece);
  }
  return piece;
}

telemetry::SpanBatch without_repeated(const telemetry::SpanBatch& batch) {
  telemetry::SpanBatch out;
  std::set<std::tuple<telemetry::TraceId, telemetry::SpanId, telemetry::SpanKind, std::string_view,
                      std::uint64_t, std::uint64_t>>
      seen;
  for (const telemetry::BatchSpan& span : batch.spans) {
    const bool is_new =
        seen.emplace(span.trace_id, span.span_id, span.kind, span.name, span.start_ns, span.end_ns)
            .second;
    if (is_new) telemetry::copy_span(batch, span, out);
  }
  return out;
}

}  // namespace gantry::traces
