#include "pipeline/span_edits.h"

#include "pipeline/privacy.h"

namespace gantry::pipeline {

SpanEdits::SpanEdits(const AttributeRules& rules, bool is_private, const telemetry::SpanBatch& in)
    : batch_(&in) {
  if (!rules.empty()) {
    if (is_private) {
      make_privacy_view(*batch_, seen_by_rules_);
      batch_ = &seen_by_rules_;
    }
    rules.apply(*batch_, edited_);
    batch_ = &edited_;
  }
  if (!is_private) return;
  make_privacy_view(*batch_, without_content_);
  batch_ = &without_content_;
}

}  // namespace gantry::pipeline
