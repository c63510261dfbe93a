#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "fmt/core.h"

#include "broadcast/queue_format_internal.h"
#include "core/hash.h"
#include "storage/byte_cursor.h"
#include "storage/byte_order.h"
#include "storage/log_segment.h"

namespace gantry::broadcast {
namespace {

using storage::ByteReader;
using storage::ByteWriter;
using storage::LogPosition;
using storage::LogReader;

constexpr std::string_view kCursorMagic = "GNTRQCUR";
constexpr std::uint32_t kCursorVersion = 1;
constexpr std::size_t kCursorFixedBytes = 8 + sizeof(std::uint32_t) * 2;
// Length and checksum of the head.
constexpr std::size_t kItemPrefixBytes = sizeof(std::uint32_t) * 2;
constexpr std::size_t kDestinationIdBytesMax = 64;
// Holds the head of an item for a dozen destinations.
constexpr std::size_t kLookBytes = 512;

std::unexpected<Error> damaged(std::string_view what, std::string_view why) {
  return fail(Code::DataLoss, fmt::format("{} is damaged: {}", what, why));
}

template <class T>
T read_number(ByteReader& reader) {
  const std::uint64_t value = reader.varint();
  if (value > std::numeric_limits<T>::max()) reader.fail();
  return static_cast<T>(value);
}

void write_position(LogPosition position, ByteWriter& writer) {
  writer.varint(position.segment);
  writer.varint(position.offset_bytes);
}

LogPosition read_position(ByteReader& reader) {
  LogPosition position;
  position.segment = read_number<std::uint32_t>(reader);
  position.offset_bytes = reader.varint();
  return position;
}

}  // namespace

bool is_destination_id(std::string_view text) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !text.empty() && text.size() <= kDestinationIdBytesMax &&
         std::ranges::all_of(text, is_allowed);
}

bool ItemHead::names(std::string_view destination) const {
  return std::ranges::find(destinations, destination) != destinations.end();
}

void encode_item(const QueueItem& item, std::span<const std::string_view> destinations,
                 std::vector<std::byte>& out) {
  const std::size_t start = out.size();
  ByteWriter writer(out);
  writer.u32(0);
  writer.u32(0);
  writer.varint(item.stack);
  writer.u8(std::to_underlying(item.signal));
  writer.svarint(item.created_ms);
  writer.varint(item.item_count);
  writer.u64(item.order_key);
  writer.varint(item.payload.size());
  writer.varint(destinations.size());
  for (const std::string_view destination : destinations) writer.string(destination);
  const auto head = std::span<const std::byte>(out).subspan(start + kItemPrefixBytes);
  const auto head_bytes = static_cast<std::uint32_t>(head.size());
  const std::uint32_t crc = core::crc32c(head);
  storage::store_le(out.data() + start, head_bytes);
  storage::store_le(out.data() + start + sizeof(std::uint32_t), crc);
  writer.bytes(item.payload);
}

Result<std::size_t> item_head_bytes(std::span<const std::byte> prefix) {
  if (prefix.size() < kItemPrefixBytes) return damaged("a queue item", "too short");
  const auto bytes = storage::load_le<std::uint32_t>(prefix.data());
  if (bytes > kItemHeadBytesMax) return damaged("a queue item", "length of its head");
  return kItemPrefixBytes + bytes;
}

Result<ItemHead> decode_item_head(std::span<const std::byte> prefix) {
  GANTRY_TRY(const std::size_t bytes, item_head_bytes(prefix));
  if (prefix.size() < bytes) return damaged("a queue item", "its head is cut off");
  const std::span<const std::byte> encoded =
      prefix.subspan(kItemPrefixBytes, bytes - kItemPrefixBytes);
  if (core::crc32c(encoded) !=
      storage::load_le<std::uint32_t>(prefix.data() + sizeof(std::uint32_t))) {
    return damaged("a queue item", "its head fails its checksum");
  }
  ByteReader reader(encoded);
  ItemHead head;
  head.stack = read_number<std::uint32_t>(reader);
  const std::uint8_t signal = reader.u8();
  head.signal = static_cast<Signal>(signal);
  head.created_ms = reader.svarint();
  head.item_count = read_number<std::uint32_t>(reader);
  head.order_key = reader.u64();
  head.payload_bytes = read_number<std::uint32_t>(reader);
  const std::size_t count = reader.count(2);
  head.destinations.reserve(count);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    head.destinations.push_back(reader.string());
    if (!is_destination_id(head.destinations.back())) reader.fail();
  }
  const bool is_known =
      signal == std::to_underlying(Signal::Spans) || signal == std::to_underlying(Signal::Metrics);
  if (!reader.at_end() || !is_known) return damaged("a queue item", "its head");
  return head;
}

void encode_cursor(const CursorState& cursor, std::vector<std::byte>& out) {
  out.clear();
  ByteWriter writer(out);
  writer.raw(kCursorMagic.data(), kCursorMagic.size());
  writer.u32(kCursorVersion);
  writer.string(cursor.destination);
  write_position(cursor.resume, writer);
  writer.varint(cursor.unfinished.size());
  for (const LogPosition position : cursor.unfinished) write_position(position, writer);
  writer.u32(core::crc32c(out));
}

Result<CursorState> decode_cursor(std::span<const std::byte> bytes) {
  constexpr std::string_view kWhat = "a queue cursor";
  if (bytes.size() < kCursorFixedBytes) return damaged(kWhat, "too short");
  if (std::memcmp(bytes.data(), kCursorMagic.data(), kCursorMagic.size()) != 0) {
    return damaged(kWhat, "magic number");
  }
  const std::span<const std::byte> summed = bytes.first(bytes.size() - sizeof(std::uint32_t));
  if (core::crc32c(summed) != storage::load_le<std::uint32_t>(bytes.data() + summed.size())) {
    return damaged(kWhat, "checksum");
  }
  ByteReader reader(summed.subspan(kCursorMagic.size()));
  if (const std::uint32_t version = reader.u32(); version > kCursorVersion) {
    return fail(Code::FailedPrecondition,
                fmt::format("a queue cursor has format {}, this program reads up to {}: it was "
                            "written by a newer version",
                            version, kCursorVersion));
  }
  CursorState cursor;
  cursor.destination = reader.string();
  if (!is_destination_id(cursor.destination)) reader.fail();
  cursor.resume = read_position(reader);
  const std::size_t count = reader.count(2);
  cursor.unfinished.reserve(count);
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    const LogPosition position = read_position(reader);
    if (i > 0 && position <= cursor.unfinished.back()) reader.fail();
    if (position >= cursor.resume) reader.fail();
    cursor.unfinished.push_back(position);
  }
  if (!reader.at_end()) return damaged(kWhat, "content");
  return cursor;
}

Result<bool> ItemReader::read_head(LogPosition position, LogPosition end) {
  const auto bytes = item_head_bytes(reader_.head().prefix);
  if (!bytes) return false;
  if (*bytes > reader_.head().prefix.size()) {
    GANTRY_TRY(const LogReader::At at, reader_.look(position, end, *bytes));
    if (at != LogReader::At::Record) return false;
  }
  auto head = decode_item_head(reader_.head().prefix);
  // The head is verified: so is the record's length, if the two agree.
  if (!head || *bytes + head->payload_bytes != reader_.head().payload_bytes) return false;
  head_ = *std::move(head);
  return true;
}

Result<ItemReader::Step> ItemReader::look(LogPosition position, LogPosition end) {
  position.offset_bytes =
      std::max<std::uint64_t>(position.offset_bytes, storage::kSegmentHeaderBytes);
  head_ = {};
  position_ = position;
  next_ = position;
  GANTRY_TRY(const LogReader::At at, reader_.look(position, end, kLookBytes));
  if (at == LogReader::At::End) return Step::End;
  if (at == LogReader::At::Record) {
    next_ = reader_.head().next;
    if (reader_.head().type != kItemRecordType) return Step::Other;
    GANTRY_TRY(const bool is_good, read_head(position, end));
    if (is_good) return Step::Item;
    GANTRY_TRY(const LogReader::At behind, reader_.look(next_, end, kLookBytes));
    if (behind == LogReader::At::End) return Step::Damaged;
    if (behind == LogReader::At::Record) {
      GANTRY_TRY(const bool is_item_behind, read_head(next_, end));
      head_ = {};
      if (is_item_behind) return Step::Damaged;
    }
  }
  next_ = position.segment < end.segment
              ? LogPosition{.segment = position.segment + 1, .offset_bytes = 0}
              : end;
  return Step::Damaged;
}

}  // namespace gantry::broadcast
