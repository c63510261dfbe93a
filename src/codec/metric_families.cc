#include "codec/metric_families.h"

#include <array>
#include <functional>
#include <initializer_list>
#include <span>

namespace gantry::codec {
namespace {

using telemetry::MetricType;

constexpr std::array<std::string_view, 9> kSuffixes = {
    "", "_bucket", "_sum", "_count", "_total", "_created", "_info", "_gsum", "_gcount"};

bool has_suffix(MetricType type, std::string_view suffix) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> suffixes) {
    for (const std::string_view each : suffixes)
      if (each == suffix) return true;
    return suffix.empty();
  };
  switch (type) {
    case MetricType::Counter:
      return is_one_of({"_total", "_created"});
    case MetricType::Histogram:
      return is_one_of({"_bucket", "_sum", "_count", "_created"});
    case MetricType::Summary:
      return is_one_of({"_sum", "_count", "_created"});
    case MetricType::GaugeHistogram:
      return is_one_of({"_bucket", "_gsum", "_gcount", "_sum", "_count"});
    case MetricType::Info:
      return is_one_of({"_info"});
    case MetricType::Unknown:
    case MetricType::Gauge:
    case MetricType::StateSet:
      return suffix.empty();
  }
  return false;
}

}  // namespace

void MetricFamilies::learn(const telemetry::MetricMetadata& metadata) {
  if (families_.size() >= kFamiliesMax && !families_.contains(metadata.family)) return;
  families_.insert_or_assign(std::string(metadata.family),
                             WriteMetadata{.family = std::string(metadata.family),
                                           .type = metadata.type,
                                           .help = std::string(metadata.help),
                                           .unit = std::string(metadata.unit)});
}

std::optional<MetricFamilies::Match> MetricFamilies::find(std::string_view series_name) const {
  for (const std::string_view suffix : kSuffixes) {
    if (!series_name.ends_with(suffix)) continue;
    const auto family = families_.find(series_name.substr(0, series_name.size() - suffix.size()));
    if (family != families_.end() && has_suffix(family->second.type, suffix))
      return Match{.family = &family->second, .suffix = suffix};
  }
  return std::nullopt;
}

}  // namespace gantry::codec
