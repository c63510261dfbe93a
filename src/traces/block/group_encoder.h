#pragma once

// Writes one group's columns into a block's file.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "storage/checksummed_file.h"
#include "telemetry/span_batch.h"
#include "traceql/span_source.h"
#include "traces/block/block_format.h"
#include "traces/block/column_codec.h"
#include "traces/stored_group.h"

namespace gantry::traces {

/// What the block's own indexes need of a group.
struct EncodedGroup {
  GroupEntry entry;  ///< But for the text filter.
  std::vector<telemetry::TraceId> trace_ids;
  std::vector<std::uint64_t> text_hashes;  ///< Of attributes: what the group's filter holds.
};

/// One thread.
class GroupEncoder {
 public:
  /// `file` must outlive the encoder.
  GroupEncoder(storage::FrameWriter& file, int compression_level)
      : file_(file), level_(compression_level), encoder_(compression_level) {}

  /// Errors: those of the group and of the file; DataLoss (columns of different lengths, more rows
  /// than a group may have), ResourceExhausted (texts of a column over kColumnTextBytesMax).
  Result<EncodedGroup> encode(StoredGroup& group);

 private:
  Result<void> add_traces(StoredGroup& group, EncodedGroup& out);
  Result<void> add_parents(StoredGroup& group);
  Result<void> add_times(StoredGroup& group, EncodedGroup& out);
  Result<void> add_nested_sets(StoredGroup& group);
  Result<void> add_span_fields(StoredGroup& group);
  Result<void> add_resources_and_scopes(StoredGroup& group);
  Result<void> add_events(StoredGroup& group);
  Result<void> add_links(StoredGroup& group);
  Result<void> add_attributes(StoredGroup& group, EncodedGroup& out);
  Result<void> add_attribute(const traceql::ColumnKey& key, const traceql::Column& column,
                             EncodedGroup& out);

  template <class T>
  Result<void> add_numbers(FixedColumn column, const Result<std::span<const T>>& values,
                           std::size_t count);
  Result<void> add_ids(FixedColumn column,
                       const Result<std::span<const telemetry::TraceId>>& values,
                       std::size_t count);
  Result<void> add_texts(FixedColumn column, const Result<traceql::TextColumn>& texts,
                         std::size_t count);
  Result<void> add_rare(FixedColumn column, const Result<RareNumbers>& numbers,
                        std::uint32_t row_count);

  /// Appends to bytes_.
  template <class T>
  void append_numbers(std::span<const T> values);
  Result<void> append_texts(std::span<const std::uint32_t> ids,
                            std::span<const std::string_view> dictionary, ColumnPlace& place);
  Result<void> write_long_texts(std::span<const std::string_view> texts, ColumnPlace& place);

  /// Writes bytes_ as one column and clears it.
  Result<void> place(FixedColumn column);
  Result<void> place(ColumnPlace& place);
  Result<void> close_shared_frame();

  storage::FrameWriter& file_;
  const int level_;
  ColumnEncoder encoder_;
  GroupDirectory directory_;
  std::vector<std::byte> bytes_;
  std::vector<std::int64_t> numbers_;
  std::vector<std::string_view> used_texts_;  ///< Of the last texts: short ones, then long ones.
  std::vector<std::byte> shared_;
  std::uint32_t shared_frame_ = 0;
};

}  // namespace gantry::traces
