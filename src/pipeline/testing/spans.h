#pragma once

// Spans for tests, one resource after the other.

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "telemetry/span_batch.h"

namespace gantry::pipeline::testing {

using TextAttributes = std::vector<std::pair<std::string_view, std::string_view>>;

struct SpanSpec {
  std::uint64_t trace = 1;  ///< The last eight bytes of the trace id.
  telemetry::SpanId id = 1;
  telemetry::SpanId parent = 0;
  std::string_view name;
  telemetry::SpanKind kind = telemetry::SpanKind::Internal;
  telemetry::SpanStatus status = telemetry::SpanStatus::Unset;
  double seconds = 1;
  TextAttributes attributes;
};

/// Texts must outlive the batch: they are mostly literals.
class SpanBatchBuilder {
 public:
  /// Of the spans that follow.
  SpanBatchBuilder& resource(const TextAttributes& attributes);
  SpanBatchBuilder& span(const SpanSpec& spec);

  [[nodiscard]] const telemetry::SpanBatch& batch() const { return batch_; }

 private:
  telemetry::BatchSlice add(const TextAttributes& attributes);

  telemetry::SpanBatch batch_;
};

}  // namespace gantry::pipeline::testing
