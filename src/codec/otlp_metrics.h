#pragma once

// OTLP metrics requests (ExportMetricsServiceRequest) to a MetricBatch.
//
//   codec::OtlpMetricsDecoder decoder;   // reuse one per worker
//   GANTRY_CHECK(decoder.decode_protobuf(body, options));
//   GANTRY_TRY(const auto result, store.append(decoder.batch(), {}));
//   // decoder.outcome() has what was refused before the store saw it, and
//   // decoder.count_refused_points(result) how many points the store refused.

#include <memory>
#include <string_view>

#include "codec/otlp_to_prometheus.h"
#include "core/error.h"
#include "telemetry/metric_batch.h"

namespace gantry::codec {

/// Decodes one request at a time and owns what the batch's views need besides the body.
/// Not thread-safe; `batch().resolver` is used by one thread at a time.
class OtlpMetricsDecoder {
 public:
  OtlpMetricsDecoder();
  ~OtlpMetricsDecoder();
  OtlpMetricsDecoder(const OtlpMetricsDecoder&) = delete;
  OtlpMetricsDecoder& operator=(const OtlpMetricsDecoder&) = delete;
  OtlpMetricsDecoder(OtlpMetricsDecoder&&) noexcept;
  OtlpMetricsDecoder& operator=(OtlpMetricsDecoder&&) noexcept;

  /// Replaces the batch by that of `body`, which must stay where it is while the batch is in use,
  /// as must `options`. Errors: InvalidArgument when the bytes are not this message; the batch is
  /// then empty.
  [[nodiscard]] Result<void> decode_protobuf(std::string_view body, const OtlpOptions& options);

  /// The same for OTLP/JSON; kBodyPaddingBytes behind the body must be readable. The body is
  /// copied.
  [[nodiscard]] Result<void> decode_json(std::string_view body, const OtlpOptions& options);

  [[nodiscard]] const telemetry::MetricBatch& batch() const;

  /// Which data points are not in the batch, and why.
  [[nodiscard]] const OtlpOutcome& outcome() const;

  /// How many data points of the batch lost a sample to what `result`, the store's answer to the
  /// batch, names as refused. A point of several series counts once.
  [[nodiscard]] std::uint64_t count_refused_points(const telemetry::AppendResult& result) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::codec
