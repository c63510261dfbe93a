#pragma once

// What writer and reader of a block agree on. Format: docs/formats.md, "Trace blocks".

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "storage/byte_cursor.h"
#include "storage/checksummed_file.h"
#include "storage/item_cache.h"
#include "telemetry/span_batch.h"
#include "traceql/span_source.h"
#include "traces/block/block_writer.h"

namespace gantry::traces {

inline constexpr std::uint32_t kBlockFormatVersion = 1;
inline constexpr storage::FileFormat kBlockFormat{.magic = "GANTRYTB",
                                                  .version = kBlockFormatVersion};
inline constexpr std::string_view kBlockFileName = "spans";

inline constexpr std::size_t kTracePageEntries = 2048;
inline constexpr unsigned kTraceFilterBits = 12;
inline constexpr unsigned kTextFilterBits = 10;

/// The columns that every group has. The order is the file's.
enum class FixedColumn : std::uint8_t {
  Traces,
  TraceIds,
  SpanIds,
  Parents,
  Starts,
  Durations,
  Ends,
  Kinds,
  Statuses,
  Names,
  StatusMessages,
  TraceStates,
  Resources,
  Scopes,
  NestedSets,
  Flags,
  DroppedAttributes,
  DroppedEvents,
  DroppedLinks,
  ResourceSchemaUrls,
  ResourceDroppedAttributes,
  ScopeNames,
  ScopeVersions,
  ScopeSchemaUrls,
  ScopeDroppedAttributes,
  EventSpans,
  EventTimes,
  EventNames,
  EventDroppedAttributes,
  LinkSpans,
  LinkTraceIds,
  LinkSpanIds,
  LinkTraceStates,
  LinkFlags,
  LinkDroppedAttributes,
};
inline constexpr std::size_t kFixedColumnCount =
    static_cast<std::size_t>(FixedColumn::LinkDroppedAttributes) + 1;

/// A parent is written as one of these or, from kParentNear, as a distance inside the trace.
inline constexpr std::int64_t kParentNone = 0;
inline constexpr std::int64_t kParentFar = 1;  ///< Not in the trace: its id follows.
inline constexpr std::int64_t kParentNear = 2;

/// Where a column is. Its long texts are in frames of their own, one after the other.
struct ColumnPlace {
  std::uint32_t frame = 0;
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
  std::uint32_t first_text_frame = 0;
  std::uint32_t text_frame_count = 0;
};

struct AttributeEntry {
  traceql::Table table = traceql::Table::Span;
  std::string_view key;
  traceql::ColumnType type = traceql::ColumnType::String;
  ColumnPlace place;
};

/// What a group has and where: its first frame to be read.
class GroupDirectory final : public storage::CacheItem {
 public:
  traceql::GroupCounts counts;
  std::array<ColumnPlace, kFixedColumnCount> fixed{};
  std::vector<AttributeEntry> attributes;  ///< By table, key and type; each once.
  std::vector<std::byte> text;             ///< Owns the keys.

  [[nodiscard]] std::size_t memory_bytes() const override {
    return sizeof(*this) + attributes.capacity() * sizeof(AttributeEntry) + text.capacity();
  }
};

/// A piece of a frame.
struct FramePiece {
  std::uint32_t frame = 0;
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
};

struct GroupEntry {
  traceql::GroupBounds bounds;
  std::uint32_t trace_count = 0;
  std::uint32_t directory_frame = 0;
  FramePiece text_filter;
};

struct TracePage {
  std::uint64_t first_hash = 0;
  std::uint32_t entry_count = 0;
  std::uint32_t frame = 0;
};

/// The footer of the file.
struct BlockFooter {
  BlockSummary summary;  ///< But for format_version and bytes.
  std::vector<GroupEntry> groups;
  std::vector<TracePage> trace_pages;
  std::uint32_t trace_filter_frame = 0;  ///< Only if there are traces.
};

void append_footer(const BlockFooter& footer, std::vector<std::byte>& out);

/// Errors: DataLoss.
Result<BlockFooter> parse_footer(std::span<const std::byte> bytes);

void append_directory(const GroupDirectory& directory, std::vector<std::byte>& out);

/// Null: it is not one. Takes `bytes`, which the directory's keys point into.
[[nodiscard]] std::shared_ptr<GroupDirectory> parse_directory(std::vector<std::byte> bytes);

/// As the trace index sorts, and in the filter of a block. Not the id itself: of ids that were made
/// from 64 bits one half is the same.
[[nodiscard]] std::uint64_t hash_trace_id(const telemetry::TraceId& id);

/// In the filter of a group, whatever the table.
[[nodiscard]] std::uint64_t hash_attribute_text(std::string_view key, std::string_view text);

/// In the filter of a group in which some value of the key is Encoded: an array matches a text that
/// it holds, so such a group may have any text.
[[nodiscard]] std::uint64_t hash_encoded_attribute(std::string_view key);

}  // namespace gantry::traces
