#include "pipeline/relabel.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "core/letter_case.h"
#include "core/md5.h"
#include "core/utf8.h"
#include "promql/anchored_regex.h"

namespace gantry::pipeline {
namespace {

using telemetry::Label;
using telemetry::Labels;

struct ActionName {
  RelabelAction action;
  std::string_view name;
};

constexpr std::array kActions = {
    ActionName{RelabelAction::Replace, "replace"},
    ActionName{RelabelAction::Keep, "keep"},
    ActionName{RelabelAction::Drop, "drop"},
    ActionName{RelabelAction::KeepEqual, "keepequal"},
    ActionName{RelabelAction::DropEqual, "dropequal"},
    ActionName{RelabelAction::HashMod, "hashmod"},
    ActionName{RelabelAction::LabelMap, "labelmap"},
    ActionName{RelabelAction::LabelDrop, "labeldrop"},
    ActionName{RelabelAction::LabelKeep, "labelkeep"},
    ActionName{RelabelAction::Lowercase, "lowercase"},
    ActionName{RelabelAction::Uppercase, "uppercase"},
};

constexpr std::string_view kDefaultSeparator = ";";
constexpr std::string_view kDefaultRegex = "(.*)";
constexpr std::string_view kDefaultReplacement = "$1";

bool is_label_name(std::string_view name) {
  return !name.empty() && core::is_valid_utf8(name);
}

std::string go_quoted(std::string_view text) {
  std::string out;
  telemetry::append_go_quoted(out, text);
  return out;
}

template <class... Actions>
bool is_one_of(RelabelAction action, Actions... actions) {
  return ((action == actions) || ...);
}

std::unexpected<Error> refuse(std::string why) {
  return fail(Code::InvalidArgument, std::move(why));
}

/// Prometheus' order of checks: the first that fails is the one that users know.
Result<void> check_names(const RelabelConfig& config) {
  using enum RelabelAction;
  const RelabelAction action = config.action;
  const std::string_view name = relabel_action_text(action);
  for (const std::string& label : config.source_labels)
    if (!is_label_name(label))
      return refuse(fmt::format("{} is not a valid label name", go_quoted(label)));
  if (config.modulus == 0 && action == HashMod)
    return refuse("relabel configuration for hashmod requires non-zero modulus");
  const bool is_equality = is_one_of(action, KeepEqual, DropEqual);
  const bool is_case = is_one_of(action, Lowercase, Uppercase);
  const bool has_target = is_equality || is_case || is_one_of(action, Replace, HashMod);
  if (has_target && config.target_label.empty())
    return refuse(
        fmt::format("relabel configuration for {} action requires 'target_label' value", name));
  if (has_target && !is_label_name(config.target_label))
    return refuse(fmt::format("{} is invalid 'target_label' for {} action",
                              go_quoted(config.target_label), name));
  if ((is_equality || is_case) && config.replacement != kDefaultReplacement)
    return refuse(fmt::format("'replacement' can not be set for {} action", name));
  if (action == LabelMap && !is_label_name(config.replacement))
    return refuse(fmt::format("{} is invalid 'replacement' for {} action",
                              go_quoted(config.replacement), name));
  return {};
}

/// Fields that an action has no use for.
Result<void> check_fields(const RelabelConfig& config) {
  using enum RelabelAction;
  const bool are_common_default = config.modulus == 0 && config.separator == kDefaultSeparator &&
                                  config.replacement == kDefaultReplacement;
  if (is_one_of(config.action, KeepEqual, DropEqual) && (config.regex || !are_common_default))
    return refuse(fmt::format(
        "{} action requires only 'source_labels' and `target_label`, and no other fields",
        relabel_action_text(config.action)));
  if (is_one_of(config.action, LabelDrop, LabelKeep) &&
      (!config.source_labels.empty() || !config.target_label.empty() || !are_common_default))
    return refuse(fmt::format("{} action requires only 'regex', and no other fields",
                              relabel_action_text(config.action)));
  return {};
}

/// Changes to a label set, seen at once. Labels come in the order that Prometheus' builder has:
/// those that are as they were, then the others as they were added; where labelmap makes one name
/// of several, the last wins.
class LabelEdits {
 public:
  explicit LabelEdits(const Labels& base) : base_(base) {}

  /// "" when absent.
  [[nodiscard]] std::string_view find(std::string_view name) const {
    const auto added = std::ranges::find(added_, name, &Label::name);
    if (added != added_.end()) return added->value;
    return is_deleted(name) ? std::string_view() : telemetry::find_label(base_, name);
  }

  void set(std::string_view name, std::string value) {
    if (value.empty()) return erase(name);
    const auto added = std::ranges::find(added_, name, &Label::name);
    if (added != added_.end()) {
      added->value = std::move(value);
    } else {
      added_.push_back({.name = std::string(name), .value = std::move(value)});
    }
  }

  void erase(std::string_view name) {
    std::erase_if(added_, [&](const Label& label) { return label.name == name; });
    if (!is_deleted(name)) deleted_.emplace_back(name);
  }

  [[nodiscard]] Labels labels() const {
    Labels all;
    for (const Label& label : base_)
      if (!is_deleted(label.name) && !is_added(label.name)) all.push_back(label);
    all.insert(all.end(), added_.begin(), added_.end());
    return all;
  }

 private:
  [[nodiscard]] bool is_deleted(std::string_view name) const {
    return std::ranges::find(deleted_, name) != deleted_.end();
  }

  [[nodiscard]] bool is_added(std::string_view name) const {
    return std::ranges::find(added_, name, &Label::name) != added_.end();
  }

  const Labels& base_;
  Labels added_;  ///< In the order of their first set.
  std::vector<std::string> deleted_;
};

struct Rule {
  RelabelConfig config;
  promql::AnchoredRegex regex;
  promql::GroupTemplate target;
  promql::GroupTemplate replacement;
};

std::string joined_values(const RelabelConfig& config, const LabelEdits& edits) {
  std::string joined;
  for (std::size_t i = 0; i < config.source_labels.size(); ++i) {
    if (i > 0) joined += config.separator;
    joined += edits.find(config.source_labels[i]);
  }
  return joined;
}

void replace(const Rule& rule, std::string_view value, LabelEdits& edits) {
  std::vector<std::string_view> groups;
  if (!rule.regex.match(value, groups)) return;
  const std::string target = rule.target.expand(groups);
  if (is_label_name(target)) edits.set(target, rule.replacement.expand(groups));
}

/// The last eight bytes of the MD5 digest, as older versions of Prometheus took them.
std::uint64_t hash_of(std::string_view value) {
  const core::Md5Digest digest = core::md5(value);
  std::uint64_t hash = 0;
  for (std::size_t i = 8; i < digest.size(); ++i) hash = (hash << 8U) | digest[i];
  return hash;
}

void map_labels(const Rule& rule, LabelEdits& edits) {
  std::vector<std::string_view> groups;
  for (Label& label : edits.labels()) {
    if (!rule.regex.match(label.name, groups)) continue;
    const std::string name = rule.replacement.expand(groups);
    if (is_label_name(name)) edits.set(name, std::move(label.value));
  }
}

void erase_labels(const Rule& rule, bool erases_matches, LabelEdits& edits) {
  for (const Label& label : edits.labels())
    if (rule.regex.matches(label.name) == erases_matches) edits.erase(label.name);
}

/// False: the label set is dropped.
bool apply_rule(const Rule& rule, LabelEdits& edits) {
  const std::string& target = rule.config.target_label;
  std::string value = joined_values(rule.config, edits);
  switch (rule.config.action) {
    case RelabelAction::Replace:
      replace(rule, value, edits);
      return true;
    case RelabelAction::Keep:
      return rule.regex.matches(value);
    case RelabelAction::Drop:
      return !rule.regex.matches(value);
    case RelabelAction::KeepEqual:
      return edits.find(target) == value;
    case RelabelAction::DropEqual:
      return edits.find(target) != value;
    case RelabelAction::HashMod:
      edits.set(target, std::to_string(hash_of(value) % rule.config.modulus));
      return true;
    case RelabelAction::LabelMap:
      map_labels(rule, edits);
      return true;
    case RelabelAction::LabelDrop:
      erase_labels(rule, true, edits);
      return true;
    case RelabelAction::LabelKeep:
      erase_labels(rule, false, edits);
      return true;
    case RelabelAction::Lowercase:
      edits.set(target, core::to_lower(value));
      return true;
    case RelabelAction::Uppercase:
      edits.set(target, core::to_upper(value));
      return true;
  }
  return true;
}

}  // namespace

Result<RelabelAction> parse_relabel_action(std::string_view text) {
  const std::string name = core::to_lower(text);
  const auto found = std::ranges::find(kActions, name, &ActionName::name);
  if (found == kActions.end())
    return refuse(fmt::format("unknown relabel action {}", go_quoted(text)));
  return found->action;
}

std::string_view relabel_action_text(RelabelAction action) {
  return std::ranges::find(kActions, action, &ActionName::action)->name;
}

struct RelabelRules::Impl {
  std::vector<Rule> rules;
};

Result<RelabelRules> RelabelRules::make(std::span<const RelabelConfig> configs) {
  RelabelRules made;
  if (configs.empty()) return made;
  auto impl = std::make_shared<Impl>();
  for (const RelabelConfig& config : configs) {
    GANTRY_TRY(promql::AnchoredRegex regex,
               promql::AnchoredRegex::compile(config.regex.value_or(std::string(kDefaultRegex))));
    GANTRY_CHECK(check_names(config));
    GANTRY_CHECK(check_fields(config));
    promql::GroupTemplate target(config.target_label, regex);
    promql::GroupTemplate replacement(config.replacement, regex);
    impl->rules.push_back({.config = config,
                           .regex = std::move(regex),
                           .target = std::move(target),
                           .replacement = std::move(replacement)});
  }
  made.impl_ = std::move(impl);
  return made;
}

bool RelabelRules::apply(Labels& labels) const {
  if (impl_ == nullptr) return true;
  LabelEdits edits(labels);
  for (const Rule& rule : impl_->rules)
    if (!apply_rule(rule, edits)) return false;
  labels = telemetry::make_labels(edits.labels());
  return true;
}

}  // namespace gantry::pipeline
