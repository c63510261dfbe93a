#include "traces/block/block_format.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

#include "core/hash.h"
#include "traces/block/column_codec.h"

namespace gantry::traces {
namespace {

using storage::ByteReader;
using storage::ByteWriter;

// A group in the footer, a page, an attribute in a directory: at least so many bytes.
constexpr std::size_t kGroupEntryBytesMin = 11;
constexpr std::size_t kTracePageBytes = 10;
constexpr std::size_t kAttributeBytesMin = 7;
/// Sets keys apart from texts.
constexpr std::uint64_t kEncodedSeed = 0x656e636f646564;

std::uint32_t read_u32(ByteReader& reader) {
  const std::uint64_t value = reader.varint();
  if (value > std::numeric_limits<std::uint32_t>::max()) reader.fail();
  return static_cast<std::uint32_t>(value);
}

std::uint32_t read_row_count(ByteReader& reader) {
  const std::uint64_t value = reader.varint();
  if (value > kGroupRowsMax) reader.fail();
  return reader.failed() ? 0 : static_cast<std::uint32_t>(value);
}

void append_piece(const FramePiece& piece, ByteWriter& writer) {
  writer.varint(piece.frame);
  writer.varint(piece.offset);
  writer.varint(piece.bytes);
}

FramePiece read_piece(ByteReader& reader) {
  FramePiece piece;
  piece.frame = read_u32(reader);
  piece.offset = read_u32(reader);
  piece.bytes = read_u32(reader);
  return piece;
}

void append_bounds(const traceql::GroupBounds& bounds, ByteWriter& writer) {
  writer.svarint(bounds.start_ns_min);
  writer.svarint(bounds.start_ns_max);
  writer.svarint(bounds.end_ns_max);
  writer.svarint(bounds.trace_start_ns_max);
  writer.varint(bounds.spans);
  writer.varint(bounds.bytes);
}

traceql::GroupBounds read_bounds(ByteReader& reader) {
  traceql::GroupBounds bounds;
  bounds.start_ns_min = reader.svarint();
  bounds.start_ns_max = reader.svarint();
  bounds.end_ns_max = reader.svarint();
  bounds.trace_start_ns_max = reader.svarint();
  bounds.spans = read_row_count(reader);
  bounds.bytes = reader.varint();
  return bounds;
}

void append_place(const ColumnPlace& place, ByteWriter& writer) {
  append_piece({.frame = place.frame, .offset = place.offset, .bytes = place.bytes}, writer);
  writer.varint(place.text_frame_count);
  if (place.text_frame_count > 0) writer.varint(place.first_text_frame);
}

ColumnPlace read_place(ByteReader& reader) {
  const FramePiece piece = read_piece(reader);
  ColumnPlace place{.frame = piece.frame, .offset = piece.offset, .bytes = piece.bytes};
  place.text_frame_count = read_u32(reader);
  if (place.text_frame_count > 0) place.first_text_frame = read_u32(reader);
  return place;
}

AttributeEntry read_attribute(ByteReader& reader) {
  AttributeEntry entry;
  const std::uint8_t table = reader.u8();
  const std::uint8_t type = reader.u8();
  if (table >= traceql::kTableCount) reader.fail();
  if (type > static_cast<std::uint8_t>(traceql::ColumnType::Encoded)) reader.fail();
  entry.key = reader.string();
  entry.place = read_place(reader);
  if (reader.failed()) return {};
  entry.table = static_cast<traceql::Table>(table);
  entry.type = static_cast<traceql::ColumnType>(type);
  return entry;
}

}  // namespace

void append_footer(const BlockFooter& footer, std::vector<std::byte>& out) {
  ByteWriter writer(out);
  const BlockSummary& summary = footer.summary;
  writer.varint(summary.level);
  writer.varint(summary.spans);
  writer.varint(summary.traces);
  writer.varint(footer.groups.size());
  for (const GroupEntry& group : footer.groups) {
    append_bounds(group.bounds, writer);
    writer.varint(group.trace_count);
    writer.varint(group.directory_frame);
    append_piece(group.text_filter, writer);
  }
  writer.varint(footer.trace_pages.size());
  for (const TracePage& page : footer.trace_pages) {
    writer.u64(page.first_hash);
    writer.varint(page.entry_count);
    writer.varint(page.frame);
  }
  writer.varint(footer.trace_filter_frame);
}

Result<BlockFooter> parse_footer(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  BlockFooter footer;
  BlockSummary& summary = footer.summary;
  summary.level = read_u32(reader);
  summary.spans = reader.varint();
  summary.traces = reader.varint();
  footer.groups.resize(reader.count(kGroupEntryBytesMin));
  summary.groups = footer.groups.size();
  std::uint64_t spans = 0;
  std::uint64_t traces = 0;
  for (std::size_t i = 0; i < footer.groups.size(); ++i) {
    GroupEntry& group = footer.groups[i];
    group.bounds = read_bounds(reader);
    group.trace_count = read_row_count(reader);
    group.directory_frame = read_u32(reader);
    group.text_filter = read_piece(reader);
    spans += group.bounds.spans;
    traces += group.trace_count;
    const traceql::GroupBounds& bounds = group.bounds;
    if (i == 0 || bounds.start_ns_min < summary.start_ns_min) {
      summary.start_ns_min = bounds.start_ns_min;
    }
    const auto raise = [&](std::int64_t& to, std::int64_t value) {
      if (i == 0 || value > to) to = value;
    };
    raise(summary.start_ns_max, bounds.start_ns_max);
    raise(summary.end_ns_max, bounds.end_ns_max);
    raise(summary.trace_start_ns_max, bounds.trace_start_ns_max);
  }
  footer.trace_pages.resize(reader.count(kTracePageBytes));
  std::uint64_t entries = 0;
  std::uint64_t last_hash = 0;
  for (TracePage& page : footer.trace_pages) {
    page.first_hash = reader.u64();
    page.entry_count = read_u32(reader);
    page.frame = read_u32(reader);
    entries += page.entry_count;
    const bool is_page = page.entry_count > 0 && page.entry_count <= kTracePageEntries &&
                         page.first_hash >= last_hash;
    if (!is_page) reader.fail();
    last_hash = page.first_hash;
  }
  footer.trace_filter_frame = read_u32(reader);
  if (!reader.at_end() || spans != summary.spans || traces != summary.traces ||
      entries != summary.traces) {
    return fail(Code::DataLoss, "the footer of a trace block is not one");
  }
  return footer;
}

void append_directory(const GroupDirectory& directory, std::vector<std::byte>& out) {
  ByteWriter writer(out);
  const traceql::GroupCounts& counts = directory.counts;
  for (const std::uint32_t count : {counts.spans, counts.traces, counts.resources, counts.scopes,
                                    counts.events, counts.links}) {
    writer.varint(count);
  }
  for (const ColumnPlace& place : directory.fixed) append_place(place, writer);
  writer.varint(directory.attributes.size());
  for (const AttributeEntry& entry : directory.attributes) {
    writer.u8(static_cast<std::uint8_t>(entry.table));
    writer.u8(static_cast<std::uint8_t>(entry.type));
    writer.string(entry.key);
    append_place(entry.place, writer);
  }
}

std::shared_ptr<GroupDirectory> parse_directory(std::vector<std::byte> bytes) {
  auto directory = std::make_shared<GroupDirectory>();
  directory->text = std::move(bytes);
  ByteReader reader(directory->text);
  traceql::GroupCounts& counts = directory->counts;
  for (std::uint32_t* count : {&counts.spans, &counts.traces, &counts.resources, &counts.scopes,
                               &counts.events, &counts.links}) {
    *count = read_row_count(reader);
  }
  for (ColumnPlace& place : directory->fixed) place = read_place(reader);
  directory->attributes.resize(reader.count(kAttributeBytesMin));
  for (AttributeEntry& entry : directory->attributes) entry = read_attribute(reader);
  const auto order = [](const AttributeEntry& entry) {
    return std::tuple(entry.table, entry.key, entry.type);
  };
  const bool is_sorted = std::ranges::adjacent_find(directory->attributes, std::greater_equal(),
                                                    order) == directory->attributes.end();
  if (!reader.at_end() || !is_sorted) return nullptr;
  return directory;
}

std::uint64_t hash_trace_id(const telemetry::TraceId& id) {
  return core::hash64({reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
}

std::uint64_t hash_attribute_text(std::string_view key, std::string_view text) {
  return core::hash64(text, core::hash64(key));
}

std::uint64_t hash_encoded_attribute(std::string_view key) {
  return core::hash64(key, kEncodedSeed);
}

}  // namespace gantry::traces
