#pragma once

// Span batches as text, so that a test can say what it expects of one.

#include <string>
#include <vector>

#include "telemetry/span_batch.h"

namespace gantry::codec::testing {

/// {"stringValue":"x"}, … in protobuf JSON.
[[nodiscard]] std::string value_text(const telemetry::AttributeValue& value);

/// Everything of one span, its resource and scope included, without indexes.
[[nodiscard]] std::string span_text(const telemetry::SpanBatch& batch,
                                    const telemetry::BatchSpan& span);

/// All spans, by resource and scope, one line each.
[[nodiscard]] std::vector<std::string> span_lines(const telemetry::SpanBatch& batch);

}  // namespace gantry::codec::testing
