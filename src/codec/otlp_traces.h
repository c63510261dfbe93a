#pragma once

// OTLP traces requests (ExportTraceServiceRequest) to a SpanBatch.
//
//   codec::OtlpTracesDecoder decoder;   // reuse one per worker
//   GANTRY_CHECK(decoder.decode_protobuf(body, options));
//   GANTRY_TRY(const auto result, store.append(decoder.batch()));
//   // decoder.outcome() has what was refused before the store saw it
//
// Within one attribute list the last of several values of a key counts, as in the Collector's maps.
// Text that is not UTF-8 is kept with U+FFFD where the bad bytes were.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "telemetry/span_batch.h"

namespace gantry::codec {

/// What one span may have; the rest is cut off, as SDKs do, and counted in OTLP's dropped counts.
/// 0: no limit. The names are those of the settings (limits.*).
struct OtlpTracesOptions {
  /// Of a span, and of each resource, scope, event and link.
  std::uint32_t attributes_per_span_max = 1024;
  std::uint32_t events_per_span_max = 1024;
  std::uint32_t links_per_span_max = 1024;
  /// Longer texts are cut, other longer values (bytes, lists) dropped.
  std::uint64_t attribute_value_bytes_max = 128 << 10;
};

/// For what was let in before: a store reading its log.
inline constexpr OtlpTracesOptions kNoOtlpTracesLimits{.attributes_per_span_max = 0,
                                                       .events_per_span_max = 0,
                                                       .links_per_span_max = 0,
                                                       .attribute_value_bytes_max = 0};

/// Which spans are not in the batch, and what the others lost.
struct OtlpTracesOutcome {
  static constexpr std::size_t kMessagesKept = 10;

  std::uint64_t spans = 0;  ///< Of the request.
  std::uint64_t rejected_spans = 0;
  std::vector<std::string> errors;       ///< Why spans were rejected: the first kMessagesKept.
  std::uint64_t dropped_attributes = 0;  ///< By limits, or nested too deeply.
  std::uint64_t cut_attributes = 0;      ///< Texts over the limit.
  std::uint64_t dropped_events = 0;
  std::uint64_t dropped_links = 0;  ///< By the limit, or without valid ids.

  /// For partial_success: errors, then what was dropped, joined by "; ". "" when there is nothing.
  [[nodiscard]] std::string message() const;
};

/// Decodes one request at a time and owns what the batch's views need besides the body.
/// Not thread-safe.
class OtlpTracesDecoder {
 public:
  OtlpTracesDecoder();
  ~OtlpTracesDecoder();
  OtlpTracesDecoder(const OtlpTracesDecoder&) = delete;
  OtlpTracesDecoder& operator=(const OtlpTracesDecoder&) = delete;
  OtlpTracesDecoder(OtlpTracesDecoder&&) noexcept;
  OtlpTracesDecoder& operator=(OtlpTracesDecoder&&) noexcept;

  /// Replaces the batch by that of `body`, which must stay where it is while the batch is in use.
  /// A span whose ids are not 16 and 8 bytes, or zero, is refused alone. Errors: InvalidArgument
  /// when the bytes are not this message; the batch is then empty.
  [[nodiscard]] Result<void> decode_protobuf(std::string_view body,
                                             const OtlpTracesOptions& options);

  /// The same for OTLP/JSON; kBodyPaddingBytes behind the body must be readable. The body is
  /// copied. Ids that are not 32 and 16 hexadecimal digits are an error of the whole request.
  [[nodiscard]] Result<void> decode_json(std::string_view body, const OtlpTracesOptions& options);

  [[nodiscard]] const telemetry::SpanBatch& batch() const;

  [[nodiscard]] const OtlpTracesOutcome& outcome() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::codec
