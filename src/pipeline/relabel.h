#pragma once

// Prometheus' relabel_configs and metric_relabel_configs over label sets, as in 3.14.
//
//   GANTRY_TRY(const RelabelRules rules, RelabelRules::make(configs));
//   if (!rules.apply(labels)) …   // the target or the series is dropped

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "telemetry/labels.h"

namespace gantry::pipeline {

enum class RelabelAction : std::uint8_t {
  Replace,
  Keep,
  Drop,
  KeepEqual,
  DropEqual,
  HashMod,
  LabelMap,
  LabelDrop,
  LabelKeep,
  Lowercase,
  Uppercase,
};

/// "keepequal"; in any case when parsed. Errors: InvalidArgument (`unknown relabel action "x"`).
[[nodiscard]] Result<RelabelAction> parse_relabel_action(std::string_view text);
[[nodiscard]] std::string_view relabel_action_text(RelabelAction action);

/// One rule as it is written; the defaults are Prometheus'.
struct RelabelConfig {
  std::vector<std::string> source_labels;
  std::string separator = ";";
  std::optional<std::string> regex;  ///< Absent: (.*). RE2, matches the whole text.
  std::uint64_t modulus = 0;
  std::string target_label;  ///< Of replace with $1 and the like.
  std::string replacement = "$1";
  RelabelAction action = RelabelAction::Replace;
};

/// Immutable, thread-safe, cheap to copy. Default: keeps every label set as it is.
class RelabelRules {
 public:
  RelabelRules() = default;

  /// Errors: InvalidArgument in Prometheus' words (`"-x" is invalid 'target_label' for lowercase
  /// action`). Label names are UTF-8, as they are by default in Prometheus 3.
  static Result<RelabelRules> make(std::span<const RelabelConfig> configs);

  /// Applies the rules in their order. False: dropped; `labels` is then as it was. A label whose
  /// value becomes empty goes. Where Prometheus would let labelmap make a label without a name, and
  /// then refuse the whole scrape, the label is left out.
  [[nodiscard]] bool apply(telemetry::Labels& labels) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;  ///< Null: no rules.
};

}  // namespace gantry::pipeline
