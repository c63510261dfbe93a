#pragma once

// Batches of spans for tests, and texts by which spans can be compared.

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/span_batch.h"
#include "traceql/span_source.h"
#include "traces/stored_group.h"

namespace gantry::traces {

/// 2026-11-21 12:00:00 UTC.
inline constexpr std::uint64_t kTestNowNs = 1'795'262'400'000'000'000;

telemetry::TraceId test_trace_id(std::uint64_t number);

/// What a test says of a span; everything else follows from it.
struct TestSpan {
  std::uint64_t trace = 1;
  telemetry::SpanId id = 1;
  telemetry::SpanId parent = 0;
  std::uint64_t start_ns = kTestNowNs;
  std::uint64_t duration_ns = 1'000'000;
  std::string_view name = "GET /";
  std::string_view service = "shop";
};

/// Adds the span with a resource (service.name), a scope, two attributes, and an event. All text is
/// copied.
void add_test_span(telemetry::SpanBatch& batch, const TestSpan& span);

telemetry::SpanBatch make_batch(std::initializer_list<TestSpan> spans);

/// Spans of every shape that OTLP allows: all value types, the same key with several types, empty
/// texts, repeated spans, ends before starts, events and links with attributes, dropped counts.
class RandomBatches {
 public:
  explicit RandomBatches(std::uint64_t seed, std::uint64_t trace_count = 20)
      : random_(seed), trace_count_(trace_count) {}

  /// Up to `spans_max` spans, at least one.
  void fill(telemetry::SpanBatch& batch, std::size_t spans_max);

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

  [[nodiscard]] std::string text();
  telemetry::BatchSlice attributes(telemetry::SpanBatch& batch);
  void add_children(telemetry::SpanBatch& batch, telemetry::BatchSpan& span);

  std::mt19937_64 random_;
  std::uint64_t trace_count_;
};

/// Everything that is known of the span, with its resource, scope, events, links and attributes;
/// attributes by key. Equal for equal spans only.
std::string describe_span(const telemetry::SpanBatch& batch, const telemetry::BatchSpan& span);

/// Of each span, in order.
std::vector<std::string> describe_spans(const telemetry::SpanBatch& batch);

/// All spans of the group, in order of rows; empty and a failed expectation on an error.
std::vector<std::string> describe_group(StoredGroup& group);

/// All spans that a source has, sorted. Expects that no trace is in two groups.
std::vector<std::string> describe_source(const traceql::SpanSource& source);

}  // namespace gantry::traces
