#include "access/random_text.h"

#include <fmt/core.h>
#include <sodium.h>

namespace gantry::access {

std::string random_hexadecimal(std::size_t bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text += fmt::format("{:02x}", randombytes_uniform(256));
  return text;
}

}  // namespace gantry::access
