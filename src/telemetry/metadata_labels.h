#pragma once

// The labels that carry what the metadata of a metric says (Prometheus: type-and-unit-labels). They
// come and go with the metric name.

#include <string_view>

namespace gantry::telemetry {

inline constexpr std::string_view kTypeLabel = "__type__";
inline constexpr std::string_view kUnitLabel = "__unit__";

}  // namespace gantry::telemetry
