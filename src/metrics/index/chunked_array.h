#pragma once

// An array that grows without moving its elements, so that readers need no lock.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/error.h"

namespace gantry::metrics {

/// Elements are value-initialised when their chunk is made. `grow` is for one writer at a time;
/// elements below a size that a reader learned from the writer (through a lock or an acquire) may
/// be read by any number of threads meanwhile.
template <class T, unsigned kChunkLog2 = 12, std::size_t kChunksMax = 65536>
class ChunkedArray {
 public:
  static constexpr std::uint64_t kSizeMax = std::uint64_t{kChunksMax} << kChunkLog2;

  ChunkedArray() : chunks_(std::make_unique<std::array<std::atomic<T*>, kChunksMax>>()) {}

  ~ChunkedArray() {
    for (std::size_t chunk = 0; chunk < chunk_count_; ++chunk) {
      delete[] (*chunks_)[chunk].load(std::memory_order_relaxed);
    }
  }

  ChunkedArray(const ChunkedArray&) = delete;
  ChunkedArray& operator=(const ChunkedArray&) = delete;

  [[nodiscard]] T& operator[](std::uint32_t index) const {
    return (*chunks_)[index >> kChunkLog2].load(std::memory_order_acquire)[index & kMask];
  }

  [[nodiscard]] std::uint32_t size() const { return size_.load(std::memory_order_acquire); }

  /// Makes room for one more element and returns its index; readers see it once `publish` has run.
  [[nodiscard]] std::uint32_t add() {
    const std::uint32_t index = size_.load(std::memory_order_relaxed) + pending_;
    GANTRY_ASSERT(index < kSizeMax, "the limits on series keep ids far below this");
    if ((index >> kChunkLog2) == chunk_count_) {
      (*chunks_)[chunk_count_].store(new T[std::size_t{1} << kChunkLog2](),
                                     std::memory_order_release);
      ++chunk_count_;
    }
    ++pending_;
    return index;
  }

  void publish() {
    size_.store(size_.load(std::memory_order_relaxed) + pending_, std::memory_order_release);
    pending_ = 0;
  }

  [[nodiscard]] std::size_t allocated_bytes() const {
    return (chunk_count_ << kChunkLog2) * sizeof(T) + kChunksMax * sizeof(T*);
  }

 private:
  static constexpr std::uint32_t kMask = (std::uint32_t{1} << kChunkLog2) - 1;

  std::unique_ptr<std::array<std::atomic<T*>, kChunksMax>> chunks_;
  std::size_t chunk_count_ = 0;
  std::uint32_t pending_ = 0;
  std::atomic<std::uint32_t> size_{0};
};

}  // namespace gantry::metrics
