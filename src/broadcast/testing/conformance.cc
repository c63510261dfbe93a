#include "broadcast/testing/conformance.h"

#include <fstream>
#include <string>

namespace gantry::broadcast::testing {

std::optional<nlohmann::json> read_conformance_json(std::string_view name) {
  std::ifstream file(std::string(GANTRY_BROADCAST_CASES "/").append(name), std::ios::binary);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

}  // namespace gantry::broadcast::testing
