#include "pipeline/sampling.h"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/sha256.h"

namespace gantry::pipeline {

bool is_sampled(std::string_view owner, std::string_view key, double rate) {
  if (rate >= 1) return true;
  if (!(rate > 0)) return false;
  constexpr std::string_view kSeparator("\0", 1);
  const core::Sha256Digest digest = core::sha256({owner, kSeparator, key});
  std::uint64_t position = 0;
  for (std::size_t i = 0; i < sizeof(position); ++i) position = (position << 8U) | digest[i];
  // In integers, for a double has no room for 64 bits: position < rate * 2^64 exactly.
  return position < static_cast<std::uint64_t>(std::ceil(std::ldexp(rate, 64)));
}

}  // namespace gantry::pipeline
