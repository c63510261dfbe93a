#include "core/arena.h"

#include <cstring>

namespace gantry::core {

char* Arena::allocate(std::size_t bytes) {
  bytes = (bytes + 7) & ~std::size_t{7};
  if (bytes > left_) {
    const std::size_t block_bytes = bytes > kBlockBytes / 4 ? bytes : kBlockBytes;
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(block_bytes));
    if (blocks_.size() == 1) first_block_bytes_ = block_bytes;
    allocated_bytes_ += block_bytes;
    // A large piece gets a block of its own and leaves the current one in use.
    if (block_bytes != kBlockBytes && left_ > 0) return blocks_.back().get();
    next_ = blocks_.back().get();
    left_ = block_bytes;
  }
  char* const piece = next_;
  next_ += bytes;
  left_ -= bytes;
  return piece;
}

std::string_view Arena::copy(std::string_view text) {
  if (text.empty()) return {};
  char* const piece = allocate(text.size());
  std::memcpy(piece, text.data(), text.size());
  return {piece, text.size()};
}

void Arena::clear() {
  if (blocks_.empty()) return;
  blocks_.resize(1);
  next_ = blocks_.front().get();
  left_ = first_block_bytes_;
  allocated_bytes_ = first_block_bytes_;
}

}  // namespace gantry::core
