#include "pipeline/testing/sample_request.h"

#include <utility>

#include "core/hash.h"
#include "promql/parser.h"

namespace gantry::pipeline::testing {

std::uint32_t SampleRequest::index_of(std::string_view series) {
  const auto [place, is_new] =
      places_.try_emplace(std::string(series), static_cast<std::uint32_t>(labels_.size()));
  if (!is_new) return place->second;
  std::vector<telemetry::Label> labels;
  const auto matchers = promql::parse_metric_selector(series);
  GANTRY_ASSERT(matchers.has_value(), "a test's own text");
  for (const promql::Matcher& matcher : *matchers)
    labels.push_back({.name = matcher.name(), .value = matcher.value()});
  labels_.push_back(telemetry::make_labels(std::move(labels)));
  batch_.series.push_back({.key = core::hash128(series, protocol_)});
  return place->second;
}

SampleRequest& SampleRequest::add(std::string_view series, std::int64_t at_ms, double value,
                                  std::int64_t start_ms) {
  batch_.samples.push_back({.series = index_of(series), .timestamp_ms = at_ms, .value = value});
  batch_.start_timestamps_ms.push_back(start_ms);
  return *this;
}

SampleRequest& SampleRequest::add(std::string_view series, std::int64_t at_ms,
                                  telemetry::NativeHistogram histogram) {
  batch_.histograms.push_back({.series = index_of(series),
                               .timestamp_ms = at_ms,
                               .start_timestamp_ms = 0,
                               .histogram = std::move(histogram)});
  return *this;
}

Result<void> SampleRequest::resolve(std::uint32_t series, core::Arena&,
                                    std::vector<telemetry::LabelView>& labels) const {
  for (const telemetry::Label& label : labels_[series])
    labels.push_back({.name = label.name, .value = label.value});
  return {};
}

}  // namespace gantry::pipeline::testing
