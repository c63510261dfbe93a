#pragma once

// A column as it is in memory. Which of the arrays are used depends on the column.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "storage/item_cache.h"
#include "telemetry/span_batch.h"

namespace gantry::traces {

class DecodedColumn final : public storage::CacheItem {
 public:
  std::vector<std::uint32_t> rows;   ///< Which have a value; empty if all have.
  std::vector<std::uint32_t> ids;    ///< Of texts, traces, resources, scopes, spans; rare numbers.
  std::vector<std::int64_t> ints;    ///< Times and durations, values of attributes.
  std::vector<std::uint64_t> words;  ///< Span ids, ends.
  std::vector<double> doubles;
  std::vector<std::uint8_t> bytes;  ///< Kinds, statuses, Bool values.
  std::vector<std::int32_t> left;
  std::vector<std::int32_t> right;
  std::vector<std::int32_t> parent;
  std::vector<telemetry::TraceId> trace_ids;
  std::vector<std::string_view> texts;  ///< A dictionary, of pieces of `text`.
  std::vector<char> text;
  bool is_dense = false;           ///< Every row has a value.
  std::uint64_t stored_bytes = 0;  ///< In the file.

  [[nodiscard]] std::size_t memory_bytes() const override;
};

}  // namespace gantry::traces
