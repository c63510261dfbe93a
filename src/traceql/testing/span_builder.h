#pragma once

// Spans for tests, in few words.
//
//   SpanBuilder build;
//   build.resource({{"service.name", Static::of_string("shop")}});
//   build.span({.trace = 1, .id = 2, .name = "GET /"});
//   build.attribute("http.status_code", Static::of_int(200));
//   MemorySource source(one_batch(std::move(build)), {.groups = 2});

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "telemetry/span_batch.h"
#include "traceql/static_value.h"

namespace gantry::traceql::testing {

struct SpanSpec {
  std::uint64_t trace = 1;
  telemetry::SpanId id = 1;
  telemetry::SpanId parent = 0;
  std::string_view name;
  std::uint64_t start_ns = 0;
  std::uint64_t end_ns = 0;
  telemetry::SpanKind kind = telemetry::SpanKind::Internal;
  telemetry::SpanStatus status = telemetry::SpanStatus::Unset;
  std::string_view status_message;
};

/// `number` in the last eight bytes.
[[nodiscard]] telemetry::TraceId trace_id(std::uint64_t number);

class SpanBuilder {
 public:
  using Attributes = std::vector<std::pair<std::string_view, Static>>;

  /// Of the spans that follow. Without a call they have a resource and a scope without attributes.
  void resource(const Attributes& attributes);
  void scope(std::string_view name, std::string_view version, const Attributes& attributes = {});

  void span(const SpanSpec& spec);

  // Of the last span. Attributes come before its events and links.
  void attribute(std::string_view key, const Static& value);
  void event(std::string_view name, std::uint64_t time_ns, const Attributes& attributes = {});
  void link(std::uint64_t trace, telemetry::SpanId span, const Attributes& attributes = {});

  /// Owns its texts.
  [[nodiscard]] telemetry::SpanBatch batch() &&;

 private:
  void add(telemetry::BatchSlice& slice, std::string_view key, const Static& value);
  telemetry::BatchSlice add(const Attributes& attributes);

  telemetry::SpanBatch batch_;
};

[[nodiscard]] std::vector<telemetry::SpanBatch> one_batch(SpanBuilder&& builder);
[[nodiscard]] std::vector<telemetry::SpanBatch> one_batch(telemetry::SpanBatch&& batch);

}  // namespace gantry::traceql::testing
