#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "core/duration.h"
#include "core/utf8.h"
#include "pipeline/aggregation_rule_internal.h"
#include "pipeline/rule_json_internal.h"
#include "pipeline/stream_aggregation.h"
#include "promql/parser.h"

namespace gantry::pipeline {
namespace {

namespace dom = simdjson::dom;
using telemetry::Label;

constexpr std::string_view kRoot = "stream_aggregation";
constexpr std::string_view kDefaultName = "<metric>:<interval>_<output>";
constexpr std::string_view kMetricPlace = "<metric>";
constexpr std::string_view kIntervalPlace = "<interval>";
constexpr std::string_view kOutputPlace = "<output>";
constexpr DurationMs kIntervalMin{1'000};
constexpr DurationMs kIntervalMax{24 * 3'600'000};

/// By AggregationOutput.
constexpr std::array<std::string_view, kAggregationOutputCount> kOutputNames = {
    "total", "increase", "sum_samples", "count_samples", "count_series",
    "avg",   "min",      "max",         "last"};

std::string replaced(std::string_view text, std::string_view place, std::string_view by) {
  std::string out;
  for (std::size_t at = text.find(place); at != std::string_view::npos; at = text.find(place)) {
    out.append(text.substr(0, at)).append(by);
    text.remove_prefix(at + place.size());
  }
  return out.append(text);
}

Result<AggregationOutput> read_output(dom::element element, const std::string& path) {
  std::string_view text;
  if (element.get(text) != simdjson::SUCCESS) return refuse(path, "must be a string");
  const auto found = std::ranges::find(kOutputNames, text);
  if (found == kOutputNames.end())
    return refuse(path, fmt::format("must be one of {}, not {}", fmt::join(kOutputNames, ", "),
                                    quoted(text)));
  return static_cast<AggregationOutput>(found - kOutputNames.begin());
}

/// The items of an array that must be there and have some.
Result<std::vector<dom::element>> read_items(const Members& members, std::string_view name) {
  const dom::element* const element = members.find(name);
  if (element == nullptr) return refuse(members.path(), fmt::format("\"{}\" is missing", name));
  const std::string path = members.path_of(name);
  GANTRY_TRY(const dom::array array, read_array(*element, path));
  std::vector<dom::element> items;
  for (const dom::element item : array) {
    if (items.size() == kAggregationItemsMax)
      return refuse(path, fmt::format("more than {} entries", kAggregationItemsMax));
    items.push_back(item);
  }
  if (items.empty()) return refuse(path, "is empty");
  return items;
}

Result<std::vector<promql::Matcher>> read_selector(dom::element element, const std::string& path) {
  std::string_view text;
  if (element.get(text) != simdjson::SUCCESS) return refuse(path, "must be a selector");
  if (text.size() > kAggregationTextBytesMax)
    return refuse(
        path, fmt::format("is {} bytes, the limit is {}", text.size(), kAggregationTextBytesMax));
  auto matchers = promql::parse_metric_selector(text);
  if (!matchers) return refuse(path, matchers.error().message);
  if (matchers->empty()) return refuse(path, "has no matcher");
  return matchers;
}

/// One selector, or an array of them.
Result<void> read_match(const Members& members, AggregationRule& rule) {
  const dom::element* const element = members.find("match");
  if (element == nullptr) return refuse(members.path(), "\"match\" is missing");
  if (!element->is_array()) {
    GANTRY_TRY(auto selector, read_selector(*element, members.path_of("match")));
    rule.selectors.push_back(std::move(selector));
    return {};
  }
  GANTRY_TRY(const auto items, read_items(members, "match"));
  for (const dom::element item : items) {
    GANTRY_TRY(auto selector, read_selector(item, fmt::format("{}[{}]", members.path_of("match"),
                                                              rule.selectors.size())));
    rule.selectors.push_back(std::move(selector));
  }
  return {};
}

Result<void> read_interval(const Members& members, AggregationRule& rule) {
  GANTRY_TRY(const std::string_view text, members.required_text("interval"));
  const auto interval = core::parse_duration(text);
  if (!interval) return refuse(members.path_of("interval"), interval.error().message);
  if (*interval < kIntervalMin || *interval > kIntervalMax)
    return refuse(members.path_of("interval"), "must be from 1s to 1d");
  rule.interval = *interval;
  return {};
}

Result<void> check_label(std::string_view name, const std::string& path) {
  if (name.empty() || name.size() > kAggregationTextBytesMax)
    return refuse(path, fmt::format("must have 1 to {} bytes", kAggregationTextBytesMax));
  if (name == telemetry::kMetricNameLabel) return refuse(path, "__name__ is governed by \"name\"");
  return {};
}

Result<void> read_grouping(const Members& members, AggregationRule& rule) {
  const bool has_by = members.find("by") != nullptr;
  const bool has_without = members.find("without") != nullptr;
  if (has_by && has_without) return refuse(members.path(), "has both \"by\" and \"without\"");
  if (!has_by && !has_without) return {};
  const std::string_view name = has_by ? "by" : "without";
  rule.grouping = has_by ? AggregationGrouping::By : AggregationGrouping::Without;
  const std::string path = members.path_of(name);
  GANTRY_TRY(const dom::array array, read_array(*members.find(name), path));
  for (const dom::element item : array) {
    if (rule.labels.size() == kAggregationItemsMax)
      return refuse(path, fmt::format("more than {} entries", kAggregationItemsMax));
    const std::string item_path = fmt::format("{}[{}]", path, rule.labels.size());
    std::string_view label;
    if (item.get(label) != simdjson::SUCCESS) return refuse(item_path, "must be a string");
    GANTRY_CHECK(check_label(label, item_path));
    rule.labels.emplace_back(label);
  }
  return {};
}

Result<void> read_outputs(const Members& members, AggregationRule& rule) {
  GANTRY_TRY(const auto items, read_items(members, "outputs"));
  for (const dom::element item : items) {
    const std::string path = fmt::format("{}[{}]", members.path_of("outputs"), rule.outputs.size());
    GANTRY_TRY(const AggregationOutput output, read_output(item, path));
    if (std::ranges::find(rule.outputs, output) != rule.outputs.end())
      return refuse(path, fmt::format("{} is given twice", aggregation_output_name(output)));
    rule.outputs.push_back(output);
  }
  return {};
}

Result<void> read_top(const Members& rule_members, AggregationRule& rule) {
  static constexpr std::array<std::string_view, 3> kNames = {"n", "label", "rank_by"};
  const dom::element* const element = rule_members.find("top");
  if (element == nullptr) return {};
  GANTRY_TRY(const Members members, Members::read(*element, rule_members.path_of("top"), kNames));
  AggregationTop top;
  std::uint64_t n = 0;
  const dom::element* const n_element = members.find("n");
  if (n_element == nullptr || n_element->get(n) != simdjson::SUCCESS || n == 0 ||
      n > kAggregationTopMax)
    return refuse(members.path_of("n"),
                  fmt::format("must be a whole number from 1 to {}", kAggregationTopMax));
  top.n = n;
  GANTRY_TRY(const std::string_view label, members.required_text("label"));
  GANTRY_CHECK(check_label(label, members.path_of("label")));
  const bool is_listed = std::ranges::find(rule.labels, label) != rule.labels.end();
  if ((rule.grouping == AggregationGrouping::By && !is_listed) ||
      (rule.grouping == AggregationGrouping::Without && is_listed))
    return refuse(members.path_of("label"),
                  fmt::format("{} is not a label of the groups", quoted(label)));
  top.label = label;
  top.rank_by = rule.outputs.front();
  if (const dom::element* const rank_by = members.find("rank_by"); rank_by != nullptr) {
    GANTRY_TRY(top.rank_by, read_output(*rank_by, members.path_of("rank_by")));
    if (std::ranges::find(rule.outputs, top.rank_by) == rule.outputs.end())
      return refuse(members.path_of("rank_by"), "is not one of the outputs");
  }
  rule.top = std::move(top);
  return {};
}

Result<void> read_name(const Members& members, AggregationRule& rule) {
  GANTRY_TRY(const std::optional<std::string_view> given, members.text("name"));
  const std::string_view name = given.value_or(kDefaultName);
  const std::string path = members.path_of("name");
  if (name.empty() || name.size() > kAggregationTextBytesMax)
    return refuse(path, fmt::format("must have 1 to {} bytes", kAggregationTextBytesMax));
  if (rule.outputs.size() > 1 && !name.contains(kOutputPlace))
    return refuse(path, "needs <output>: there are several");
  rule.name = replaced(name, kIntervalPlace, core::format_duration(rule.interval));
  return {};
}

Result<AggregationRule> read_rule(dom::element element, const std::string& path) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "match", "interval", "by", "without", "outputs", "top", "keep_input", "name"};
  GANTRY_TRY(const Members members, Members::read(element, path, kNames));
  AggregationRule rule;
  GANTRY_CHECK(read_match(members, rule));
  GANTRY_CHECK(read_interval(members, rule));
  GANTRY_CHECK(read_grouping(members, rule));
  GANTRY_CHECK(read_outputs(members, rule));
  GANTRY_CHECK(read_top(members, rule));
  GANTRY_TRY(const std::optional<bool> keeps_input, members.boolean("keep_input"));
  rule.keeps_input = keeps_input.value_or(true);
  GANTRY_CHECK(read_name(members, rule));
  return rule;
}

}  // namespace

std::string_view aggregation_output_name(AggregationOutput output) {
  return kOutputNames.at(static_cast<std::size_t>(output));
}

bool merges_histograms(AggregationOutput output) {
  return output == AggregationOutput::Total || output == AggregationOutput::Increase ||
         output == AggregationOutput::SumSamples;
}

bool AggregationRule::matches(std::span<const Label> series) const {
  return std::ranges::any_of(selectors, [&](const std::vector<promql::Matcher>& matchers) {
    return std::ranges::all_of(matchers, [&](const promql::Matcher& matcher) {
      return matcher.matches(telemetry::find_label(series, matcher.name()));
    });
  });
}

telemetry::Labels AggregationRule::group_labels(std::span<const Label> series) const {
  telemetry::Labels kept;
  for (const Label& label : series) {
    if (label.name == telemetry::kMetricNameLabel) continue;
    const bool is_listed = std::ranges::find(labels, label.name) != labels.end();
    if (grouping == AggregationGrouping::By && !is_listed) continue;
    if (grouping == AggregationGrouping::Without && is_listed) continue;
    kept.push_back(label);
  }
  return kept;
}

std::string AggregationRule::group_name(std::string_view metric) const {
  return replaced(name, kMetricPlace, metric);
}

std::string AggregationRule::output_name(std::string_view group_name, AggregationOutput output) {
  return replaced(group_name, kOutputPlace, aggregation_output_name(output));
}

Result<std::vector<AggregationRule>> parse_aggregation_rules(std::string_view json) {
  dom::parser parser;
  GANTRY_TRY(const dom::element root,
             read_document(parser, json, kRoot, kStreamAggregationBytesMax));
  std::vector<AggregationRule> rules;
  if (root.is_null()) return rules;
  GANTRY_TRY(const dom::array array, read_array(root, kRoot));
  for (const dom::element item : array) {
    if (rules.size() == kAggregationRulesMax)
      return refuse(kRoot, fmt::format("more than {} rules", kAggregationRulesMax));
    GANTRY_TRY(AggregationRule rule, read_rule(item, fmt::format("{}[{}]", kRoot, rules.size())));
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace gantry::pipeline
