#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/label_set_internal.h"

namespace gantry::pipeline {

core::Hash128 label_set_key(std::span<const telemetry::Label> labels) {
  // Names and values cannot contain 0xff in valid UTF-8, so that no two label sets read alike.
  std::string text;
  for (const telemetry::Label& label : labels) {
    text += label.name;
    text.push_back('\xff');
    text += label.value;
    text.push_back('\xff');
  }
  return core::hash128(text, core::process_hash_seed());
}

std::optional<telemetry::Labels> own_labels(std::span<const telemetry::LabelView> views) {
  std::vector<telemetry::Label> labels;
  labels.reserve(views.size());
  for (const telemetry::LabelView& view : views) {
    if (view.name.empty()) return std::nullopt;
    labels.push_back({.name = std::string(view.name), .value = std::string(view.value)});
  }
  std::ranges::sort(labels);
  const auto twice = std::ranges::adjacent_find(labels, {}, &telemetry::Label::name);
  if (twice != labels.end()) return std::nullopt;
  return telemetry::make_labels(std::move(labels));
}

}  // namespace gantry::pipeline
