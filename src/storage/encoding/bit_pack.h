#pragma once

// Unsigned numbers in a fixed number of bits each, back to back, the lowest bit first.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gantry::storage {

[[nodiscard]] constexpr unsigned bits_needed(std::uint64_t value) {
  return static_cast<unsigned>(std::bit_width(value));
}

/// At most 2^32 values.
[[nodiscard]] constexpr std::size_t packed_bytes(std::size_t count, unsigned width) {
  return (count * width + 7) / 8;
}

/// Appends `values`, all below 2^width. Hot: per sample.
void pack_bits(std::span<const std::uint64_t> values, unsigned width, std::vector<std::byte>& out);

/// The inverse: `bytes` has exactly packed_bytes(values.size(), width). Reads nothing else. Hot:
/// per sample.
void unpack_bits(std::span<const std::byte> bytes, unsigned width, std::span<std::uint64_t> values);

}  // namespace gantry::storage
