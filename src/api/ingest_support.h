#pragma once

// What the receivers share: letting a writer in, inflating bodies, and turning what the store did
// into an answer.

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "access/gate.h"
#include "api/services.h"
#include "codec/compression.h"
#include "codec/otlp_traces.h"
#include "core/error.h"
#include "net/http.h"
#include "telemetry/append_result.h"
#include "telemetry/span_append_result.h"

namespace gantry::api {

/// Counters of one protocol: gantry_ingest_{samples,histograms,exemplars}_total and
/// gantry_ingest_rejected_total{reason=}.
class IngestMetrics {
 public:
  IngestMetrics(core::MetricRegistry& registry, std::string_view protocol);

  void record(const telemetry::AppendResult& result) const;

 private:
  core::Counter* samples_;
  core::Counter* histograms_;
  core::Counter* exemplars_;
  std::array<core::Counter*, telemetry::kRejectReasonCount> rejected_{};
};

/// The same for spans: gantry_ingest_spans_total and gantry_ingest_rejected_spans_total{reason=}.
class SpanIngestMetrics {
 public:
  SpanIngestMetrics(core::MetricRegistry& registry, std::string_view protocol);

  void record(const codec::OtlpTracesOutcome& outcome,
              const telemetry::SpanAppendResult& result) const;

 private:
  core::Counter* spans_;
  core::Counter* repeated_;
  std::array<core::Counter*, telemetry::kSpanRejectReasonCount> rejected_{};
};

/// metrics:write; a token that also has metrics:import writes without the out-of-order bound.
[[nodiscard]] access::AccessResult<access::StackView> admit_writer(const Services& services,
                                                                   const net::Request& request,
                                                                   bool accepts_token_scheme);

/// The same for gRPC metadata.
[[nodiscard]] access::AccessResult<access::StackView> admit_writer(
    const Services& services, const access::RawCredentials& credentials);

/// The body after Content-Encoding; a view of the request's body when it is not encoded, else of
/// `buffer`. Errors: Unsupported, TooLarge, InvalidArgument.
[[nodiscard]] Result<std::string_view> inflate_body(const net::Request& request,
                                                    codec::SnappyForm snappy,
                                                    std::uint64_t bytes_max, std::string& buffer);

/// How the sender should take a partly refused batch.
enum class Verdict : std::uint8_t {
  Accepted,  ///< Nothing was refused that the sender must hear of.
  BadData,   ///< Some items are wrong and will stay wrong.
  Limited,   ///< A rate or quota; the sender should send everything again later.
};

[[nodiscard]] Verdict verdict_of(const telemetry::AppendResult& result);

/// "3 samples were refused: <message> (err-gantry-sample-out-of-order); …". "" when nothing was.
[[nodiscard]] std::string describe_rejections(const telemetry::AppendResult& result);

/// The same for a protocol that counts other things than samples: "3 data points were refused: …".
[[nodiscard]] std::string describe_rejections(const telemetry::AppendResult& result,
                                              std::uint64_t count, std::string_view items);

/// "3 spans were refused: <message>; …". "" when none was.
[[nodiscard]] std::string describe_rejections(const telemetry::SpanAppendResult& result);

/// A limit that will lift refused spans: the sender should send them again later.
[[nodiscard]] bool is_limited(const telemetry::SpanAppendResult& result);

/// The status for a whole request that failed. A store's ResourceExhausted is about the request's
/// size: 413.
[[nodiscard]] int ingest_status(const Error& error);

/// Seconds to wait: 6 s doubled with every attempt (the header Retry-Attempt), at most 96, spread
/// by half.
[[nodiscard]] std::uint32_t retry_after_seconds(const net::Request& request);

/// For what a limit refused: `known` is the time until it lifts, 0 when nobody knows.
[[nodiscard]] std::uint32_t retry_after_seconds(const net::Request& request, DurationMs known);

}  // namespace gantry::api
