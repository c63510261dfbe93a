#include "storage/log_reader.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "fmt/core.h"

#include "core/hash.h"
#include "storage/byte_order.h"
#include "storage/log_segment.h"

namespace gantry::storage {
namespace {

// Small records come several at a time, and little is read in vain where they are large.
constexpr std::size_t kWindowBytes = 8 << 10;

}  // namespace

Result<LogReader::SegmentState> LogReader::open_segment(std::uint32_t segment) {
  if (file_ && segment_ == segment) return state_;
  file_.reset();
  window_.clear();
  segment_ = segment;
  path_ = directory_ / segment_name(segment);
  auto opened = files_.open(path_, OpenMode::Read);
  if (!opened) {
    if (opened.error().code == Code::NotFound) return SegmentState::Missing;
    return std::unexpected(std::move(opened).error());
  }
  std::array<std::byte, kSegmentHeaderBytes> bytes{};
  GANTRY_TRY(const std::size_t count, (*opened)->read_at(0, bytes));
  GANTRY_TRY(const SegmentHeader header,
             parse_segment_header(std::span(bytes).first(count), segment, path_));
  state_ = header.reason.empty() ? SegmentState::Good : SegmentState::BadHeader;
  file_ = *std::move(opened);
  return state_;
}

Result<std::uint64_t> LogReader::limit_bytes(LogPosition end) const {
  if (segment_ > end.segment) return 0;
  GANTRY_TRY(const std::uint64_t size_bytes, file_->size());
  return segment_ < end.segment ? size_bytes : std::min(size_bytes, end.offset_bytes);
}

Result<std::span<const std::byte>> LogReader::view(std::uint64_t offset, std::size_t count,
                                                   std::uint64_t limit) {
  const bool is_inside =
      offset >= window_offset_ && offset + count <= window_offset_ + window_.size();
  if (!is_inside) {
    // Never beyond the limit: what stands there now may still be in the making.
    window_.resize(std::min<std::uint64_t>(limit - offset, std::max(count, kWindowBytes)));
    window_offset_ = offset;
    if (auto read = read_exactly(*file_, offset, window_, path_); !read) {
      window_.clear();
      return std::unexpected(std::move(read).error());
    }
  }
  return std::span<const std::byte>(window_).subspan(offset - window_offset_);
}

Result<LogReader::At> LogReader::look(LogPosition position, LogPosition end,
                                      std::size_t prefix_bytes) {
  head_ = {};
  GANTRY_TRY(const SegmentState state, open_segment(position.segment));
  if (state == SegmentState::Missing) return At::End;
  if (state == SegmentState::BadHeader) return At::Bad;
  GANTRY_TRY(const std::uint64_t limit, limit_bytes(end));
  const std::uint64_t offset = std::max<std::uint64_t>(position.offset_bytes, kSegmentHeaderBytes);
  if (offset >= limit) return At::End;
  const std::uint64_t left = limit - offset;
  if (left < kRecordHeaderBytes) return At::Bad;
  const std::uint64_t wanted = kRecordHeaderBytes + std::uint64_t{prefix_bytes};
  GANTRY_TRY(const std::span<const std::byte> bytes, view(offset, std::min(left, wanted), limit));
  const auto length = load_le<std::uint32_t>(bytes.data());
  if (length > kRecordBytesLimit || length > left - kRecordHeaderBytes) return At::Bad;
  const std::span<const std::byte> rest = bytes.subspan(kRecordHeaderBytes);
  head_ = {.type = std::to_integer<std::uint8_t>(bytes[8]),
           .payload_bytes = length,
           .next = {.segment = segment_, .offset_bytes = offset + kRecordHeaderBytes + length},
           .prefix = rest.first(std::min<std::size_t>(rest.size(), length))};
  return At::Record;
}

Result<std::vector<std::byte>> LogReader::read(LogPosition position, LogPosition end) {
  GANTRY_TRY(const At at, look(position, end, 0));
  const auto damaged = [&](std::string_view why) {
    return fail(Code::DataLoss,
                fmt::format("\"{}\" at {}: {}", path_.native(), position.offset_bytes, why));
  };
  if (at != At::Record) return damaged("there is no record");
  const std::uint64_t offset = head_.next.offset_bytes - head_.payload_bytes - kRecordHeaderBytes;
  std::array<std::byte, kRecordHeaderBytes> header{};
  GANTRY_CHECK(read_exactly(*file_, offset, header, path_));
  std::vector<std::byte> payload(head_.payload_bytes);
  GANTRY_CHECK(read_exactly(*file_, offset + kRecordHeaderBytes, payload, path_));
  const std::uint32_t crc = core::crc32c(std::span(header).subspan(8), core::crc32c(payload));
  if (crc != load_le<std::uint32_t>(header.data() + 4)) return damaged("record fails its checksum");
  return payload;
}

}  // namespace gantry::storage
