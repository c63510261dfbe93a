#pragma once

// MD5 (RFC 1321), where other programs have chosen it: Prometheus' hashmod. No protection against
// anybody.

#include <array>
#include <cstdint>
#include <string_view>

namespace gantry::core {

using Md5Digest = std::array<std::uint8_t, 16>;

[[nodiscard]] Md5Digest md5(std::string_view text);

}  // namespace gantry::core
