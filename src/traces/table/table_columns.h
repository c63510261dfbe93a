#pragma once

// The columns of a span table: texts by dictionary, rare numbers, attributes by key and type. All
// of them: one writer, any number of readers of what was there before.

#include <atomic>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>

#include "core/arena.h"
#include "telemetry/span_batch.h"
#include "traceql/span_source.h"
#include "traces/stored_group.h"
#include "traces/table/growing_array.h"
#include "traces/table/hash_index.h"

namespace gantry::traces {

/// What the columns of one table share. One writer; any thread may ask how much it is.
class TableMemory {
 public:
  /// As long-lived as this. Writer only.
  std::string_view copy(std::string_view text) {
    const std::string_view copied = arena_.copy(text);
    text_bytes_.store(arena_.allocated_bytes(), std::memory_order_relaxed);
    return copied;
  }

  [[nodiscard]] std::uint64_t bytes() const {
    return text_bytes_.load(std::memory_order_relaxed) +
           array_bytes.load(std::memory_order_relaxed);
  }

  std::atomic<std::uint64_t> array_bytes{0};  ///< Of arrays and indexes, which count themselves.

 private:
  core::Arena arena_;
  std::atomic<std::uint64_t> text_bytes_{0};
};

/// Distinct texts by number.
class TextDictionary {
 public:
  explicit TextDictionary(TableMemory& memory)
      : memory_(memory), texts_(memory.array_bytes), index_(memory.array_bytes) {}

  /// The text's number; copies it on first sight.
  std::uint32_t add(std::string_view text);

  [[nodiscard]] std::span<const std::string_view> texts() const { return texts_.all(); }

 private:
  TableMemory& memory_;
  GrowingArray<std::string_view> texts_;
  HashIndex index_;
  std::uint32_t newest_ = 0;
};

/// A text for every row.
class TextRows {
 public:
  explicit TextRows(TableMemory& memory) : ids_(memory.array_bytes), dictionary_(memory) {}

  void push_back(std::string_view text) { ids_.push_back(dictionary_.add(text)); }

  [[nodiscard]] std::uint32_t id(std::uint32_t row) const { return ids_[row]; }

  [[nodiscard]] std::string_view text(std::uint32_t row) const {
    return dictionary_.texts()[ids_[row]];
  }

  [[nodiscard]] traceql::TextColumn first(std::uint32_t rows) const {
    return {.ids = ids_.first(rows), .dictionary = dictionary_.texts()};
  }

 private:
  GrowingArray<std::uint32_t> ids_;
  TextDictionary dictionary_;
};

/// A number for the rows where it is not 0.
class RareRows {
 public:
  explicit RareRows(TableMemory& memory) : rows_(memory.array_bytes), values_(memory.array_bytes) {}

  /// Rows ascend.
  void add(std::uint32_t row, std::uint32_t value) {
    if (value == 0) return;
    rows_.push_back(row);
    values_.push_back(value);
  }

  [[nodiscard]] RareNumbers first(std::uint32_t rows) const;

 private:
  GrowingArray<std::uint32_t> rows_;
  GrowingArray<std::uint32_t> values_;
};

/// One attribute of one type.
class AttributeColumn {
 public:
  AttributeColumn(TableMemory& memory, std::string_view key, traceql::ColumnType type);

  [[nodiscard]] std::string_view key() const { return key_; }

  [[nodiscard]] traceql::ColumnType type() const { return type_; }

  /// Rows ascend; the value has the column's type.
  void add(std::uint32_t row, const telemetry::AttributeValue& value);

  /// What rows below `rows` have.
  [[nodiscard]] traceql::Column first(std::uint32_t rows) const;

  /// The column whose attribute came next the last time. Writer only.
  std::uint32_t following = HashIndex::kNone;

 private:
  [[nodiscard]] std::size_t size() const;

  std::string_view key_;
  traceql::ColumnType type_;
  GrowingArray<std::uint32_t> rows_;
  GrowingArray<std::uint32_t> ids_;
  GrowingArray<std::int64_t> ints_;
  GrowingArray<double> doubles_;
  GrowingArray<std::uint8_t> bools_;
  TextDictionary dictionary_;
};

/// The attributes of one table.
class AttributeColumns {
 public:
  explicit AttributeColumns(TableMemory& memory)
      : memory_(memory), columns_(memory.array_bytes), index_(memory.array_bytes) {}

  /// Hot: per attribute. Senders write the attributes of like spans in the same order, so the
  /// column that followed last time is tried before the index.
  void add(std::uint32_t row, std::span<const telemetry::SpanAttribute> attributes);

  [[nodiscard]] std::span<AttributeColumn* const> columns() const { return columns_.all(); }

 private:
  std::uint32_t find_or_make(std::string_view key, traceql::ColumnType type);

  TableMemory& memory_;
  std::deque<AttributeColumn> owned_;
  GrowingArray<AttributeColumn*> columns_;
  HashIndex index_;
  std::uint32_t first_ = HashIndex::kNone;
};

}  // namespace gantry::traces
