#pragma once

// Every label name and value of a store once, as a 32-bit symbol.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/arena.h"
#include "metrics/index/chunked_array.h"
#include "metrics/index/id_table.h"

namespace gantry::metrics {

/// Ids are never given to another text. `text` may be called by any thread for an id it has got
/// from a lock-protected place; everything else needs the owner's lock. A text's bytes stay where
/// they are until `compact` hands the old arena to the caller, who keeps it as long as readers may
/// hold views.
class SymbolTable {
 public:
  static constexpr std::uint32_t kNone = IdTable::kNone;

  SymbolTable() : arena_(std::make_unique<core::Arena>()) {}

  [[nodiscard]] std::string_view text(std::uint32_t symbol) const {
    const Symbol& entry = symbols_[symbol];
    return {entry.data.load(std::memory_order_acquire), entry.size_bytes};
  }

  /// kNone when no live symbol has this text.
  [[nodiscard]] std::uint32_t find(std::string_view text) const;

  /// Finds or adds. A new symbol has no references.
  std::uint32_t intern(std::string_view text);

  void add_reference(std::uint32_t symbol) { ++symbols_[symbol].references; }

  /// A symbol that nobody refers to is no longer found; its id stays a hole.
  void drop_reference(std::uint32_t symbol);

  /// Moves the live texts to a new arena and returns the old one.
  [[nodiscard]] std::unique_ptr<core::Arena> compact();

  /// Live symbols, and the number of ids given out so far.
  [[nodiscard]] std::size_t live_count() const { return index_.size(); }

  [[nodiscard]] std::uint32_t id_count() const { return symbols_.size(); }

  [[nodiscard]] std::size_t live_text_bytes() const { return live_text_bytes_; }

  [[nodiscard]] std::size_t arena_bytes() const { return arena_->allocated_bytes(); }

  [[nodiscard]] std::size_t allocated_bytes() const {
    return arena_bytes() + symbols_.allocated_bytes() + index_.allocated_bytes();
  }

 private:
  struct Symbol {
    std::atomic<const char*> data{nullptr};
    std::uint32_t size_bytes = 0;
    std::uint32_t references = 0;
  };

  ChunkedArray<Symbol> symbols_;
  IdTable index_;
  std::unique_ptr<core::Arena> arena_;
  std::size_t live_text_bytes_ = 0;
};

}  // namespace gantry::metrics
