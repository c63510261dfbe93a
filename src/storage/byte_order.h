#pragma once

// Fixed-width little-endian numbers, as every format of ours has them.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <vector>

namespace gantry::storage {

static_assert(std::endian::native == std::endian::little,
              "formats are little-endian and copied as they are");

template <std::unsigned_integral T>
[[nodiscard]] inline T load_le(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <std::unsigned_integral T>
inline void store_le(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

template <std::unsigned_integral T>
inline void append_le(std::vector<std::byte>& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof(T));
  store_le(out.data() + at, value);
}

}  // namespace gantry::storage
