#include "codec/series_labels.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/utf8.h"

namespace gantry::codec {

namespace {

constexpr std::size_t kDescriptionBytesMax = 512;
/// Up to here pairs are compared; beyond, a sorted copy is cheaper.
constexpr std::size_t kPairwiseLabelsMax = 24;

/// A name that occurs twice among the labels that count, or nullptr.
const telemetry::LabelView* find_duplicate(std::span<const telemetry::LabelView> labels,
                                           std::vector<telemetry::LabelView>& sorted) {
  if (labels.size() <= kPairwiseLabelsMax) {
    for (std::size_t i = 1; i < labels.size(); ++i) {
      if (labels[i].value.empty()) continue;
      for (std::size_t j = 0; j < i; ++j) {
        if (labels[j].name == labels[i].name && !labels[j].value.empty()) return &labels[i];
      }
    }
    return nullptr;
  }
  std::ranges::copy_if(labels, std::back_inserter(sorted),
                       [](const telemetry::LabelView& label) { return !label.value.empty(); });
  std::ranges::sort(sorted, {}, &telemetry::LabelView::name);
  const auto found = std::ranges::adjacent_find(sorted, {}, &telemetry::LabelView::name);
  return found == sorted.end() ? nullptr : &*found;
}

}  // namespace

std::string excerpt(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string describe_series(std::span<const telemetry::LabelView> labels) {
  telemetry::Labels owned;
  std::size_t bytes = 0;
  for (const telemetry::LabelView& label : labels) {
    if (bytes > kDescriptionBytesMax) break;
    owned.push_back({.name = excerpt(label.name, kDescriptionBytesMax),
                     .value = excerpt(label.value, kDescriptionBytesMax)});
    bytes += label.name.size() + label.value.size();
  }
  std::ranges::sort(owned);
  return excerpt(telemetry::format_labels(owned), kDescriptionBytesMax);
}

Result<void> check_series_labels(std::span<const telemetry::LabelView> labels) {
  bool has_name = false;
  for (const telemetry::LabelView& label : labels) {
    if (label.name.empty() || !core::is_valid_utf8(label.name) ||
        !core::is_valid_utf8(label.value)) {
      return fail(Code::InvalidArgument,
                  fmt::format("invalid metric name or labels, got {}", describe_series(labels)));
    }
    has_name |= label.name == telemetry::kMetricNameLabel && !label.value.empty();
  }
  if (!has_name) {
    return fail(Code::InvalidArgument,
                fmt::format("invalid metric name or labels, got {}", describe_series(labels)));
  }
  std::vector<telemetry::LabelView> sorted;
  if (const auto* duplicate = find_duplicate(labels, sorted)) {
    return fail(Code::InvalidArgument,
                fmt::format("invalid labels for series, labels {}, duplicated label {}",
                            describe_series(labels), excerpt(duplicate->name, 128)));
  }
  return {};
}

}  // namespace gantry::codec
