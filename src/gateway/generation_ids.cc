#include "gateway/generation_ids.h"

#include <array>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>
#include <sys/random.h>

#include "core/error.h"

namespace gantry::gateway {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::size_t kRandomCharacters = 20;

}  // namespace

std::string make_generation_id(TimestampMs now) {
  constexpr std::int64_t kMsPerSecond = 1000;
  std::string id = fmt::format("gen-{}-", now.since_epoch / kMsPerSecond);
  const std::size_t size = id.size() + kRandomCharacters;
  while (id.size() < size) {
    std::array<unsigned char, 32> bytes;
    const int failed = ::getentropy(bytes.data(), bytes.size());
    GANTRY_ASSERT(failed == 0, "the kernel has random numbers");
    for (const unsigned char byte : bytes) {
      // Six bits; those beyond the alphabet are thrown away, so that all letters are as likely.
      const std::size_t index = byte & 0x3fU;
      if (index < kAlphabet.size() && id.size() < size) id.push_back(kAlphabet[index]);
    }
  }
  return id;
}

}  // namespace gantry::gateway
