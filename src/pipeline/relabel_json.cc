#include "pipeline/relabel_json.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <simdjson.h>

namespace gantry::pipeline {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kRoot = "metric_relabel_configs";
constexpr std::array<std::string_view, 7> kKeys = {
    "source_labels", "separator", "regex", "modulus", "target_label", "replacement", "action"};

std::unexpected<Error> refuse(std::string_view path, std::string_view why) {
  return fail(Code::InvalidArgument, fmt::format("{}: {}", path, why));
}

Result<std::string> read_text(dom::element value, std::string_view path) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS) return refuse(path, "must be a string");
  return std::string(text);
}

Result<std::vector<std::string>> read_labels(dom::element value, std::string_view path) {
  dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return refuse(path, "must be an array of strings");
  std::vector<std::string> labels;
  for (const dom::element item : array) {
    GANTRY_TRY(std::string label, read_text(item, fmt::format("{}[{}]", path, labels.size())));
    labels.push_back(std::move(label));
  }
  return labels;
}

Result<void> read_member(RelabelConfig& config, std::string_view key, dom::element value,
                         std::string_view path) {
  if (key == "source_labels") {
    GANTRY_TRY(config.source_labels, read_labels(value, path));
    return {};
  }
  if (key == "modulus") {
    if (value.get(config.modulus) != simdjson::SUCCESS)
      return refuse(path, "must be a whole number");
    return {};
  }
  GANTRY_TRY(std::string text, read_text(value, path));
  if (key == "action") {
    const auto action = parse_relabel_action(text);
    if (!action) return refuse(path, action.error().message);
    config.action = *action;
  } else if (key == "regex") {
    config.regex = std::move(text);
  } else if (key == "separator") {
    config.separator = std::move(text);
  } else if (key == "target_label") {
    config.target_label = std::move(text);
  } else {
    config.replacement = std::move(text);
  }
  return {};
}

Result<RelabelConfig> read_config(dom::element element, std::string_view path) {
  dom::object object;
  if (element.get(object) != simdjson::SUCCESS) return refuse(path, "must be an object");
  RelabelConfig config;
  std::vector<std::string_view> seen;
  for (const dom::key_value_pair& member : object) {
    if (std::ranges::find(kKeys, member.key) == kKeys.end())
      return refuse(path, fmt::format("unknown key \"{}\"; the keys are {}",
                                      member.key.substr(0, 64), fmt::join(kKeys, ", ")));
    const std::string member_path = fmt::format("{}.{}", path, member.key);
    if (std::ranges::find(seen, member.key) != seen.end())
      return refuse(member_path, "is given twice");
    seen.push_back(member.key);
    GANTRY_CHECK(read_member(config, member.key, member.value, member_path));
  }
  // One at a time, so that the refusal names it.
  const auto rule = RelabelRules::make(std::span(&config, 1));
  if (!rule) return refuse(path, rule.error().message);
  return config;
}

}  // namespace

Result<RelabelRules> parse_relabel_rules(std::string_view json) {
  if (json.size() > kRelabelBytesMax)
    return refuse(kRoot,
                  fmt::format("is {} bytes, the limit is {}", json.size(), kRelabelBytesMax));
  dom::parser parser;
  dom::element root;
  const simdjson::padded_string padded(json);
  if (const auto error = parser.parse(padded).get(root); error != simdjson::SUCCESS)
    return refuse(kRoot, fmt::format("not JSON: {}", simdjson::error_message(error)));
  if (root.is_null()) return RelabelRules();
  dom::array array;
  if (root.get(array) != simdjson::SUCCESS) return refuse(kRoot, "must be an array");
  std::vector<RelabelConfig> configs;
  for (const dom::element item : array) {
    if (configs.size() == kRelabelConfigsMax)
      return refuse(kRoot, fmt::format("more than {} rules", kRelabelConfigsMax));
    GANTRY_TRY(RelabelConfig config,
               read_config(item, fmt::format("{}[{}]", kRoot, configs.size())));
    configs.push_back(std::move(config));
  }
  return RelabelRules::make(configs);
}

}  // namespace gantry::pipeline
