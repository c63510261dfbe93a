#include "pipeline/testing/collected_text.h"

#include <algorithm>

#include <fmt/core.h>

#include "telemetry/sample.h"

namespace gantry::pipeline::testing {

namespace {

std::string series_text(const telemetry::MetricBatch& batch, std::uint32_t series) {
  core::Arena arena;
  std::vector<telemetry::LabelView> views;
  if (!batch.resolver->resolve(series, arena, views)) return "(unresolved)";
  std::vector<telemetry::Label> labels;
  for (const telemetry::LabelView& view : views) {
    labels.push_back({.name = std::string(view.name), .value = std::string(view.value)});
  }
  return telemetry::format_series(telemetry::make_labels(std::move(labels)));
}

}  // namespace

std::vector<std::string> sample_lines(const telemetry::MetricBatch& batch) {
  std::vector<std::string> lines;
  for (const telemetry::FloatSample& sample : batch.samples) {
    lines.push_back(fmt::format(
        "{} {}@{}", series_text(batch, sample.series),
        telemetry::is_stale_nan(sample.value) ? "stale" : fmt::format("{}", sample.value),
        sample.timestamp_ms));
  }
  std::ranges::sort(lines);
  return lines;
}

std::vector<std::string> sample_lines(const telemetry::MetricBatch& batch,
                                      std::string_view prefix) {
  std::vector<std::string> lines = sample_lines(batch);
  std::erase_if(lines, [&](const std::string& line) { return !line.starts_with(prefix); });
  return lines;
}

std::vector<std::string> exemplar_lines(const telemetry::MetricBatch& batch) {
  std::vector<std::string> lines;
  for (const telemetry::Exemplar& exemplar : batch.exemplars) {
    std::string labels;
    for (const telemetry::LabelView& label : exemplar.labels) {
      labels += fmt::format(" {}={}", label.name, label.value);
    }
    lines.push_back(fmt::format("{}{} {}@{}", series_text(batch, exemplar.series), labels,
                                exemplar.value, exemplar.timestamp_ms));
  }
  std::ranges::sort(lines);
  return lines;
}

}  // namespace gantry::pipeline::testing
