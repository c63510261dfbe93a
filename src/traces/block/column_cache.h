#pragma once

// Decoded columns of blocks, shared by all queries of a store and bounded in bytes.

#include <cstddef>
#include <cstdint>
#include <memory>

namespace gantry::traces {

struct DecodedColumn;

/// Thread-safe. Least recently used columns go first (by a clock hand, per shard). What a reader
/// holds stays valid after it was pushed out.
class ColumnCache {
 public:
  explicit ColumnCache(std::size_t bytes_max);
  ~ColumnCache();
  ColumnCache(const ColumnCache&) = delete;
  ColumnCache& operator=(const ColumnCache&) = delete;

  /// A number for a block's columns that no other block has had.
  [[nodiscard]] std::uint64_t make_owner_id();

  /// `column` names a column of the block.
  [[nodiscard]] std::shared_ptr<const DecodedColumn> find(std::uint64_t owner,
                                                          std::uint64_t column);
  void insert(std::uint64_t owner, std::uint64_t column,
              std::shared_ptr<const DecodedColumn> decoded);

  /// Forgets a block's columns.
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

}  // namespace gantry::traces
