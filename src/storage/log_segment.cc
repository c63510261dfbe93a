#include "storage/log_segment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "fmt/core.h"

#include "core/hash.h"
#include "storage/byte_order.h"

namespace gantry::storage {
namespace {

constexpr std::string_view kMagic = "GANTRYWL";
constexpr std::string_view kSuffix = ".wal";
constexpr std::size_t kNameDigits = 10;
constexpr std::size_t kWindowBytes = 4 << 20;

// Header: magic 8, version 4, segment 4, first sequence 8, reserved 4, crc32c of these 28 bytes 4.
constexpr std::size_t kHeaderCrcOffset = 28;

std::array<std::byte, kSegmentHeaderBytes> make_header(std::uint32_t segment,
                                                       std::uint64_t first_sequence) {
  std::array<std::byte, kSegmentHeaderBytes> header{};
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  store_le(header.data() + 8, kLogFormatVersion);
  store_le(header.data() + 12, segment);
  store_le(header.data() + 16, first_sequence);
  store_le(header.data() + kHeaderCrcOffset,
           core::crc32c(std::span(header).first(kHeaderCrcOffset)));
  return header;
}

}  // namespace

std::string segment_name(std::uint32_t segment) {
  return fmt::format("{:0{}}{}", segment, kNameDigits, kSuffix);
}

std::optional<std::uint32_t> parse_segment_name(std::string_view name) {
  if (name.size() != kNameDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint32_t segment = 0;
  const char* end = name.data() + kNameDigits;
  const auto [stop, error] = std::from_chars(name.data(), end, segment);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return segment;
}

Result<SegmentHeader> parse_segment_header(std::span<const std::byte> bytes, std::uint32_t segment,
                                           const Path& path_for_message) {
  SegmentHeader header;
  if (bytes.size() < kSegmentHeaderBytes) {
    header.reason = fmt::format("segment of {} bytes is shorter than its header", bytes.size());
    return header;
  }
  const bool has_magic = std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
  if (!has_magic || load_le<std::uint32_t>(bytes.data() + kHeaderCrcOffset) !=
                        core::crc32c(bytes.first(kHeaderCrcOffset))) {
    header.reason = "segment header fails its checksum";
    return header;
  }
  const auto version = load_le<std::uint32_t>(bytes.data() + 8);
  if (version > kLogFormatVersion) {
    return fail(Code::FailedPrecondition,
                fmt::format("\"{}\" has log format {}, this program reads up to {}: it was written "
                            "by a newer version",
                            path_for_message.native(), version, kLogFormatVersion));
  }
  if (load_le<std::uint32_t>(bytes.data() + 12) != segment) {
    header.reason = "segment header has another segment's number";
    return header;
  }
  header.first_sequence = load_le<std::uint64_t>(bytes.data() + 16);
  return header;
}

void append_record(std::vector<std::byte>& out, std::uint8_t type, std::uint64_t sequence,
                   std::span<const std::byte> payload, std::uint32_t payload_crc) {
  std::array<std::byte, kRecordHeaderBytes> header;
  header[8] = std::byte{type};
  store_le(header.data() + 9, sequence);
  store_le(header.data(), static_cast<std::uint32_t>(payload.size()));
  store_le(header.data() + 4, core::crc32c(std::span(header).subspan(8), payload_crc));
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), payload.begin(), payload.end());
}

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::create(FileSystem& files,
                                                             const Path& directory,
                                                             std::uint32_t segment,
                                                             std::uint64_t first_sequence) {
  GANTRY_TRY(std::unique_ptr<File> file,
             files.open(directory / segment_name(segment), OpenMode::Create));
  GANTRY_CHECK(file->write_at(0, make_header(segment, first_sequence)));
  GANTRY_CHECK(file->sync_data());
  GANTRY_CHECK(files.sync_directory(directory));
  return std::make_unique<SegmentWriter>(std::move(file), segment);
}

Result<void> SegmentWriter::append(std::span<const std::byte> records,
                                   std::uint64_t preallocate_bytes) {
  if (preallocate_bytes > 0) reserve(size_bytes_ + records.size(), preallocate_bytes);
  GANTRY_CHECK(file_->write_at(size_bytes_, records));
  size_bytes_ += records.size();
  return {};
}

void SegmentWriter::reserve(std::uint64_t end_bytes, std::uint64_t step_bytes) {
  if (end_bytes <= reserved_bytes_) return;
  const std::uint64_t wanted = (end_bytes / step_bytes + 1) * step_bytes;
  // A disk without room for the reserve may still have room for the records: the write decides.
  static_cast<void>(file_->preallocate(wanted));
  reserved_bytes_ = wanted;
}

Result<SegmentReader> SegmentReader::open(FileSystem& files, const Path& path,
                                          std::uint32_t segment) {
  GANTRY_TRY(std::unique_ptr<File> file, files.open(path, OpenMode::Read));
  SegmentReader reader(std::move(file), path, segment);
  GANTRY_TRY(reader.size_bytes_, reader.file_->size());
  GANTRY_CHECK(reader.read_header());
  return reader;
}

Result<void> SegmentReader::read_header() {
  is_bad_ = true;
  const std::size_t count = std::min<std::uint64_t>(size_bytes_, kSegmentHeaderBytes);
  GANTRY_TRY(const std::span<const std::byte> bytes, view(0, count));
  GANTRY_TRY(SegmentHeader header, parse_segment_header(bytes, segment_, path_));
  reason_ = std::move(header.reason);
  if (!reason_.empty()) return {};
  last_sequence_ = header.first_sequence > 0 ? header.first_sequence - 1 : 0;
  offset_bytes_ = kSegmentHeaderBytes;
  is_bad_ = false;
  return {};
}

Result<std::span<const std::byte>> SegmentReader::view(std::uint64_t offset, std::size_t count) {
  const bool is_inside =
      offset >= window_offset_ && offset + count <= window_offset_ + window_.size();
  if (!is_inside) {
    const std::uint64_t left = size_bytes_ - offset;
    window_.resize(std::min<std::uint64_t>(left, std::max(count, kWindowBytes)));
    window_offset_ = offset;
    GANTRY_CHECK(read_exactly(*file_, offset, window_, path_));
  }
  return std::span<const std::byte>(window_).subspan(offset - window_offset_, count);
}

Result<std::optional<LogRecord>> SegmentReader::parse_at(std::uint64_t offset) {
  const std::uint64_t left = size_bytes_ - offset;
  if (left < kRecordHeaderBytes) {
    reason_ = "record header is cut off";
    return std::nullopt;
  }
  GANTRY_TRY(std::span<const std::byte> bytes, view(offset, kRecordHeaderBytes));
  const auto length = load_le<std::uint32_t>(bytes.data());
  if (length > kRecordBytesLimit || length > left - kRecordHeaderBytes) {
    reason_ =
        fmt::format("record says it has {} bytes, {} are left", length, left - kRecordHeaderBytes);
    return std::nullopt;
  }
  GANTRY_TRY(bytes, view(offset, kRecordHeaderBytes + length));
  const std::uint32_t payload_crc = core::crc32c(bytes.subspan(kRecordHeaderBytes));
  const std::uint32_t crc = core::crc32c(bytes.subspan(8, kRecordHeaderBytes - 8), payload_crc);
  if (crc != load_le<std::uint32_t>(bytes.data() + 4)) {
    reason_ = "record fails its checksum";
    return std::nullopt;
  }
  const auto sequence = load_le<std::uint64_t>(bytes.data() + 9);
  if (sequence <= last_sequence_) {
    reason_ = fmt::format("record has sequence {} after {}", sequence, last_sequence_);
    return std::nullopt;
  }
  return LogRecord{.position = {.segment = segment_, .offset_bytes = offset},
                   .sequence = sequence,
                   .type = std::to_integer<std::uint8_t>(bytes[8]),
                   .payload = bytes.subspan(kRecordHeaderBytes)};
}

Result<SegmentReader::Step> SegmentReader::next() {
  if (is_bad_) return Step::Bad;
  if (offset_bytes_ == size_bytes_) return Step::End;
  GANTRY_TRY(const std::optional<LogRecord> record, parse_at(offset_bytes_));
  if (!record) {
    is_bad_ = true;
    return Step::Bad;
  }
  record_ = *record;
  last_sequence_ = record_.sequence;
  offset_bytes_ += kRecordHeaderBytes + record_.payload.size();
  return Step::Record;
}

Result<bool> SegmentReader::finds_record_after_bad() {
  const std::uint64_t left = size_bytes_ - offset_bytes_;
  if (offset_bytes_ == 0 || left < kRecordHeaderBytes) return false;
  GANTRY_TRY(const std::span<const std::byte> bytes, view(offset_bytes_, kRecordHeaderBytes));
  const auto length = load_le<std::uint32_t>(bytes.data());
  if (length >= left - kRecordHeaderBytes) return false;
  std::string reason = reason_;
  GANTRY_TRY(const std::optional<LogRecord> record,
             parse_at(offset_bytes_ + kRecordHeaderBytes + length));
  reason_ = std::move(reason);
  return record.has_value();
}

}  // namespace gantry::storage
