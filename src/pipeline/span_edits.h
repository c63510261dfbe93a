#pragma once

// Spans as those get them who have attribute rules, privacy mode, or both.

#include "pipeline/attribute_rules.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

/// One batch without what must not be seen. The rules come before the privacy view, so that what
/// they add is looked at too; but they see nothing that the view would have taken: else a copy of a
/// prompt under another name would get past it.
class SpanEdits {
 public:
  /// Shares views with `in`, which must outlive this; does not need the rules afterwards.
  SpanEdits(const AttributeRules& rules, bool is_private, const telemetry::SpanBatch& in);
  SpanEdits(const SpanEdits&) = delete;
  SpanEdits& operator=(const SpanEdits&) = delete;

  /// `in` itself when there is nothing to edit.
  [[nodiscard]] const telemetry::SpanBatch& batch() const { return *batch_; }

 private:
  telemetry::SpanBatch seen_by_rules_;
  telemetry::SpanBatch edited_;
  telemetry::SpanBatch without_content_;
  const telemetry::SpanBatch* batch_;
};

}  // namespace gantry::pipeline
