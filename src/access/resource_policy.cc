#include "access/resource_policy.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "codec/otlp_attributes.h"
#include "codec/otlp_names.h"
#include "core/number_format.h"
#include "telemetry/labels.h"

namespace gantry::access {
namespace {

using promql::Matcher;
using promql::MatchOp;
using telemetry::AttributeValue;

constexpr std::string_view kResourcePrefix = "resource.";

bool is_negative(const Matcher& matcher) {
  return matcher.op() == MatchOp::NotEqual || matcher.op() == MatchOp::NotRegex;
}

/// The value at one place of a column, as a batch would have it.
AttributeValue value_at(const traceql::Column& column, std::size_t position) {
  using traceql::ColumnType;
  using Kind = AttributeValue::Kind;
  switch (column.type) {
    case ColumnType::String:
      return {.kind = Kind::String, .text = column.dictionary[column.ids[position]]};
    case ColumnType::Int:
      return {.kind = Kind::Int, .integer = column.ints[position], .text = {}};
    case ColumnType::Double:
      return {.kind = Kind::Double, .number = column.doubles[position], .text = {}};
    case ColumnType::Bool:
      return {.kind = Kind::Bool, .boolean = column.bools[position] != 0, .text = {}};
    case ColumnType::Encoded:
      return {.kind = Kind::Encoded, .text = column.dictionary[column.ids[position]]};
  }
  return {};
}

std::string scalar_text(const AttributeValue& value) {
  std::string text;
  switch (value.kind) {
    case AttributeValue::Kind::Bool:
      return value.boolean ? "true" : "false";
    case AttributeValue::Kind::Int:
      return std::to_string(value.integer);
    case AttributeValue::Kind::Double:
      core::append_float_api(text, value.number);
      return text;
    case AttributeValue::Kind::String:
    case AttributeValue::Kind::Encoded:
      break;
  }
  return std::string(value.text);
}

}  // namespace

ResourcePolicy::ResourcePolicy(std::shared_ptr<const LabelPolicySet> policies)
    : policies_(std::move(policies)) {
  for (const LabelPolicy& policy : policies_->policies()) {
    for (const Matcher& matcher : policy.matchers()) labels_.emplace_back(matcher.name());
  }
  std::ranges::sort(labels_);
  const auto repeated = std::ranges::unique(labels_);
  labels_.erase(repeated.begin(), repeated.end());
}

std::size_t ResourcePolicy::label_index(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::lower_bound(labels_, name) - labels_.begin());
}

ResourcePolicy::Fit ResourcePolicy::fit(std::string_view label, std::string_view key) {
  if (label == key) return Fit::Exact;
  if (label.starts_with(kResourcePrefix) && label.substr(kResourcePrefix.size()) == key)
    return Fit::Exact;
  std::string translated;
  if (codec::prometheus_label_name(key, {}, translated) && translated == label)
    return Fit::Translated;
  return Fit::None;
}

void ResourcePolicy::add(Values& values, Fit fit, const AttributeValue& value) {
  std::vector<std::string>& texts = fit == Fit::Exact ? values.exact : values.translated;
  if (value.kind != AttributeValue::Kind::Encoded) {
    texts.push_back(scalar_text(value));
    return;
  }
  auto elements = codec::attribute_texts(value.text);
  if (!elements) {
    values.is_damaged = true;
    return;
  }
  std::ranges::move(*elements, std::back_inserter(texts));
}

bool ResourcePolicy::Values::satisfy(const Matcher& matcher) const {
  if (is_damaged) return false;
  const std::vector<std::string>& texts = exact.empty() ? translated : exact;
  if (texts.empty()) return matcher.matches_empty();
  const auto matches = [&](const std::string& text) { return matcher.matches(text); };
  return is_negative(matcher) ? std::ranges::all_of(texts, matches)
                              : std::ranges::any_of(texts, matches);
}

bool ResourcePolicy::shows(std::span<const Values> values) const {
  return std::ranges::any_of(policies_->policies(), [&](const LabelPolicy& policy) {
    return std::ranges::all_of(policy.matchers(), [&](const Matcher& matcher) {
      return values[label_index(matcher.name())].satisfy(matcher);
    });
  });
}

bool ResourcePolicy::shows(std::span<const telemetry::SpanAttribute> resource) const {
  std::vector<Values> values(labels_.size());
  for (std::size_t label = 0; label < labels_.size(); ++label) {
    for (const telemetry::SpanAttribute& attribute : resource) {
      const Fit how = fit(labels_[label], attribute.key);
      if (how != Fit::None) add(values[label], how, attribute.value);
    }
  }
  return shows(values);
}

Result<traceql::RowSet> ResourcePolicy::shown_resources(traceql::SpanGroup& group) const {
  const std::uint32_t count = group.counts().resources;
  std::vector<std::vector<Values>> values(count, std::vector<Values>(labels_.size()));
  GANTRY_TRY(const auto keys, group.keys(traceql::Table::Resource));
  for (const std::string_view key : keys) {
    for (std::size_t label = 0; label < labels_.size(); ++label) {
      const Fit how = fit(labels_[label], key);
      if (how == Fit::None) continue;
      GANTRY_TRY(const auto columns,
                 group.columns({.table = traceql::Table::Resource, .key = key}));
      for (const traceql::Column& column : columns) {
        for (std::size_t i = 0; i < column.size(); ++i) {
          const std::uint32_t row =
              column.is_dense ? static_cast<std::uint32_t>(i) : column.rows[i];
          add(values[row][label], how, value_at(column, i));
        }
      }
    }
  }
  traceql::RowSet shown(count);
  for (std::uint32_t row = 0; row < count; ++row) {
    if (shows(values[row])) shown.add(row);
  }
  return shown;
}

Result<void> check_trace_policies(const LabelPolicySet& policies) {
  constexpr std::array<std::string_view, 6> kOtherScopes = {
      "span.", "event.", "link.", "parent.", "trace.", "instrumentation."};
  for (const LabelPolicy& policy : policies.policies()) {
    for (const Matcher& matcher : policy.matchers()) {
      const std::string_view name = matcher.name();
      const bool is_other_scope = std::ranges::any_of(
          kOtherScopes, [&](std::string_view prefix) { return name.starts_with(prefix); });
      const bool is_intrinsic = name.contains(':');
      if (name == telemetry::kMetricNameLabel || is_other_scope || is_intrinsic) {
        return fail(
            Code::InvalidArgument,
            fmt::format("label policy {}: \"{}\" is not a resource attribute, and only those "
                        "restrict traces; leave out traces:read or the label",
                        policy.text(), name));
      }
    }
  }
  return {};
}

}  // namespace gantry::access
