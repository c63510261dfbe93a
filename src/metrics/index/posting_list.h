#pragma once

// Ascending series ids that have one label pair. Two ids fit without an allocation, because most
// pairs of an identifying label belong to one or two series.

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace gantry::metrics {

class PostingList {
 public:
  PostingList() = default;

  ~PostingList() { release(); }

  PostingList(PostingList&& other) noexcept
      : size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, kInlineCapacity)),
        storage_(other.storage_) {}

  PostingList& operator=(PostingList&& other) noexcept {
    if (this != &other) {
      release();
      size_ = std::exchange(other.size_, 0);
      capacity_ = std::exchange(other.capacity_, kInlineCapacity);
      storage_ = other.storage_;
    }
    return *this;
  }

  PostingList(const PostingList&) = delete;
  PostingList& operator=(const PostingList&) = delete;

  /// `id` is greater than every id in the list.
  void append(std::uint32_t id);

  /// Keeps the ids for which `keep(id)` holds.
  template <class Keep>
  void filter(const Keep& keep) {
    std::uint32_t* const out = ids_mutable();
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < size_; ++i) {
      if (keep(out[i])) out[kept++] = out[i];
    }
    size_ = kept;
    shrink();
  }

  [[nodiscard]] std::span<const std::uint32_t> ids() const {
    return {is_inline() ? storage_.inlined : storage_.heap, size_};
  }

  [[nodiscard]] std::size_t size() const { return size_; }

  /// Beside the object itself.
  [[nodiscard]] std::size_t heap_bytes() const {
    return is_inline() ? 0 : capacity_ * sizeof(std::uint32_t);
  }

 private:
  static constexpr std::uint32_t kInlineCapacity = 2;

  union Storage {
    std::uint32_t inlined[kInlineCapacity];
    std::uint32_t* heap;
  };

  [[nodiscard]] bool is_inline() const { return capacity_ == kInlineCapacity; }

  std::uint32_t* ids_mutable() { return is_inline() ? storage_.inlined : storage_.heap; }

  void reallocate(std::uint32_t capacity);
  void shrink();

  void release() {
    if (!is_inline()) delete[] storage_.heap;
    capacity_ = kInlineCapacity;
  }

  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = kInlineCapacity;
  Storage storage_{};
};

}  // namespace gantry::metrics
