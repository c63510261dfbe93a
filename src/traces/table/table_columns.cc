#include "traces/table/table_columns.h"

#include <algorithm>

#include "core/hash.h"

namespace gantry::traces {
namespace {

using telemetry::AttributeValue;
using traceql::ColumnType;

std::uint64_t hash_of(std::string_view text) {
  return core::hash64(text, core::process_hash_seed());
}

ColumnType type_of(AttributeValue::Kind kind) {
  switch (kind) {
    case AttributeValue::Kind::String:
      return ColumnType::String;
    case AttributeValue::Kind::Bool:
      return ColumnType::Bool;
    case AttributeValue::Kind::Int:
      return ColumnType::Int;
    case AttributeValue::Kind::Double:
      return ColumnType::Double;
    case AttributeValue::Kind::Encoded:
      return ColumnType::Encoded;
  }
  return ColumnType::Encoded;
}

/// How many of the ascending `rows` are below `end`. Mostly all of them are.
std::size_t count_below(std::span<const std::uint32_t> rows, std::uint32_t end) {
  if (rows.empty() || rows.back() < end) return rows.size();
  return static_cast<std::size_t>(std::ranges::lower_bound(rows, end) - rows.begin());
}

}  // namespace

std::uint32_t TextDictionary::add(std::string_view text) {
  const auto is_it = [&](std::uint32_t number) { return texts_[number] == text; };
  const std::size_t size = texts_.size();
  if (newest_ < size && is_it(newest_)) return newest_;
  const std::uint64_t hash = hash_of(text);
  newest_ = index_.find(hash, is_it);
  if (newest_ != HashIndex::kNone) return newest_;
  newest_ = static_cast<std::uint32_t>(size);
  texts_.push_back(memory_.copy(text));
  index_.insert(hash, newest_);
  return newest_;
}

RareNumbers RareRows::first(std::uint32_t rows) const {
  // The values are pushed last: so many rows are there too.
  const std::size_t size = values_.size();
  const std::size_t count = count_below(rows_.first(size), rows);
  return {.rows = rows_.first(count), .values = values_.first(count)};
}

AttributeColumn::AttributeColumn(TableMemory& memory, std::string_view key, ColumnType type)
    : key_(key),
      type_(type),
      rows_(memory.array_bytes),
      ids_(memory.array_bytes),
      ints_(memory.array_bytes),
      doubles_(memory.array_bytes),
      bools_(memory.array_bytes),
      dictionary_(memory) {}

void AttributeColumn::add(std::uint32_t row, const AttributeValue& value) {
  // The row first: a reader goes by the number of values.
  rows_.push_back(row);
  switch (type_) {
    case ColumnType::String:
    case ColumnType::Encoded:
      ids_.push_back(dictionary_.add(value.text));
      return;
    case ColumnType::Int:
      ints_.push_back(value.integer);
      return;
    case ColumnType::Double:
      doubles_.push_back(value.number);
      return;
    case ColumnType::Bool:
      bools_.push_back(value.boolean ? 1 : 0);
      return;
  }
}

std::size_t AttributeColumn::size() const {
  switch (type_) {
    case ColumnType::String:
    case ColumnType::Encoded:
      return ids_.size();
    case ColumnType::Int:
      return ints_.size();
    case ColumnType::Double:
      return doubles_.size();
    case ColumnType::Bool:
      return bools_.size();
  }
  return 0;
}

traceql::Column AttributeColumn::first(std::uint32_t rows) const {
  const std::size_t count = count_below(rows_.first(size()), rows);
  traceql::Column column{.type = type_, .is_dense = count > 0 && count == rows};
  if (!column.is_dense) column.rows = rows_.first(count);
  switch (type_) {
    case ColumnType::String:
    case ColumnType::Encoded:
      column.ids = ids_.first(count);
      column.dictionary = dictionary_.texts();
      break;
    case ColumnType::Int:
      column.ints = ints_.first(count);
      break;
    case ColumnType::Double:
      column.doubles = doubles_.first(count);
      break;
    case ColumnType::Bool:
      column.bools = bools_.first(count);
      break;
  }
  return column;
}

std::uint32_t AttributeColumns::find_or_make(std::string_view key, ColumnType type) {
  const std::uint64_t hash =
      core::hash64(key, core::process_hash_seed() + static_cast<std::uint64_t>(type));
  const std::uint32_t found = index_.find(hash, [&](std::uint32_t number) {
    return columns_[number]->type() == type && columns_[number]->key() == key;
  });
  if (found != HashIndex::kNone) return found;
  const auto number = static_cast<std::uint32_t>(columns_.size());
  columns_.push_back(&owned_.emplace_back(memory_, memory_.copy(key), type));
  index_.insert(hash, number);
  return number;
}

void AttributeColumns::add(std::uint32_t row,
                           std::span<const telemetry::SpanAttribute> attributes) {
  std::uint32_t* expected = &first_;
  for (const telemetry::SpanAttribute& attribute : attributes) {
    const ColumnType type = type_of(attribute.value.kind);
    const bool is_expected = *expected != HashIndex::kNone && columns_[*expected]->type() == type &&
                             columns_[*expected]->key() == attribute.key;
    if (!is_expected) *expected = find_or_make(attribute.key, type);
    AttributeColumn& column = *columns_[*expected];
    column.add(row, attribute.value);
    expected = &column.following;
  }
}

}  // namespace gantry::traces
