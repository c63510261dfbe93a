#pragma once

// SHA-256, where a digest is part of a contract with others: ids, sampling decisions. Not for
// passwords or tokens (access/ has those).

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace gantry::core {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// Of the parts one after the other, with nothing between them.
[[nodiscard]] Sha256Digest sha256(std::initializer_list<std::string_view> parts);

}  // namespace gantry::core
