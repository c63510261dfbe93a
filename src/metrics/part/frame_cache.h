#pragma once

// Decompressed, verified frames of parts, shared by all queries of a store and bounded in bytes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "storage/item_cache.h"

namespace gantry::metrics {

using Frame = std::vector<std::byte>;

/// Thread-safe. An ItemCache of frames.
class FrameCache {
 public:
  using Statistics = storage::ItemCache::Statistics;

  explicit FrameCache(std::size_t bytes_max) : items_(bytes_max) {}

  /// A number for a part's frames that no other part has had.
  [[nodiscard]] std::uint64_t make_owner_id() { return items_.make_owner_id(); }

  [[nodiscard]] std::shared_ptr<const Frame> find(std::uint64_t owner, std::uint32_t frame);
  void insert(std::uint64_t owner, std::uint32_t frame, std::shared_ptr<const Frame> bytes);

  /// Forgets a part's frames.
  void erase(std::uint64_t owner) { items_.erase(owner); }

  [[nodiscard]] Statistics statistics() const { return items_.statistics(); }

 private:
  storage::ItemCache items_;
};

}  // namespace gantry::metrics
