#pragma once

// An array that one thread appends to while others read what was there before, without locks.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace gantry::traces {

/// Address space without memory behind it; memory comes with `commit`.
class ReservedMemory {
 public:
  ReservedMemory() = default;
  ~ReservedMemory();
  ReservedMemory(const ReservedMemory&) = delete;
  ReservedMemory& operator=(const ReservedMemory&) = delete;

  /// Once.
  void reserve(std::size_t bytes);

  /// The first `bytes` may be used from now on.
  void commit(std::size_t bytes);

  [[nodiscard]] void* begin() const { return begin_; }

 private:
  void* begin_ = nullptr;
  std::size_t reserved_bytes_ = 0;
};

/// One writer; any number of readers beside it. Elements never change and views stay valid as long
/// as the array: a small array that grows is copied and its old memory kept, a large one grows in
/// place.
template <class T>
class GrowingArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  /// More is a bug of the owner, who bounds what it takes. 64 Mi.
  static constexpr std::size_t kSizeMax = std::size_t{1} << 26;

  /// `memory_bytes` counts what the array holds and must outlive it.
  explicit GrowingArray(std::atomic<std::uint64_t>& memory_bytes) : memory_bytes_(memory_bytes) {}

  GrowingArray(const GrowingArray&) = delete;
  GrowingArray& operator=(const GrowingArray&) = delete;

  /// Writer only. Visible to readers that learn of it by `size` or from the writer.
  void push_back(const T& value) {
    const std::size_t size = size_.load(std::memory_order_relaxed);
    if (size == capacity_) grow();
    written_[size] = value;
    size_.store(size + 1, std::memory_order_release);
  }

  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_acquire); }

  /// Below a size that the caller knows of.
  [[nodiscard]] const T& operator[](std::size_t at) const {
    return data_.load(std::memory_order_acquire)[at];
  }

  /// The first `count` elements; the caller knows that there are so many.
  [[nodiscard]] std::span<const T> first(std::size_t count) const {
    return {data_.load(std::memory_order_acquire), count};
  }

  [[nodiscard]] std::span<const T> all() const { return first(size()); }

 private:
  static constexpr std::size_t kSmallBytesMax = 64 << 10;
  static constexpr std::size_t kCommitBytes = 1 << 20;

  void grow() {
    const std::size_t bytes = capacity_ * sizeof(T);
    if (bytes < kSmallBytesMax) {
      const std::size_t next = capacity_ == 0 ? 8 : capacity_ * 2;
      auto larger = std::make_unique_for_overwrite<T[]>(next);
      move_to(larger.get(), next);
      kept_.push_back(std::move(larger));
      memory_bytes_.fetch_add(next * sizeof(T), std::memory_order_relaxed);
      return;
    }
    GANTRY_ASSERT(capacity_ < kSizeMax, "the owner bounds its rows");
    if (large_.begin() == nullptr) large_.reserve(kSizeMax * sizeof(T));
    const std::size_t wanted =
        std::min(bytes + std::min(bytes, kCommitBytes), kSizeMax * sizeof(T));
    large_.commit(wanted);
    memory_bytes_.fetch_add(wanted - large_bytes_, std::memory_order_relaxed);
    large_bytes_ = wanted;
    T* const begin = static_cast<T*>(large_.begin());
    if (written_ == begin) {
      capacity_ = wanted / sizeof(T);
    } else {
      move_to(begin, wanted / sizeof(T));
    }
  }

  void move_to(T* to, std::size_t capacity) {
    const std::size_t size = size_.load(std::memory_order_relaxed);
    if (size > 0) std::memcpy(static_cast<void*>(to), written_, size * sizeof(T));
    written_ = to;
    capacity_ = capacity;
    data_.store(to, std::memory_order_release);
  }

  std::atomic<std::uint64_t>& memory_bytes_;
  T* written_ = nullptr;
  std::size_t capacity_ = 0;
  std::vector<std::unique_ptr<T[]>> kept_;
  ReservedMemory large_;
  std::size_t large_bytes_ = 0;
  std::atomic<T*> data_{nullptr};
  std::atomic<std::size_t> size_{0};
};

}  // namespace gantry::traces
