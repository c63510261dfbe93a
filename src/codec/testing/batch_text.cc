#include "codec/testing/batch_text.h"

#include <algorithm>

#include "core/number_format.h"
#include "telemetry/sample.h"

namespace gantry::codec::testing {

namespace {

std::string number_text(double value) {
  if (telemetry::is_stale_nan(value)) return "StaleNaN";
  std::string text;
  core::append_float_api(text, value);
  return text;
}

telemetry::Labels owned(const std::vector<telemetry::LabelView>& views) {
  std::vector<telemetry::Label> labels;
  for (const auto& view : views) {
    labels.push_back({std::string(view.name), std::string(view.value)});
  }
  return telemetry::make_labels(std::move(labels));
}

std::string where(std::int64_t timestamp_ms, std::int64_t start_ms) {
  std::string text = " @" + std::to_string(timestamp_ms);
  if (start_ms != 0) text += " start=" + std::to_string(start_ms);
  return text;
}

}  // namespace

std::string series_text(const telemetry::MetricBatch& batch, std::uint32_t series) {
  core::Arena arena;
  std::vector<telemetry::LabelView> labels;
  const auto resolved = batch.resolver->resolve(series, arena, labels);
  if (!resolved) return "error: " + resolved.error().message;
  return telemetry::format_series(owned(labels));
}

std::vector<std::string> batch_lines(const telemetry::MetricBatch& batch) {
  std::vector<std::string> lines;
  const auto name = [&](std::uint32_t series) {
    return series_text(batch, series) + (batch.series[series].is_best_effort ? "!" : "");
  };
  for (std::size_t i = 0; i < batch.samples.size(); ++i) {
    const auto& sample = batch.samples[i];
    const std::int64_t start = batch.start_timestamps_ms.empty() ? 0 : batch.start_timestamps_ms[i];
    lines.push_back(name(sample.series) + " " + number_text(sample.value) +
                    where(sample.timestamp_ms, start));
  }
  for (const auto& sample : batch.histograms) {
    const auto text = telemetry::is_stale(sample.histogram)
                          ? std::string("StaleNaN")
                          : telemetry::format_histogram(telemetry::to_float(sample.histogram));
    lines.push_back(name(sample.series) + " " + text +
                    where(sample.timestamp_ms, sample.start_timestamp_ms));
  }
  for (const auto& exemplar : batch.exemplars) {
    lines.push_back("exemplar " + name(exemplar.series) + " " +
                    telemetry::format_labels(owned(exemplar.labels)) + " " +
                    number_text(exemplar.value) + where(exemplar.timestamp_ms, 0));
  }
  for (const auto& metadata : batch.metadata) {
    std::string line = "metadata " + std::string(metadata.family) + " " +
                       std::string(telemetry::metric_type_name(metadata.type)) + " ";
    telemetry::append_go_quoted(line, metadata.help);
    line += " ";
    telemetry::append_go_quoted(line, metadata.unit);
    lines.push_back(line);
  }
  std::ranges::sort(lines);
  return lines;
}

std::string batch_text(const telemetry::MetricBatch& batch) {
  std::string text;
  for (const std::string& line : batch_lines(batch)) text += line + "\n";
  return text;
}

}  // namespace gantry::codec::testing
