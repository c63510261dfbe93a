#include "storage/encoding/bit_pack.h"

#include <array>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace gantry::storage {
namespace {

// Values are unpacked in groups of 64: these begin and end at 64-bit words for every width.
constexpr std::size_t kGroup = 64;
constexpr unsigned kWidthMax = 64;

template <unsigned kWidth, std::size_t kIndex>
inline std::uint64_t extract(const std::uint64_t* words) {
  constexpr std::size_t kBit = kIndex * kWidth;
  constexpr std::size_t kWord = kBit / 64;
  constexpr unsigned kShift = kBit % 64;
  constexpr std::uint64_t kMask = kWidth == 64 ? ~0ULL : (1ULL << kWidth) - 1;
  std::uint64_t value = words[kWord] >> kShift;
  if constexpr (kShift + kWidth > 64) value |= words[kWord + 1] << (64 - kShift);
  return value & kMask;
}

template <unsigned kWidth, std::size_t... kIndex>
inline void extract_all(const std::uint64_t* words, std::uint64_t* values,
                        std::index_sequence<kIndex...> /*indices*/) {
  ((values[kIndex] = extract<kWidth, kIndex>(words)), ...);
}

/// Hot: per sample. The shifts are constants, so each value costs a load, a shift and a mask.
template <unsigned kWidth>
void unpack_group(const std::byte* bytes, std::uint64_t* values) {
  if constexpr (kWidth == 0) {
    std::memset(values, 0, kGroup * sizeof(*values));
  } else {
    std::array<std::uint64_t, kWidth> words;
    std::memcpy(words.data(), bytes, sizeof(words));
    extract_all<kWidth>(words.data(), values, std::make_index_sequence<kGroup>());
  }
}

using UnpackGroup = void (*)(const std::byte*, std::uint64_t*);

template <std::size_t... kWidth>
constexpr std::array<UnpackGroup, sizeof...(kWidth)> make_table(
    std::index_sequence<kWidth...> /*widths*/) {
  return {&unpack_group<static_cast<unsigned>(kWidth)>...};
}

constexpr auto kUnpackGroup = make_table(std::make_index_sequence<kWidthMax + 1>());

}  // namespace

void pack_bits(std::span<const std::uint64_t> values, unsigned width, std::vector<std::byte>& out) {
  GANTRY_DEBUG_ASSERT(width <= kWidthMax, "a value has at most 64 bits");
  if (width == 0) return;
  const std::size_t bytes = packed_bytes(values.size(), width);
  const std::size_t start = out.size();
  // Whole words are stored: room for the last one, given back below.
  out.resize(start + bytes + sizeof(std::uint64_t));
  std::byte* to = out.data() + start;
  std::uint64_t word = 0;
  unsigned fill = 0;
  for (const std::uint64_t value : values) {
    word |= value << fill;
    fill += width;
    if (fill < 64) continue;
    std::memcpy(to, &word, sizeof(word));
    to += sizeof(word);
    fill -= 64;
    // Bits of `value` that did not fit. A shift by 64 is not defined, and needed only if none.
    word = fill == 0 ? 0 : value >> (width - fill);
  }
  std::memcpy(to, &word, sizeof(word));
  out.resize(start + bytes);
}

void unpack_bits(std::span<const std::byte> bytes, unsigned width,
                 std::span<std::uint64_t> values) {
  GANTRY_DEBUG_ASSERT(width <= kWidthMax && bytes.size() == packed_bytes(values.size(), width),
                      "the caller has checked the sizes");
  const UnpackGroup unpack = kUnpackGroup[width];
  const std::size_t group_bytes = width * kGroup / 8;
  const std::byte* from = bytes.data();
  std::size_t at = 0;
  for (; at + kGroup <= values.size(); at += kGroup) {
    unpack(from, values.data() + at);
    from += group_bytes;
  }
  const std::size_t rest = values.size() - at;
  if (rest == 0) return;
  std::array<std::byte, kGroup * sizeof(std::uint64_t)> padded{};
  std::array<std::uint64_t, kGroup> unpacked;
  if (width > 0) std::memcpy(padded.data(), from, packed_bytes(rest, width));
  unpack(padded.data(), unpacked.data());
  std::memcpy(values.data() + at, unpacked.data(), rest * sizeof(std::uint64_t));
}

}  // namespace gantry::storage
