#pragma once

// What was read from files and decoded, shared by all readers and bounded in bytes.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace gantry::storage {

/// Immutable once it is in a cache.
class CacheItem {
 public:
  CacheItem() = default;
  CacheItem(const CacheItem&) = delete;
  CacheItem& operator=(const CacheItem&) = delete;
  virtual ~CacheItem() = default;

  /// Of everything it owns. The same for all its life.
  [[nodiscard]] virtual std::size_t memory_bytes() const = 0;
};

/// Thread-safe. Least recently used items go first (by a clock hand, per shard). What a reader
/// holds stays valid after it was pushed out.
class ItemCache {
 public:
  explicit ItemCache(std::size_t bytes_max);
  ~ItemCache();
  ItemCache(const ItemCache&) = delete;
  ItemCache& operator=(const ItemCache&) = delete;

  /// A number for the items of one file or directory that no other owner has had.
  [[nodiscard]] std::uint64_t make_owner_id();

  /// `number` names one of the owner's items; the owner knows of which type it is. Null: not here.
  [[nodiscard]] std::shared_ptr<const CacheItem> find(std::uint64_t owner, std::uint64_t number);
  void insert(std::uint64_t owner, std::uint64_t number, std::shared_ptr<const CacheItem> item);

  /// Forgets an owner's items.
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

}  // namespace gantry::storage
