#pragma once

// Randomness for secrets, as text.

#include <cstddef>
#include <string>

namespace gantry::access {

/// `bytes` random bytes as twice as many lower-case hexadecimal digits.
[[nodiscard]] std::string random_hexadecimal(std::size_t bytes);

}  // namespace gantry::access
