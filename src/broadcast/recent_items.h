#pragma once

// What was offered to destinations a short while ago, so that what comes back is not sent out
// again: Gantrys that send to each other, in whatever circle, come to rest.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace gantry::broadcast {

/// Remembers keys, at least the last `keys_max` and at most twice as many. What it has forgotten
/// passes once more and is then known again, here and at the next one in the circle. Hashes are
/// seeded: nobody can make up an item that is taken for another one. Thread-safe.
class RecentItems {
 public:
  /// Some seconds' worth of a busy stack; up to about 20 MB.
  explicit RecentItems(std::size_t keys_max = std::size_t{1} << 19);
  ~RecentItems();
  RecentItems(const RecentItems&) = delete;
  RecentItems& operator=(const RecentItems&) = delete;

  /// By index of `keys`: whether it was not known. All of them are from now on.
  [[nodiscard]] std::vector<bool> take_new(std::span<const std::uint64_t> keys);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::broadcast
