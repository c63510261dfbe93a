#include "core/md5.h"

#include <bit>
#include <cstddef>
#include <string>

namespace gantry::core {
namespace {

constexpr std::size_t kBlockBytes = 64;

/// RFC 1321, 3.4: the integer part of 2^32 |sin(i + 1)|.
constexpr std::array<std::uint32_t, 64> kSines = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

/// How far each of a round's steps rotates, in turn.
constexpr std::array<std::array<int, 4>, 4> kRotations = {
    {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};

using State = std::array<std::uint32_t, 4>;

std::uint32_t mixed(std::size_t round, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  if (round == 0) return (b & c) | (~b & d);
  if (round == 1) return (d & b) | (~d & c);
  if (round == 2) return b ^ c ^ d;
  return c ^ (b | ~d);
}

/// The word of the block that the step takes.
std::size_t word_of(std::size_t step) {
  constexpr std::array<std::size_t, 4> kFactors = {1, 5, 3, 7};
  constexpr std::array<std::size_t, 4> kOffsets = {0, 1, 5, 0};
  return (kFactors[step / 16] * step + kOffsets[step / 16]) % 16;
}

void add_block(State& state, std::string_view block) {
  std::array<std::uint32_t, 16> words{};
  for (std::size_t i = 0; i < kBlockBytes; ++i)
    words[i / 4] |= std::uint32_t{static_cast<unsigned char>(block[i])} << (8 * (i % 4));
  auto [a, b, c, d] = state;
  for (std::size_t step = 0; step < kSines.size(); ++step) {
    const std::size_t round = step / 16;
    const std::uint32_t sum = a + mixed(round, b, c, d) + kSines[step] + words[word_of(step)];
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kRotations[round][step % 4]);
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}

}  // namespace

Md5Digest md5(std::string_view text) {
  State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const std::uint64_t bit_count = std::uint64_t{text.size()} * 8;
  for (; text.size() >= kBlockBytes; text.remove_prefix(kBlockBytes))
    add_block(state, text.substr(0, kBlockBytes));

  // The rest, a one bit, zeros, and the length in the last eight bytes of a block.
  std::string tail(text);
  tail.push_back('\x80');
  while (tail.size() % kBlockBytes != kBlockBytes - 8) tail.push_back('\0');
  for (std::size_t i = 0; i < 8; ++i) tail.push_back(static_cast<char>(bit_count >> (8 * i)));
  for (std::size_t i = 0; i < tail.size(); i += kBlockBytes)
    add_block(state, std::string_view(tail).substr(i, kBlockBytes));

  Md5Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<std::uint8_t>(state[i / 4] >> (8 * (i % 4)));
  return digest;
}

}  // namespace gantry::core
