#pragma once

// A set of hashes that says "no" for certain and "yes" with a small error: the split block Bloom
// filter of Apache Parquet (BloomFilter.md there). One cache line per question.
//
// Format: docs/formats.md, "Hash filters".

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gantry::storage {

inline constexpr std::size_t kHashFilterBlockBytes = 32;

/// Wrong about 1 % of the questions at 10 bits per hash, 0.5 % at 12. Nothing for no hashes. The
/// same hash may come several times.
[[nodiscard]] std::vector<std::byte> make_hash_filter(std::span<const std::uint64_t> hashes,
                                                      unsigned bits_per_hash);

/// Whether the filter's size is possible: what make_hash_filter returns has such a size.
[[nodiscard]] constexpr bool is_hash_filter_size(std::size_t bytes) {
  return bytes % kHashFilterBlockBytes == 0;
}

/// `filter`: of a possible size. Hot: per look-up.
[[nodiscard]] bool may_contain(std::span<const std::byte> filter, std::uint64_t hash);

}  // namespace gantry::storage
