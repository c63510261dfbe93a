#include "pipeline/testing/broadcast_tables.h"

#include <fstream>
#include <string>

namespace gantry::pipeline::testing {

std::optional<nlohmann::json> read_broadcast_table(std::string_view name) {
  std::ifstream file(std::string(GANTRY_BROADCAST_CASES "/").append(name), std::ios::binary);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

}  // namespace gantry::pipeline::testing
