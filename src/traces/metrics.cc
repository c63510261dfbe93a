#include "traces/metrics.h"

#include <string>

namespace gantry::traces {
namespace {

std::array<core::Counter*, telemetry::kSpanRejectReasonCount> rejection_counters(
    core::MetricRegistry& registry) {
  std::array<core::Counter*, telemetry::kSpanRejectReasonCount> counters{};
  for (std::size_t i = 0; i < counters.size(); ++i) {
    const auto reason = static_cast<telemetry::SpanRejectReason>(i);
    counters[i] = &registry.counter("gantry_traces_rejected_total", "Spans that the store refused.",
                                    {{"reason", std::string(span_reject_reason_name(reason))}});
  }
  return counters;
}

}  // namespace

StoreMetrics::StoreMetrics(core::MetricRegistry& registry)
    : spans_appended(registry.counter("gantry_traces_spans_appended_total",
                                      "Spans stored, those that were there before included.")),
      spans_repeated(registry.counter("gantry_traces_spans_repeated_total",
                                      "Spans that came again and are kept once.")),
      spans_adopted(registry.counter("gantry_traces_spans_adopted_total",
                                     "Spans copied to the live segment because later spans of "
                                     "their traces came.")),
      append_failures(registry.counter("gantry_traces_append_failures_total",
                                       "Requests of which nothing could be stored.")),
      rejected(rejection_counters(registry)),
      append_seconds(registry.histogram("gantry_traces_append_duration_seconds",
                                        "Time from a batch to its acknowledgement.",
                                        core::default_duration_bounds())),
      seal_seconds(registry.histogram("gantry_traces_seal_duration_seconds",
                                      "Time to make a block of the live segment.",
                                      core::default_duration_bounds())),
      merge_seconds(registry.histogram("gantry_traces_merge_duration_seconds",
                                       "Time to make one block of several.",
                                       core::default_duration_bounds())),
      seal_failures(registry.counter("gantry_traces_seal_failures_total",
                                     "Seals that failed; they are tried again.")),
      merge_failures(registry.counter("gantry_traces_merge_failures_total",
                                      "Merges that failed; they are tried again.")),
      merged_bytes(registry.counter("gantry_traces_merged_bytes_total",
                                    "Bytes of blocks that merges have written.")),
      quarantined_blocks(registry.counter("gantry_traces_quarantined_blocks_total",
                                          "Blocks set aside because their checksums failed.")),
      dropped_blocks(
          registry.counter("gantry_traces_dropped_blocks_total", "Blocks removed by retention.")),
      live_spans(registry.gauge("gantry_traces_live_spans", "Spans that are in no block yet.")),
      live_traces(registry.gauge("gantry_traces_live_traces", "Traces that are in no block yet.")),
      live_bytes(
          registry.gauge("gantry_traces_live_bytes", "Memory of spans that are in no block yet.")),
      log_bytes(registry.gauge("gantry_traces_log_bytes", "Size of the write-ahead log.")),
      block_count(registry.gauge("gantry_traces_blocks", "Immutable blocks.")),
      block_bytes(registry.gauge("gantry_traces_block_bytes", "Size of all blocks.")),
      cache_bytes(registry.gauge("gantry_traces_cache_bytes", "Decoded columns kept in memory.")) {}

}  // namespace gantry::traces
