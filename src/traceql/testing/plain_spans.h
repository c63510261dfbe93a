#pragma once

// Traces as plain objects, for the reference evaluator: maps, vectors and pointers to parents.
// Made from batches without any of the engine's code.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "telemetry/span_batch.h"
#include "traceql/static_value.h"

namespace gantry::traceql::testing {

using PlainAttributes = std::map<std::string, Static>;

struct PlainEvent {
  std::string name;
  std::int64_t since_start_ns = 0;
  PlainAttributes attributes;
};

struct PlainLink {
  std::string trace_id;  ///< Hexadecimal, without leading zeros.
  std::string span_id;   ///< 16 hexadecimal digits.
  PlainAttributes attributes;
};

struct PlainSpan {
  telemetry::SpanId id = 0;
  telemetry::SpanId parent_id = 0;
  telemetry::SpanKind kind = telemetry::SpanKind::Unspecified;
  telemetry::SpanStatus status = telemetry::SpanStatus::Unset;
  std::string name;
  std::string status_message;
  std::int64_t start_ns = 0;
  std::int64_t duration_ns = 0;
  PlainAttributes attributes;
  PlainAttributes resource;  ///< `service.name` is always there.
  std::string scope_name;
  std::string scope_version;
  PlainAttributes scope;
  std::vector<PlainEvent> events;
  std::vector<PlainLink> links;

  // The tree. Indexes into the trace.
  std::optional<std::size_t> parent;
  std::int64_t left = 0;
  std::int64_t right = 0;
  std::int64_t parent_left = 0;
  std::int64_t children = 0;
};

struct PlainTrace {
  telemetry::TraceId id;
  std::vector<PlainSpan> spans;  ///< In order of arrival.
  std::int64_t start_ns = 0;
  std::int64_t end_ns = 0;
  std::optional<std::size_t> root;  ///< The first span without parent.
};

/// All traces of the batches, in order of their first span.
[[nodiscard]] std::vector<PlainTrace> make_plain_traces(
    std::span<const telemetry::SpanBatch> batches);

/// Hexadecimal without leading zeros; all of 16 digits.
[[nodiscard]] std::string plain_trace_id(const telemetry::TraceId& id);
[[nodiscard]] std::string plain_span_id(telemetry::SpanId id);

}  // namespace gantry::traceql::testing
