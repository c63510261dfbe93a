#include "codec/influx_encoder.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "core/arena.h"
#include "core/number_format.h"
#include "telemetry/labels.h"

namespace gantry::codec {
namespace {

constexpr std::string_view kMeasurementSpecials = ", ";
constexpr std::string_view kKeySpecials = ",= ";
constexpr std::int64_t kNanosecondsPerMs = 1'000'000;
constexpr std::int64_t kTimestampMsMax =
    std::numeric_limits<std::int64_t>::max() / kNanosecondsPerMs;

/// A line feed ends a line even after a backslash, and a backslash at the end would escape what
/// follows.
bool is_speakable(std::string_view text) {
  return !text.empty() && !text.ends_with('\\') &&
         text.find_first_of(std::string_view("\n\r\0", 3)) == std::string_view::npos;
}

void append_escaped(std::string& out, std::string_view text, std::string_view specials) {
  for (const char c : text) {
    if (specials.contains(c)) out.push_back('\\');
    out.push_back(c);
  }
}

/// Measurement and tags; "" when they cannot be said.
std::string series_text(std::vector<telemetry::LabelView>& labels) {
  std::ranges::sort(labels);
  std::string_view name;
  std::string tags;
  for (const auto& [label, value] : labels) {
    if (value.empty()) continue;
    if (!is_speakable(label) || !is_speakable(value)) return "";
    if (label == telemetry::kMetricNameLabel) {
      name = value;
      continue;
    }
    tags.push_back(',');
    append_escaped(tags, label, kKeySpecials);
    tags.push_back('=');
    append_escaped(tags, value, kKeySpecials);
  }
  // A line that begins so is a comment.
  if (name.empty() || name.starts_with('#')) return "";
  std::string text;
  append_escaped(text, name, kMeasurementSpecials);
  return text += tags;
}

}  // namespace

InfluxOmissions append_influx_lines(const telemetry::MetricBatch& batch, std::string& out) {
  std::vector<std::string> texts(batch.series.size());
  core::Arena arena;
  std::vector<telemetry::LabelView> labels;
  for (std::uint32_t i = 0; i < texts.size(); ++i) {
    labels.clear();
    if (batch.resolver->resolve(i, arena, labels)) texts[i] = series_text(labels);
  }
  InfluxOmissions omitted{.histograms = batch.histograms.size()};
  for (const telemetry::FloatSample& sample : batch.samples) {
    const std::string& text = texts.at(sample.series);
    if (text.empty()) {
      ++omitted.labels;
    } else if (!std::isfinite(sample.value) || sample.timestamp_ms > kTimestampMsMax ||
               sample.timestamp_ms < -kTimestampMsMax) {
      ++omitted.values;
    } else {
      out.append(text).append(" value=");
      core::append_float_general(out, sample.value);
      fmt::format_to(std::back_inserter(out), " {}\n", sample.timestamp_ms * kNanosecondsPerMs);
    }
  }
  return omitted;
}

}  // namespace gantry::codec
