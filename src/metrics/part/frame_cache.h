#pragma once

// Decompressed, verified frames of parts, shared by all queries of a store and bounded in bytes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gantry::metrics {

using Frame = std::vector<std::byte>;

/// Thread-safe. Least recently used frames go first (by a clock hand, per shard).
class FrameCache {
 public:
  explicit FrameCache(std::size_t bytes_max);
  ~FrameCache();
  FrameCache(const FrameCache&) = delete;
  FrameCache& operator=(const FrameCache&) = delete;

  /// A number for a part's frames that no other part has had.
  [[nodiscard]] std::uint64_t make_owner_id();

  [[nodiscard]] std::shared_ptr<const Frame> find(std::uint64_t owner, std::uint32_t frame);
  void insert(std::uint64_t owner, std::uint32_t frame, std::shared_ptr<const Frame> bytes);

  /// Forgets a part's frames.
  void erase(std::uint64_t owner);

  struct Statistics {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_max = 0;
  };

  [[nodiscard]] Statistics statistics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::metrics
