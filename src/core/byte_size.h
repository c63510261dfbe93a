#pragma once

// Sizes as operators write them: "64MiB", "10MB", "4096".

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace gantry::core {

/// A count of bytes with an optional unit: B, KB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB
/// (powers of 1024).
[[nodiscard]] Result<std::uint64_t> parse_byte_size(std::string_view text);

/// The largest binary unit that divides it exactly: "64MiB", "1000B".
[[nodiscard]] std::string format_byte_size(std::uint64_t bytes);

}  // namespace gantry::core
