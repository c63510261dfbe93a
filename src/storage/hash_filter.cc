#include "storage/hash_filter.h"

#include <array>

#include "core/error.h"
#include "storage/byte_order.h"

namespace gantry::storage {
namespace {

constexpr std::size_t kLanes = 8;
// Parquet's: odd numbers, one per lane of a block.
constexpr std::array<std::uint32_t, kLanes> kSalt = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU,
                                                     0xa2b7289dU, 0x705495c7U, 0x2df1424bU,
                                                     0x9efc4947U, 0x5c6bfb31U};

std::size_t block_offset(std::uint64_t hash, std::size_t blocks) {
  return static_cast<std::size_t>(((hash >> 32) * blocks) >> 32) * kHashFilterBlockBytes;
}

std::uint32_t lane_bit(std::uint64_t hash, std::size_t lane) {
  const std::uint32_t product = static_cast<std::uint32_t>(hash) * kSalt[lane];
  return 1U << (product >> 27);
}

}  // namespace

std::vector<std::byte> make_hash_filter(std::span<const std::uint64_t> hashes,
                                        unsigned bits_per_hash) {
  const std::size_t bytes = hashes.size() * bits_per_hash / 8;
  const std::size_t blocks = (bytes + kHashFilterBlockBytes - 1) / kHashFilterBlockBytes;
  std::vector<std::byte> filter(blocks * kHashFilterBlockBytes);
  for (const std::uint64_t hash : hashes) {
    std::byte* block = filter.data() + block_offset(hash, blocks);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      std::byte* at = block + lane * sizeof(std::uint32_t);
      store_le(at, load_le<std::uint32_t>(at) | lane_bit(hash, lane));
    }
  }
  return filter;
}

bool may_contain(std::span<const std::byte> filter, std::uint64_t hash) {
  GANTRY_DEBUG_ASSERT(is_hash_filter_size(filter.size()), "the caller has checked the size");
  if (filter.empty()) return false;
  const std::byte* block =
      filter.data() + block_offset(hash, filter.size() / kHashFilterBlockBytes);
  bool found = true;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const auto bits = load_le<std::uint32_t>(block + lane * sizeof(std::uint32_t));
    found &= (bits & lane_bit(hash, lane)) != 0;
  }
  return found;
}

}  // namespace gantry::storage
