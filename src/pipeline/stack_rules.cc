#include "pipeline/stack_rules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

#include "pipeline/relabel_json.h"
#include "pipeline/rules_member.h"
#include "pipeline/stream_aggregation.h"

namespace gantry::pipeline {
namespace {

namespace dom = simdjson::dom;
using access::ControlResult;
using access::FieldProblem;

constexpr std::array<std::string_view, 9> kNames = {"sampling_rate",
                                                    "filter_rules",
                                                    "attribute_rules",
                                                    "privacy_mode",
                                                    "metric_relabel_configs",
                                                    "stream_aggregation",
                                                    "version",
                                                    "updated_at",
                                                    "workspace_id"};
constexpr double kSamplingSteps = 1e9;  ///< What is kept, and what is shown, has nine decimals.

}  // namespace

bool StackRules::spares_spans() const {
  return sampling_rate >= 1 && !is_private && filter_rules_json.empty() && attribute_rules.empty();
}

bool StackRules::spares_samples() const {
  return metric_relabel_json.empty() && stream_aggregation_json.empty();
}

struct StackRulesBody::Impl {
  dom::parser parser;
  simdjson::padded_string text;
  std::vector<std::pair<std::string_view, dom::element>> members;

  [[nodiscard]] const dom::element* find(std::string_view name) const {
    const auto found = std::ranges::find(members, name, &decltype(members)::value_type::first);
    return found == members.end() ? nullptr : &found->second;
  }

  ControlResult<void> read_members(dom::object object) {
    for (const dom::key_value_pair& member : object) {
      const auto name = std::ranges::find(kNames, member.key);
      if (name == kNames.end())
        return access::refuse_field(
            std::string(member.key.substr(0, 64)),
            fmt::format("is not known here; the fields are {}", fmt::join(kNames, ", ")));
      if (find(*name) != nullptr) return access::refuse_field(std::string(*name), "is given twice");
      members.emplace_back(*name, member.value);
    }
    return {};
  }

  void read_sampling_rate(StackRules& rules, std::vector<FieldProblem>& problems) const {
    const dom::element* const value = find("sampling_rate");
    if (value == nullptr) return;
    double rate = 1;
    const bool is_number =
        value->is_null() || (value->is_number() && value->get(rate) == simdjson::SUCCESS);
    if (!is_number || !(rate >= kStackSamplingRateMin && rate <= 1))
      problems.push_back({.path = "sampling_rate",
                          .reason = fmt::format("must be from {} to 1", kStackSamplingRateMin)});
    rules.sampling_rate = std::round(rate * kSamplingSteps) / kSamplingSteps;
  }

  void read_privacy(StackRules& rules, std::vector<FieldProblem>& problems) const {
    const dom::element* const value = find("privacy_mode");
    if (value == nullptr) return;
    rules.is_private = false;
    if (!value->is_null() && value->get(rules.is_private) != simdjson::SUCCESS)
      problems.push_back({.path = "privacy_mode", .reason = "must be true or false"});
  }

  /// A part that has a parser of its own, and where its text and what it means are kept.
  template <class... Into>
  void read_part(std::string_view name, std::vector<FieldProblem>& problems, Into&&... into) const {
    const dom::element* const value = find(name);
    if (value == nullptr) return;
    if (auto problem = read_rules(simdjson::minify(*value), std::forward<Into>(into)...))
      problems.push_back(*std::move(problem));
  }
};

StackRulesBody::StackRulesBody(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StackRulesBody::~StackRulesBody() = default;
StackRulesBody::StackRulesBody(StackRulesBody&&) noexcept = default;

ControlResult<StackRulesBody> StackRulesBody::parse(std::string_view text) {
  if (text.size() > kStackRulesBytesMax)
    return access::refuse(
        Code::InvalidArgument,
        fmt::format("the rules are {} bytes, the limit is {}", text.size(), kStackRulesBytesMax));
  auto impl = std::make_unique<Impl>();
  impl->text = simdjson::padded_string(text);
  dom::object object;
  if (impl->parser.parse(impl->text).get(object) != simdjson::SUCCESS)
    return access::refuse(Code::InvalidArgument, "the body must be a JSON object");
  GANTRY_CHECK(impl->read_members(object));
  return StackRulesBody(std::move(impl));
}

ControlResult<StackRules> StackRulesBody::apply(const StackRules& before) const {
  StackRules rules = before;
  std::vector<FieldProblem> problems;
  impl_->read_sampling_rate(rules, problems);
  impl_->read_privacy(rules, problems);
  impl_->read_part("filter_rules", problems, rules.filter_rules_json, rules.filter_rules,
                   &FilterRules::parse);
  impl_->read_part("attribute_rules", problems, rules.attribute_rules_json, rules.attribute_rules,
                   &AttributeRules::parse);
  impl_->read_part("metric_relabel_configs", problems, rules.metric_relabel_json,
                   rules.metric_relabel, &parse_relabel_rules);
  impl_->read_part("stream_aggregation", problems, rules.stream_aggregation_json,
                   &check_stream_aggregation);
  if (!problems.empty()) return access::refuse_fields(std::move(problems));
  return rules;
}

ControlResult<std::optional<std::int64_t>> StackRulesBody::version() const {
  const dom::element* const value = impl_->find("version");
  if (value == nullptr || value->is_null()) return std::nullopt;
  std::int64_t version = 0;
  if (value->get(version) != simdjson::SUCCESS)
    return access::refuse_field("version", "must be a whole number");
  return version;
}

ControlResult<std::optional<std::string>> StackRulesBody::workspace_id() const {
  const dom::element* const value = impl_->find("workspace_id");
  if (value == nullptr || value->is_null()) return std::nullopt;
  std::string_view id;
  if (value->get(id) != simdjson::SUCCESS)
    return access::refuse_field("workspace_id", "must be a string");
  return std::string(id);
}

void write_stack_rules(core::JsonWriter& json, const StackRules& rules) {
  json.key("sampling_rate").number(rules.sampling_rate);
  write_rules(json, "filter_rules", rules.filter_rules_json);
  write_rules(json, "attribute_rules", rules.attribute_rules_json);
  json.key("privacy_mode").boolean(rules.is_private);
  write_rules(json, "metric_relabel_configs", rules.metric_relabel_json);
  write_rules(json, "stream_aggregation", rules.stream_aggregation_json);
}

}  // namespace gantry::pipeline
