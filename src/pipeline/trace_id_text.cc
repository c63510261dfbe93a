#include "pipeline/trace_id_text.h"

#include <cstdint>
#include <string_view>

namespace gantry::pipeline {

std::string trace_id_text(const telemetry::TraceId& trace_id) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : trace_id.bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 0xf]);
  }
  const std::size_t first = text.find_first_not_of('0');
  return first == std::string::npos ? std::string() : text.substr(first);
}

}  // namespace gantry::pipeline
