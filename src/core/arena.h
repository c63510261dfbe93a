#pragma once

// Memory that is freed whole: strings and arrays that live as long as one request.

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace gantry::core {

/// Bump allocator for bytes. Views stay valid until `clear` or destruction; moving the arena keeps
/// them. Not thread-safe.
class Arena {
 public:
  /// Uninitialised bytes, aligned to 8.
  [[nodiscard]] char* allocate(std::size_t bytes);

  /// Copies `text` and returns the copy.
  std::string_view copy(std::string_view text);

  /// Forgets everything but keeps the first block for reuse.
  void clear();

  [[nodiscard]] std::size_t allocated_bytes() const { return allocated_bytes_; }

 private:
  static constexpr std::size_t kBlockBytes = 64 << 10;

  std::vector<std::unique_ptr<char[]>> blocks_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t first_block_bytes_ = 0;
  std::size_t allocated_bytes_ = 0;
};

}  // namespace gantry::core
