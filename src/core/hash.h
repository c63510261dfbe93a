#pragma once

// Hashes for tables and fingerprints (XXH3; never for secrets) and CRC-32C for what is on disk.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace gantry::core {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend constexpr auto operator<=>(const Hash128&, const Hash128&) = default;
};

[[nodiscard]] std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);
[[nodiscard]] Hash128 hash128(std::string_view bytes, std::uint64_t seed = 0);

/// Random for each process, so that nobody outside can prepare colliding keys.
[[nodiscard]] std::uint64_t process_hash_seed();

/// CRC-32C (Castagnoli), as in iSCSI; SSE4.2 when the machine has it. `previous` continues an
/// earlier one.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous = 0);

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

}  // namespace gantry::core
