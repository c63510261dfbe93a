#pragma once

// Reads columns of one group out of a block's file.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "storage/byte_cursor.h"
#include "traces/block/block_file.h"
#include "traces/block/block_format.h"
#include "traces/block/decoded_column.h"

namespace gantry::traces {

/// What a column is made from besides its own bytes. All have the lengths that the counts say.
struct ColumnContext {
  traceql::GroupCounts counts;
  std::span<const std::uint32_t> traces;        ///< Starts and NestedSets need it.
  traceql::SpanGroup::TraceRows trace_rows;     ///< Parents need it, …
  std::span<const telemetry::SpanId> span_ids;  ///< … and this.
  std::span<const std::int64_t> starts;         ///< Ends and EventTimes need it, …
  std::span<const std::int64_t> durations;      ///< … Ends this, …
  std::span<const std::uint32_t> event_spans;   ///< … EventTimes this.
};

/// One thread. Errors: DataLoss, those of File.
class ColumnLoader {
 public:
  explicit ColumnLoader(const BlockFile& file) : file_(file) {}

  Result<std::shared_ptr<const DecodedColumn>> load_fixed(FixedColumn column,
                                                          const ColumnPlace& place,
                                                          const ColumnContext& context);
  Result<std::shared_ptr<const DecodedColumn>> load_attribute(const AttributeEntry& entry,
                                                              std::uint32_t row_count);

 private:
  Result<std::span<const std::byte>> piece(const ColumnPlace& place);
  Result<void> decode_dictionary(storage::ByteReader& reader, const ColumnPlace& place,
                                 std::size_t value_count, DecodedColumn& out);

  const BlockFile& file_;
  // Small columns share a frame and are often read one after the other.
  std::uint32_t frame_number_ = 0;
  std::vector<std::byte> frame_;
};

}  // namespace gantry::traces
