#pragma once

// What a stack's rules leave of spans: whole traces are filtered and sampled, then what is left is
// edited.

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/ids.h"
#include "pipeline/span_edits.h"
#include "pipeline/stack_rules.h"
#include "pipeline/trace_sessions.h"
#include "telemetry/span_batch.h"

namespace gantry::pipeline {

enum class TraceFate : std::uint8_t { Kept, Filtered, SampledOut };

/// Filter rules first, then sampling. `sampling_key`: the session id, else the trace id in 32 hex
/// digits. Pure.
[[nodiscard]] TraceFate decide(const StackRules& rules, StackId stack,
                               std::string_view sampling_key, const EventFields& fields);

/// Spans without what rules forbid.
class EditedSpans {
 public:
  /// Shares views with `in`, which must outlive this.
  EditedSpans(const StackRules& rules, const telemetry::SpanBatch& in);
  EditedSpans(const EditedSpans&) = delete;
  EditedSpans& operator=(const EditedSpans&) = delete;

  /// `in` itself when the rules edit nothing.
  [[nodiscard]] const telemetry::SpanBatch& batch() const { return edits_.batch(); }

 private:
  SpanEdits edits_;
};

/// A batch as its stack is to have it. Filter rules are asked of the spans of a trace that come
/// together; sampling knows whatever the first of them said of the session.
class RuledSpans {
 public:
  /// Shares views with `in`, which must outlive this.
  RuledSpans(const StackRules& rules, StackId stack, TraceSessions& sessions,
             const telemetry::SpanBatch& in);
  ~RuledSpans();
  RuledSpans(const RuledSpans&) = delete;
  RuledSpans& operator=(const RuledSpans&) = delete;

  /// To be stored; may be empty.
  [[nodiscard]] const telemetry::SpanBatch& kept() const;

  /// Edited too: for rates that count what is not stored.
  [[nodiscard]] const telemetry::SpanBatch& sampled_out() const;

  [[nodiscard]] std::uint64_t filtered_count() const { return filtered_count_; }

 private:
  std::uint64_t filtered_count_ = 0;
  telemetry::SpanBatch kept_;
  telemetry::SpanBatch sampled_out_;
  std::unique_ptr<EditedSpans> edited_kept_;
  std::unique_ptr<EditedSpans> edited_sampled_out_;
};

}  // namespace gantry::pipeline
