#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "fmt/core.h"

#include "broadcast/dead_letter_file_internal.h"
#include "core/hash.h"
#include "storage/byte_cursor.h"
#include "storage/byte_order.h"

namespace gantry::broadcast {
namespace {

using storage::ByteReader;
using storage::ByteWriter;

constexpr std::string_view kMagic = "GNTRDEAD";
constexpr std::uint32_t kVersion = 1;
// Every number a byte, key and checksum whole.
constexpr std::size_t kLetterBytesMin = 5 + sizeof(std::uint64_t) + sizeof(std::uint32_t);

std::unexpected<Error> damaged(std::string_view why) {
  return fail(Code::DataLoss, fmt::format("a file of dead letters is damaged: {}", why));
}

template <class T>
T read_number(ByteReader& reader) {
  const std::uint64_t value = reader.varint();
  if (value > std::numeric_limits<T>::max()) reader.fail();
  return static_cast<T>(value);
}

/// Not in the middle of a character.
std::string_view cut_message(std::string_view message) {
  if (message.size() <= kRefusalMessageBytesMax) return message;
  std::size_t size = kRefusalMessageBytesMax;
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(message[at]) & 0xc0U) == 0x80U;
  };
  while (size > kRefusalMessageBytesMax - 4 && continues(size)) --size;
  return message.substr(0, size);
}

}  // namespace

std::vector<std::byte> encode_letters(std::span<const QueuedItem> items, const Refusal& refusal,
                                      std::int64_t refused_ms) {
  GANTRY_ASSERT(items.size() <= kLettersPerFileMax, "add splits what is more");
  std::vector<std::byte> out;
  ByteWriter writer(out);
  writer.raw(kMagic.data(), kMagic.size());
  writer.u32(kVersion);
  writer.u32(0);
  writer.u32(0);
  writer.svarint(refused_ms);
  writer.varint(refusal.status);
  writer.string(cut_message(refusal.message));
  writer.varint(items.size());
  for (const QueuedItem& item : items) {
    writer.varint(item.stack);
    writer.u8(std::to_underlying(item.signal));
    writer.svarint(item.created_ms);
    writer.varint(item.item_count);
    writer.u64(item.order_key);
    writer.varint(item.payload.size());
    writer.u32(core::crc32c(core::as_bytes(item.payload)));
  }
  const auto head = std::span<const std::byte>(out).subspan(kLetterPrefixBytes);
  const auto head_bytes = static_cast<std::uint32_t>(head.size());
  const std::uint32_t crc = core::crc32c(head);
  storage::store_le(out.data() + 12, head_bytes);
  storage::store_le(out.data() + 16, crc);
  for (const QueuedItem& item : items) writer.bytes(core::as_bytes(item.payload));
  return out;
}

Result<std::size_t> letter_head_bytes(std::span<const std::byte> prefix) {
  if (prefix.size() < kLetterPrefixBytes) return damaged("too short");
  if (std::memcmp(prefix.data(), kMagic.data(), kMagic.size()) != 0) return damaged("magic number");
  const auto version = storage::load_le<std::uint32_t>(prefix.data() + 8);
  const auto bytes = storage::load_le<std::uint32_t>(prefix.data() + 12);
  if (version > kVersion) {
    return fail(Code::FailedPrecondition,
                fmt::format("a file of dead letters has format {}, this program reads up to {}: it "
                            "was written by a newer version",
                            version, kVersion));
  }
  if (bytes > kLetterHeadBytesMax) return damaged("length of its head");
  return kLetterPrefixBytes + bytes;
}

Result<std::vector<LetterPlace>> decode_letter_head(std::span<const std::byte> prefix) {
  GANTRY_TRY(const std::size_t bytes, letter_head_bytes(prefix));
  if (prefix.size() < bytes) return damaged("its head is cut off");
  const auto head = prefix.subspan(kLetterPrefixBytes, bytes - kLetterPrefixBytes);
  if (core::crc32c(head) != storage::load_le<std::uint32_t>(prefix.data() + 16)) {
    return damaged("its head fails its checksum");
  }
  ByteReader reader(head);
  DeadLetter common;
  common.refused_ms = reader.svarint();
  common.refusal.status = read_number<std::uint32_t>(reader);
  common.refusal.message = reader.string();
  const std::size_t count = reader.count(kLetterBytesMin);
  if (count == 0 || count > kLettersPerFileMax) reader.fail();
  if (common.refusal.message.size() > kRefusalMessageBytesMax) reader.fail();
  std::vector<LetterPlace> places;
  std::uint64_t offset = bytes;
  for (std::size_t i = 0; i < count && !reader.failed(); ++i) {
    LetterPlace place{.letter = common, .offset_bytes = offset, .payload_crc = 0};
    place.letter.id = i;
    place.letter.stack = read_number<std::uint32_t>(reader);
    const std::uint8_t signal = reader.u8();
    place.letter.signal = static_cast<Signal>(signal);
    place.letter.created_ms = reader.svarint();
    place.letter.item_count = read_number<std::uint32_t>(reader);
    place.letter.order_key = reader.u64();
    place.letter.payload_bytes = read_number<std::uint32_t>(reader);
    place.payload_crc = reader.u32();
    offset += place.letter.payload_bytes;
    if (signal != std::to_underlying(Signal::Spans) &&
        signal != std::to_underlying(Signal::Metrics)) {
      reader.fail();
    }
    places.push_back(std::move(place));
  }
  if (!reader.at_end()) return damaged("its head");
  return places;
}

}  // namespace gantry::broadcast
