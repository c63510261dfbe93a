#pragma once

#include <string_view>

namespace gantry::core {

/// Gantry's own version, "0.1.0".
[[nodiscard]] std::string_view version();

/// The revision it was built from, or "unknown".
[[nodiscard]] std::string_view revision();

/// What /api/v1/status/buildinfo reports: Grafana reads it as a Prometheus version and enables
/// features by it.
[[nodiscard]] std::string_view prometheus_compatible_version();

}  // namespace gantry::core
