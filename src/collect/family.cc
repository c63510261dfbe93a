#include "collect/family.h"

#include <algorithm>
#include <utility>

namespace gantry::collect {
namespace {

telemetry::MetricType telemetry_type(core::MetricType type) {
  switch (type) {
    case core::MetricType::Counter:
      return telemetry::MetricType::Counter;
    case core::MetricType::Gauge:
      return telemetry::MetricType::Gauge;
    case core::MetricType::Histogram:
      return telemetry::MetricType::Histogram;
  }
  return telemetry::MetricType::Unknown;
}

}  // namespace

void FamilySet::add(std::string_view name, std::string_view help, telemetry::MetricType type,
                    core::MetricLabels labels, double value) {
  // Samples of one family mostly come in a row, and neighbours (per device) alternate.
  const auto found = std::find_if(families_.rbegin(), families_.rend(),
                                  [&](const Family& family) { return family.name == name; });
  Family* family = found == families_.rend() ? nullptr : &*found;
  if (family == nullptr) {
    families_.push_back(
        {.name = std::string(name), .help = std::string(help), .type = type, .samples = {}});
    family = &families_.back();
  }
  family->samples.push_back(
      {.name = std::string(name), .labels = std::move(labels), .value = value});
}

std::vector<Family> own_families(const core::MetricRegistry& registry) {
  std::vector<Family> families;
  for (core::CollectedFamily& collected : registry.collect()) {
    Family family{.name = std::move(collected.name),
                  .help = std::move(collected.help),
                  .type = telemetry_type(collected.type),
                  .samples = {}};
    family.samples.reserve(collected.samples.size());
    for (core::CollectedSample& sample : collected.samples) {
      family.samples.push_back({.name = std::move(sample.name),
                                .labels = std::move(sample.labels),
                                .value = sample.value});
    }
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace gantry::collect
