#pragma once

// An open block's file, as its reader and the groups it opened share it.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "storage/checksummed_file.h"
#include "storage/file.h"
#include "storage/item_cache.h"
#include "traces/block/block_format.h"
#include "traces/stored_group.h"

namespace gantry::traces {

/// Thread-safe. Whoever opened the file outlives what refers to it.
class BlockFile {
 public:
  BlockFile(storage::Path path, std::unique_ptr<storage::FrameReader> frames,
            storage::ItemCache& cache)
      : path_(std::move(path)),
        frames_(std::move(frames)),
        cache_(cache),
        owner_(cache.make_owner_id()) {}

  ~BlockFile() { cache_.erase(owner_); }

  BlockFile(const BlockFile&) = delete;
  BlockFile& operator=(const BlockFile&) = delete;

  [[nodiscard]] const storage::FrameReader& frames() const { return *frames_; }

  /// A frame, read and verified. DataLoss also marks the file.
  Result<std::vector<std::byte>> read(std::uint32_t frame) const;

  /// DataLoss; marks the file.
  [[nodiscard]] std::unexpected<Error> damaged(std::string_view what) const;

  [[nodiscard]] bool is_damaged() const { return is_damaged_.load(std::memory_order_relaxed); }

  /// `item`: made by one of the functions below.
  template <class T>
  [[nodiscard]] std::shared_ptr<const T> find(std::uint64_t item) const {
    return std::static_pointer_cast<const T>(cache_.find(owner_, item));
  }

  void keep(std::uint64_t item, std::shared_ptr<const storage::CacheItem> value) const {
    cache_.insert(owner_, item, std::move(value));
  }

 private:
  const storage::Path path_;
  const std::unique_ptr<storage::FrameReader> frames_;
  storage::ItemCache& cache_;
  const std::uint64_t owner_;
  mutable std::atomic<bool> is_damaged_ = false;
};

// What the cache keeps of a block. The kind is in the name, so that no name has two types.

[[nodiscard]] constexpr std::uint64_t directory_item(std::uint32_t group) {
  return std::uint64_t{1} << 60 | group;
}

[[nodiscard]] constexpr std::uint64_t fixed_item(std::uint32_t group, FixedColumn column) {
  return std::uint64_t{2} << 60 | std::uint64_t{group} << 8 | static_cast<std::uint64_t>(column);
}

/// `attribute`: index into the directory; there are fewer than 2^28.
[[nodiscard]] constexpr std::uint64_t attribute_item(std::uint32_t group, std::size_t attribute) {
  return std::uint64_t{3} << 60 | std::uint64_t{group} << 28 | attribute;
}

[[nodiscard]] constexpr std::uint64_t trace_page_item(std::size_t page) {
  return std::uint64_t{4} << 60 | page;
}

[[nodiscard]] constexpr std::uint64_t filter_item(std::uint32_t frame) {
  return std::uint64_t{5} << 60 | frame;
}

/// The group's columns on demand. `file` outlives it.
[[nodiscard]] std::unique_ptr<StoredGroup> make_block_group(
    const BlockFile& file, std::uint32_t group, std::shared_ptr<const GroupDirectory> directory);

}  // namespace gantry::traces
