#pragma once

// What a stack makes of everything that it receives, before it is stored and sent on: one document
// of rules per stack.
//
//   GANTRY_TRY(const StackRulesBody body, StackRulesBody::parse(request.body));
//   GANTRY_TRY(const StackRules rules, body.apply(before));   // {} to replace, the present to
//   patch
//
// Spans: filter, sampling, attribute rules, privacy. Samples: relabelling, stream
// aggregation.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/control_error.h"
#include "core/json_writer.h"
#include "pipeline/attribute_rules.h"
#include "pipeline/filter_rules.h"
#include "pipeline/relabel.h"

namespace gantry::pipeline {

inline constexpr std::size_t kStackRulesBytesMax = 512 << 10;  ///< Of the JSON text.
inline constexpr double kStackSamplingRateMin = 0.0001;

/// Immutable parts, cheap to copy. Default: everything passes as it came.
struct StackRules {
  double sampling_rate = 1;  ///< Of sessions, or of traces that have none.
  bool is_private = false;
  std::string filter_rules_json;  ///< As entered; empty: none. The same for those below.
  FilterRules filter_rules;
  std::string attribute_rules_json;
  AttributeRules attribute_rules;
  std::string metric_relabel_json;
  RelabelRules metric_relabel;
  std::string stream_aggregation_json;  ///< Checked: StreamAggregation::parse takes it.

  /// Whether they leave spans (samples) as they come.
  [[nodiscard]] bool spares_spans() const;
  [[nodiscard]] bool spares_samples() const;
};

/// {"sampling_rate","filter_rules","attribute_rules","privacy_mode","metric_relabel_configs",
/// "stream_aggregation"}, and of what was shown "version", "updated_at" and "workspace_id", so that
/// it can be sent back. `null` is the default. Immutable.
class StackRulesBody {
 public:
  /// Errors: InvalidArgument: no JSON object, or a key that is not known or given twice. A rule
  /// that was misspelt must not become no rule.
  static access::ControlResult<StackRulesBody> parse(std::string_view text);

  ~StackRulesBody();
  StackRulesBody(StackRulesBody&&) noexcept;
  StackRulesBody& operator=(StackRulesBody&&) = delete;
  StackRulesBody(const StackRulesBody&) = delete;
  StackRulesBody& operator=(const StackRulesBody&) = delete;

  /// `before` with what the body has. Errors: InvalidArgument, which names every field to mend and
  /// the place inside it (`filter_rules.groups[0].logic`).
  [[nodiscard]] access::ControlResult<StackRules> apply(const StackRules& before) const;

  /// The version that the caller has seen; absent: it does not matter. Errors: InvalidArgument.
  [[nodiscard]] access::ControlResult<std::optional<std::int64_t>> version() const;

  /// Errors: InvalidArgument.
  [[nodiscard]] access::ControlResult<std::optional<std::string>> workspace_id() const;

 private:
  struct Impl;
  explicit StackRulesBody(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

/// The members of the document, into an object that has been begun. All of them, so that what is
/// read shows what can be set; what is not set is `null`.
void write_stack_rules(core::JsonWriter& json, const StackRules& rules);

}  // namespace gantry::pipeline
