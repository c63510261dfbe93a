#include "broadcast/testing/conformance.h"

#include <cstdlib>
#include <fstream>
#include <string>

namespace gantry::broadcast::testing {

std::optional<nlohmann::json> read_conformance_json(std::string_view name) {
  const char* const directory = std::getenv("GANTRY_CONFORMANCE_DIR");
  std::string path = directory != nullptr ? directory : GANTRY_CONFORMANCE_DEFAULT;
  std::ifstream file(path.append("/broadcast/").append(name), std::ios::binary);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

}  // namespace gantry::broadcast::testing
