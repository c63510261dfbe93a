#include <algorithm>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "broadcast/dead_letter_file_internal.h"
#include "broadcast/queue_format_internal.h"
#include "core/hash.h"
#include "storage/byte_order.h"

namespace gantry::broadcast {
namespace {

storage::LogPosition position(std::uint32_t segment, std::uint64_t offset) {
  return {.segment = segment, .offset_bytes = offset};
}

/// Makes the checksum of a changed cursor right.
std::vector<std::byte> resealed(std::vector<std::byte> bytes) {
  const auto summed = std::span<const std::byte>(bytes).first(bytes.size() - 4);
  storage::store_le(bytes.data() + summed.size(), core::crc32c(summed));
  return bytes;
}

TEST(QueueFormatTest, CursorsThatCannotBeAreRefused) {
  const CursorState good{.destination = "a", .resume = position(2, 50), .unfinished = {}};
  std::vector<CursorState> cursors(3, good);
  cursors[0].unfinished = {position(1, 9), position(1, 9)};
  cursors[1].unfinished = {position(2, 50)};
  cursors[2].destination = "../a";
  for (const CursorState& cursor : cursors) {
    std::vector<std::byte> bytes;
    encode_cursor(cursor, bytes);
    EXPECT_EQ(decode_cursor(bytes).error().code, Code::DataLoss);
  }
}

TEST(QueueFormatTest, ANewerCursorIsRefusedByName) {
  std::vector<std::byte> bytes;
  encode_cursor({.destination = "a", .resume = position(2, 50), .unfinished = {}}, bytes);
  bytes[8] = std::byte{9};
  const auto decoded = decode_cursor(resealed(bytes));
  EXPECT_EQ(decoded.error().code, Code::FailedPrecondition);
  EXPECT_NE(decoded.error().message.find("newer version"), std::string::npos);
}

TEST(QueueFormatTest, EveryCutAndEveryFlippedBitIsSeen) {
  std::vector<std::byte> cursor;
  encode_cursor({.destination = "abc", .resume = position(2, 50), .unfinished = {position(1, 9)}},
                cursor);
  std::vector<std::byte> item;
  const std::string_view destination = "abc";
  encode_item({.stack = 1, .created_ms = 5}, std::span(&destination, 1), item);
  for (std::size_t size = 0; size < cursor.size(); ++size) {
    EXPECT_FALSE(decode_cursor(std::span(cursor).first(size)));
  }
  for (std::size_t size = 0; size < item.size(); ++size) {
    EXPECT_FALSE(decode_item_head(std::span(item).first(size)));
  }
  for (std::size_t bit = 0; bit < cursor.size() * 8; ++bit) {
    std::vector<std::byte> bytes = cursor;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode_cursor(bytes)) << bit;
  }
  for (std::size_t bit = 0; bit < item.size() * 8; ++bit) {
    std::vector<std::byte> bytes = item;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(decode_item_head(bytes)) << bit;
  }
}

rc::Gen<std::string> destination_ids() {
  return rc::gen::suchThat(rc::gen::container<std::string>(rc::gen::elementOf(
                               std::string("abcdefghijklmnopqrstuvwxyz0123456789-"))),
                           [](const std::string& id) { return is_destination_id(id); });
}

RC_GTEST_PROP(QueueFormatProperty, ItemsRoundTrip,
              (std::uint32_t stack, std::int64_t created_ms, std::uint32_t item_count,
               std::uint64_t order_key, const std::string& payload)) {
  const auto ids = *rc::gen::container<std::vector<std::string>>(destination_ids());
  const std::vector<std::string_view> views(ids.begin(), ids.end());
  std::vector<std::byte> bytes;
  encode_item({.stack = stack,
               .signal = Signal::Metrics,
               .created_ms = created_ms,
               .item_count = item_count,
               .order_key = order_key,
               .destinations = {},
               .payload = core::as_bytes(payload)},
              views, bytes);
  const auto head = decode_item_head(bytes);
  RC_ASSERT(head.has_value());
  RC_ASSERT(head->stack == stack);
  RC_ASSERT(head->signal == Signal::Metrics);
  RC_ASSERT(head->created_ms == created_ms);
  RC_ASSERT(head->item_count == item_count);
  RC_ASSERT(head->order_key == order_key);
  RC_ASSERT(head->destinations == views);
  RC_ASSERT(head->payload_bytes == payload.size());
  RC_ASSERT(*item_head_bytes(bytes) + payload.size() == bytes.size());
}

RC_GTEST_PROP(QueueFormatProperty, CursorsRoundTrip,
              (const std::set<std::pair<std::uint32_t, std::uint64_t>>& places)) {
  CursorState cursor{.destination = *destination_ids(), .resume = {}, .unfinished = {}};
  for (const auto& [segment, offset] : places) {
    cursor.unfinished.push_back(position(segment, offset));
  }
  if (!cursor.unfinished.empty()) {
    cursor.resume = cursor.unfinished.back();
    cursor.unfinished.pop_back();
  }
  std::vector<std::byte> bytes;
  encode_cursor(cursor, bytes);
  const auto decoded = decode_cursor(bytes);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == cursor);
}

RC_GTEST_PROP(QueueFormatProperty, LettersRoundTrip,
              (const std::vector<std::string>& payloads, std::uint32_t status,
               const std::string& message, std::int64_t refused_ms)) {
  RC_PRE(!payloads.empty());
  std::vector<QueuedItem> items;
  for (const std::string& payload : payloads) {
    items.push_back({.position = {},
                     .stack = status,
                     .signal = Signal::Spans,
                     .created_ms = refused_ms,
                     .item_count = static_cast<std::uint32_t>(items.size()),
                     .order_key = items.size(),
                     .payload = payload});
  }
  const std::vector<std::byte> bytes =
      encode_letters(items, {.status = status, .message = message}, refused_ms);
  const auto places = decode_letter_head(bytes);
  RC_ASSERT(places.has_value());
  RC_ASSERT(places->size() == items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const LetterPlace& place = places->at(i);
    RC_ASSERT(place.letter.refusal.status == status);
    RC_ASSERT(place.letter.refusal.message == message);
    RC_ASSERT(place.letter.refused_ms == refused_ms);
    RC_ASSERT(place.letter.order_key == i);
    const auto payload = std::span(bytes).subspan(place.offset_bytes, place.letter.payload_bytes);
    RC_ASSERT(std::ranges::equal(payload, core::as_bytes(payloads[i])));
  }
}

}  // namespace
}  // namespace gantry::broadcast
