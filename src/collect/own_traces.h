#pragma once

// Gantry's own requests as traces in a stack of its own: what a request did, for how long, and why
// it failed.
//
//   OwnTraces traces({.instance = host_name()}, sink, registry);
//   traces.start();
//   if (traces.wants(parent)) {
//     core::OwnSpanRecording recording("GET /api/v1/query");
//     …
//     traces.add(recording.take(), {.kind = SpanKind::Server, .parent = parent});
//   }
//
// Bounded: so many traces a second, so many spans that wait; the rest is counted and forgotten.
// Never slows down what it describes.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/metrics.h"
#include "core/own_span.h"
#include "core/time.h"
#include "telemetry/span_batch.h"

namespace gantry::collect {

/// Where a request says it belongs: the `traceparent` header of W3C Trace Context.
struct TraceParent {
  telemetry::TraceId trace_id;
  telemetry::SpanId span_id = 0;
  bool is_sampled = false;
};

/// Nothing for a header that is absent or malformed, as the specification asks. Versions other than
/// 00 are read as far as 00 goes.
[[nodiscard]] std::optional<TraceParent> parse_traceparent(std::string_view header);

/// Takes a batch of spans; may block until it is durable. Views in the batch live for the call.
using SpanSink = std::function<Result<void>(const telemetry::SpanBatch&)>;

/// Thread-safe, apart from start and stop.
class OwnTraces {
 public:
  struct Options {
    std::string instance;                  ///< service.instance.id
    std::string version;                   ///< service.version
    std::uint32_t traces_per_second = 20;  ///< Kept; bursts of two seconds' worth.
    std::size_t spans_waiting_max = 10'000;
    DurationMs interval{1000};  ///< Between two batches.
  };

  /// The registry and the clock must outlive it.
  OwnTraces(Options options, SpanSink sink, core::MetricRegistry& metrics, const Clock& clock);

  /// stop()
  ~OwnTraces();
  OwnTraces(const OwnTraces&) = delete;
  OwnTraces& operator=(const OwnTraces&) = delete;

  struct Root {
    telemetry::SpanKind kind = telemetry::SpanKind::Internal;
    std::optional<TraceParent> parent;  ///< The caller's span.
  };

  /// Whether a request that begins now is to be recorded: asked first, so that the others cost
  /// nothing. No for who does not sample, and for more than traces_per_second; the latter are
  /// counted in gantry_own_traces_skipped_total.
  [[nodiscard]] bool wants(const std::optional<TraceParent>& parent);

  /// Queues a recording's spans as one trace, or as a part of the caller's.
  void add(std::vector<core::OwnSpan> spans, const Root& root);

  void start();

  /// Hands on what waits. May be called twice.
  void stop();

  /// Hands on what waits, on the calling thread. Not while started. A batch that the sink refuses
  /// is lost, counted in gantry_own_spans_dropped_total, and logged when the refusals begin and
  /// end.
  void flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::collect
