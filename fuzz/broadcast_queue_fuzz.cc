// Any bytes as an item of the broadcast queue, as a cursor file and as a file of dead letters, by
// the first byte. Checksums are made right, so that the fuzzer gets past them.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "broadcast/dead_letter_file_internal.h"
#include "broadcast/queue_format_internal.h"
#include "core/hash.h"
#include "storage/byte_order.h"

namespace gantry::broadcast {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

/// Stores the checksum of the head that begins at `head_offset`, as far as there is one.
void seal_head(std::vector<std::byte>& bytes, std::size_t length_offset, std::size_t head_offset) {
  if (bytes.size() < head_offset) return;
  const auto length = storage::load_le<std::uint32_t>(bytes.data() + length_offset);
  if (length > bytes.size() - head_offset) return;
  const auto head = std::span<const std::byte>(bytes).subspan(head_offset, length);
  storage::store_le(bytes.data() + length_offset + sizeof(std::uint32_t), core::crc32c(head));
}

void try_item(std::vector<std::byte> bytes) {
  seal_head(bytes, 0, 8);
  const auto head = decode_item_head(bytes);
  if (!head) return;
  std::vector<std::byte> again;
  encode_item({.stack = head->stack,
               .signal = head->signal,
               .created_ms = head->created_ms,
               .item_count = head->item_count,
               .order_key = head->order_key,
               .destinations = {},
               .payload = {}},
              head->destinations, again);
  const auto second = decode_item_head(again);
  require(second && second->destinations == head->destinations &&
          second->created_ms == head->created_ms);
}

void try_cursor(std::vector<std::byte> bytes) {
  const std::uint32_t crc = core::crc32c(bytes);
  storage::append_le(bytes, crc);
  const auto cursor = decode_cursor(bytes);
  if (!cursor) return;
  std::vector<std::byte> again;
  encode_cursor(*cursor, again);
  const auto second = decode_cursor(again);
  require(second && *second == *cursor);
}

void try_letters(std::vector<std::byte> bytes) {
  seal_head(bytes, 12, kLetterPrefixBytes);
  const auto places = decode_letter_head(bytes);
  if (!places) return;
  require(places->size() <= kLettersPerFileMax);
  for (const LetterPlace& place : *places) {
    require(place.offset_bytes >= kLetterPrefixBytes);
    require(place.letter.refusal.message.size() <= kRefusalMessageBytesMax);
  }
}

}  // namespace
}  // namespace gantry::broadcast

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gantry::broadcast;
  if (size == 0) return 0;
  const auto given = std::as_bytes(std::span(data, size)).subspan(1);
  const std::vector<std::byte> bytes(given.begin(), given.end());
  switch (data[0] % 3) {
    case 0:
      try_item(bytes);
      break;
    case 1:
      try_cursor(bytes);
      break;
    default:
      try_letters(bytes);
      break;
  }
  return 0;
}
