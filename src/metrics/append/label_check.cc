#include "metrics/append/label_check.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "core/utf8.h"

namespace gantry::metrics {
namespace {

using telemetry::LabelView;
using telemetry::RejectReason;

constexpr std::size_t kTextInMessageMax = 200;
constexpr std::size_t kLabelsInMessageMax = 20;
constexpr std::uint32_t kLabelsMax = 65535;

/// A value of a megabyte does not belong in an answer.
std::string shorten(std::string_view text) {
  std::string out;
  telemetry::append_go_quoted(out, text.substr(0, kTextInMessageMax));
  if (text.size() > kTextInMessageMax) out += "…";
  return out;
}

std::string series_text(std::span<const LabelView> labels) {
  telemetry::Labels copy;
  for (const LabelView& label : labels.first(std::min(labels.size(), kLabelsInMessageMax))) {
    const auto cut = [](std::string_view text) {
      std::string out(text.substr(0, kTextInMessageMax));
      if (text.size() > kTextInMessageMax) out += "…";
      return out;
    };
    copy.push_back({.name = cut(label.name), .value = cut(label.value)});
  }
  return telemetry::format_series(copy);
}

bool check_label(std::span<const LabelView> labels, std::size_t at, const Limits& limits,
                 LabelProblem& problem) {
  const LabelView& label = labels[at];
  const auto refuse = [&](RejectReason reason, std::string text) {
    problem = {.reason = reason, .message = std::move(text) + " of series " + series_text(labels)};
    return false;
  };
  if (label.name.empty()) return refuse(RejectReason::InvalidLabels, "an empty label name");
  if (at > 0 && labels[at - 1].name == label.name) {
    return refuse(RejectReason::InvalidLabels,
                  fmt::format("duplicate label name {}", shorten(label.name)));
  }
  if (limits.label_name_bytes_max > 0 && label.name.size() > limits.label_name_bytes_max) {
    return refuse(
        RejectReason::LabelLimit,
        fmt::format("label name {} is {} bytes, the limit is {} (limits.label_name_bytes_max)",
                    shorten(label.name), label.name.size(), limits.label_name_bytes_max));
  }
  if (limits.label_value_bytes_max > 0 && label.value.size() > limits.label_value_bytes_max) {
    return refuse(
        RejectReason::LabelLimit,
        fmt::format("label value of {} is {} bytes, the limit is {} (limits.label_value_bytes_max)",
                    shorten(label.name), label.value.size(), limits.label_value_bytes_max));
  }
  if (!core::is_valid_utf8(label.name) || !core::is_valid_utf8(label.value)) {
    return refuse(RejectReason::InvalidLabels,
                  fmt::format("invalid UTF-8 in label {}", shorten(label.name)));
  }
  return true;
}

}  // namespace

bool canonicalise(std::vector<LabelView>& labels, const Limits& limits, LabelProblem& problem) {
  if (!std::ranges::is_sorted(labels, {}, &LabelView::name)) {
    std::ranges::stable_sort(labels, {}, &LabelView::name);
  }
  // A label that is given twice is refused even when one of the two is empty.
  for (std::size_t i = 1; i < labels.size(); ++i) {
    if (labels[i - 1].name == labels[i].name) return check_label(labels, i, limits, problem);
  }
  std::erase_if(labels, [](const LabelView& label) { return label.value.empty(); });
  // A record counts labels in 16 bits, whatever the setting.
  const std::uint32_t count_max = limits.labels_per_series_max == 0
                                      ? kLabelsMax
                                      : std::min(limits.labels_per_series_max, kLabelsMax);
  if (labels.size() > count_max) {
    problem = {.reason = RejectReason::LabelLimit,
               .message = fmt::format("{} labels, the limit is {} (limits.labels_per_series_max), "
                                      "of series {}",
                                      labels.size(), count_max, series_text(labels))};
    return false;
  }
  bool has_name = false;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (!check_label(labels, i, limits, problem)) return false;
    has_name = has_name || labels[i].name == telemetry::kMetricNameLabel;
  }
  if (has_name) return true;
  problem = {.reason = RejectReason::InvalidLabels,
             .message = "no metric name (label __name__) in series " + series_text(labels)};
  return false;
}

}  // namespace gantry::metrics
