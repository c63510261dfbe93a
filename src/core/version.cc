#include "core/version.h"

namespace gantry::core {

std::string_view version() {
  return GANTRY_VERSION;
}

std::string_view revision() {
  return GANTRY_REVISION;
}

std::string_view prometheus_compatible_version() {
  return "3.14.0+gantry." GANTRY_VERSION;
}

}  // namespace gantry::core
