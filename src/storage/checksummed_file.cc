#include "storage/checksummed_file.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "fmt/core.h"
#include <zstd.h>

#include "core/hash.h"
#include "storage/byte_order.h"

namespace gantry::storage {
namespace {

// Header: magic 8, version 4, crc32c of these 12 bytes 4.
constexpr std::size_t kMagicBytes = 8;
constexpr std::size_t kHeaderBytes = 16;
// Footer: frame count 4, per frame {offset 8, stored bytes 4, raw bytes 4, crc32c of the stored
// bytes 4}, the owner's bytes.
constexpr std::size_t kFrameEntryBytes = 20;
// Trailer, the last bytes of the file: footer's offset 8, its bytes 4, its crc32c 4, magic 8.
constexpr std::size_t kTrailerBytes = 24;
/// A frame must shrink by a tenth to be worth decompressing at each read.
constexpr std::size_t kWorthwhilePercent = 90;
constexpr std::size_t kWriteBufferBytes = 1 << 20;

struct FrameEntry {
  std::uint64_t offset = 0;
  std::uint32_t stored_bytes = 0;
  std::uint32_t raw_bytes = 0;  ///< Equal to stored_bytes: not compressed.
  std::uint32_t crc = 0;
};

std::unexpected<Error> damaged(const Path& path, std::string_view what) {
  return fail(Code::DataLoss, fmt::format("\"{}\": {}", path.native(), what));
}

struct CompressionContext {
  ZSTD_CCtx* context = ZSTD_createCCtx();

  CompressionContext() = default;
  CompressionContext(const CompressionContext&) = delete;
  CompressionContext& operator=(const CompressionContext&) = delete;

  ~CompressionContext() { ZSTD_freeCCtx(context); }
};

struct DecompressionContext {
  ZSTD_DCtx* context = ZSTD_createDCtx();

  DecompressionContext() = default;
  DecompressionContext(const DecompressionContext&) = delete;
  DecompressionContext& operator=(const DecompressionContext&) = delete;

  ~DecompressionContext() { ZSTD_freeDCtx(context); }
};

}  // namespace

struct FrameWriter::Impl {
  std::unique_ptr<File> file;
  std::array<char, kMagicBytes> magic{};
  std::vector<FrameEntry> frames;
  std::vector<std::byte> buffer;  ///< Not yet written; ends at size_bytes.
  std::uint64_t size_bytes = 0;
  std::vector<std::byte> compressed;
  CompressionContext compression;

  Result<void> append(std::span<const std::byte> bytes) {
    buffer.insert(buffer.end(), bytes.begin(), bytes.end());
    size_bytes += bytes.size();
    if (buffer.size() < kWriteBufferBytes) return {};
    return flush();
  }

  Result<void> flush() {
    GANTRY_CHECK(file->write_at(size_bytes - buffer.size(), buffer));
    buffer.clear();
    return {};
  }

  /// The compressed bytes if they are worth it, else `bytes`.
  std::span<const std::byte> compress(std::span<const std::byte> bytes, int level) {
    if (level == 0 || bytes.empty()) return bytes;
    compressed.resize(ZSTD_compressBound(bytes.size()));
    const std::size_t size =
        ZSTD_compressCCtx(compression.context, compressed.data(), compressed.size(), bytes.data(),
                          bytes.size(), level);
    if (ZSTD_isError(size) != 0U) return bytes;
    if (size * 100 > bytes.size() * kWorthwhilePercent) return bytes;
    return std::span(compressed).first(size);
  }
};

FrameWriter::FrameWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

FrameWriter::~FrameWriter() = default;

Result<std::unique_ptr<FrameWriter>> FrameWriter::create(FileSystem& files, const Path& path,
                                                         const FileFormat& format) {
  GANTRY_ASSERT(format.magic.size() == kMagicBytes, "a magic has eight bytes");
  auto impl = std::make_unique<Impl>();
  GANTRY_TRY(impl->file, files.open(path, OpenMode::Create));
  std::memcpy(impl->magic.data(), format.magic.data(), kMagicBytes);
  std::vector<std::byte> header;
  const auto magic = std::as_bytes(std::span(impl->magic));
  header.insert(header.end(), magic.begin(), magic.end());
  append_le(header, format.version);
  append_le(header, core::crc32c(header));
  GANTRY_CHECK(impl->append(header));
  return std::unique_ptr<FrameWriter>(new FrameWriter(std::move(impl)));
}

std::uint32_t FrameWriter::reserve() {
  impl_->frames.emplace_back();
  return static_cast<std::uint32_t>(impl_->frames.size() - 1);
}

Result<void> FrameWriter::write(std::uint32_t frame, std::span<const std::byte> bytes,
                                int compression_level) {
  GANTRY_ASSERT(bytes.size() <= kFrameBytesMax, "owners cut their frames far below this");
  FrameEntry& entry = impl_->frames.at(frame);
  GANTRY_ASSERT(entry.offset == 0, "a frame is written once");
  const std::span<const std::byte> stored = impl_->compress(bytes, compression_level);
  entry = {.offset = impl_->size_bytes,
           .stored_bytes = static_cast<std::uint32_t>(stored.size()),
           .raw_bytes = static_cast<std::uint32_t>(bytes.size()),
           .crc = core::crc32c(stored)};
  return impl_->append(stored);
}

Result<std::uint32_t> FrameWriter::add(std::span<const std::byte> bytes, int compression_level) {
  const std::uint32_t frame = reserve();
  GANTRY_CHECK(write(frame, bytes, compression_level));
  return frame;
}

std::uint64_t FrameWriter::size_bytes() const {
  return impl_->size_bytes;
}

Result<void> FrameWriter::finish(std::span<const std::byte> footer) {
  std::vector<std::byte> tail;
  append_le(tail, static_cast<std::uint32_t>(impl_->frames.size()));
  for (const FrameEntry& entry : impl_->frames) {
    GANTRY_ASSERT(entry.offset != 0, "every reserved frame is written");
    append_le(tail, entry.offset);
    append_le(tail, entry.stored_bytes);
    append_le(tail, entry.raw_bytes);
    append_le(tail, entry.crc);
  }
  tail.insert(tail.end(), footer.begin(), footer.end());
  const std::uint32_t crc = core::crc32c(tail);
  const auto bytes = static_cast<std::uint32_t>(tail.size());
  append_le(tail, impl_->size_bytes);
  append_le(tail, bytes);
  append_le(tail, crc);
  const auto magic = std::as_bytes(std::span(impl_->magic));
  tail.insert(tail.end(), magic.begin(), magic.end());
  GANTRY_CHECK(impl_->append(tail));
  GANTRY_CHECK(impl_->flush());
  return impl_->file->sync_data();
}

struct FrameReader::Impl {
  std::unique_ptr<File> file;
  Path path;
  std::uint32_t version = 0;
  std::uint64_t size_bytes = 0;
  std::vector<FrameEntry> frames;
  std::vector<std::byte> footer;

  Result<void> read_header(const FileFormat& format);
  Result<void> read_footer(const FileFormat& format);
};

Result<void> FrameReader::Impl::read_header(const FileFormat& format) {
  std::array<std::byte, kHeaderBytes> header{};
  if (size_bytes < kHeaderBytes + kTrailerBytes) return damaged(path, "file is cut off");
  GANTRY_CHECK(read_exactly(*file, 0, header, path));
  const bool has_magic = std::memcmp(header.data(), format.magic.data(), kMagicBytes) == 0;
  if (!has_magic ||
      load_le<std::uint32_t>(header.data() + 12) != core::crc32c(std::span(header).first(12))) {
    return damaged(path, "header fails its checksum");
  }
  version = load_le<std::uint32_t>(header.data() + 8);
  if (version > format.version) {
    return fail(Code::FailedPrecondition,
                fmt::format("\"{}\" has format {}, this program reads up to {}: it was written by "
                            "a newer version",
                            path.native(), version, format.version));
  }
  return {};
}

Result<void> FrameReader::Impl::read_footer(const FileFormat& format) {
  std::array<std::byte, kTrailerBytes> trailer{};
  GANTRY_CHECK(read_exactly(*file, size_bytes - kTrailerBytes, trailer, path));
  const auto offset = load_le<std::uint64_t>(trailer.data());
  const auto bytes = load_le<std::uint32_t>(trailer.data() + 8);
  const std::uint64_t end = size_bytes - kTrailerBytes;
  const bool has_magic = std::memcmp(trailer.data() + 16, format.magic.data(), kMagicBytes) == 0;
  if (!has_magic || offset < kHeaderBytes || offset > end || end - offset != bytes || bytes < 4) {
    return damaged(path, "trailer is not one: the file is cut off or damaged");
  }
  std::vector<std::byte> tail(bytes);
  GANTRY_CHECK(read_exactly(*file, offset, tail, path));
  if (core::crc32c(tail) != load_le<std::uint32_t>(trailer.data() + 12)) {
    return damaged(path, "footer fails its checksum");
  }
  const auto count = load_le<std::uint32_t>(tail.data());
  if (count > (tail.size() - 4) / kFrameEntryBytes) return damaged(path, "footer is too short");
  frames.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::byte* at = tail.data() + 4 + i * kFrameEntryBytes;
    const FrameEntry entry{.offset = load_le<std::uint64_t>(at),
                           .stored_bytes = load_le<std::uint32_t>(at + 8),
                           .raw_bytes = load_le<std::uint32_t>(at + 12),
                           .crc = load_le<std::uint32_t>(at + 16)};
    if (entry.offset > offset || entry.stored_bytes > offset - entry.offset ||
        entry.raw_bytes > kFrameBytesMax || entry.stored_bytes > entry.raw_bytes) {
      return damaged(path, fmt::format("frame {} has an impossible place or size", i));
    }
    frames.push_back(entry);
  }
  footer.assign(tail.begin() + 4 + static_cast<std::ptrdiff_t>(count * kFrameEntryBytes),
                tail.end());
  return {};
}

FrameReader::FrameReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

FrameReader::~FrameReader() = default;

Result<std::unique_ptr<FrameReader>> FrameReader::open(FileSystem& files, const Path& path,
                                                       const FileFormat& format) {
  GANTRY_ASSERT(format.magic.size() == kMagicBytes, "a magic has eight bytes");
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  GANTRY_TRY(impl->file, files.open(path, OpenMode::Read));
  GANTRY_TRY(impl->size_bytes, impl->file->size());
  GANTRY_CHECK(impl->read_header(format));
  GANTRY_CHECK(impl->read_footer(format));
  return std::unique_ptr<FrameReader>(new FrameReader(std::move(impl)));
}

std::uint32_t FrameReader::version() const {
  return impl_->version;
}

std::uint32_t FrameReader::frame_count() const {
  return static_cast<std::uint32_t>(impl_->frames.size());
}

std::uint64_t FrameReader::size_bytes() const {
  return impl_->size_bytes;
}

std::span<const std::byte> FrameReader::footer() const {
  return impl_->footer;
}

Result<std::vector<std::byte>> FrameReader::read(std::uint32_t frame) const {
  if (frame >= impl_->frames.size()) {
    return damaged(impl_->path,
                   fmt::format("there is no frame {} of {}", frame, impl_->frames.size()));
  }
  const FrameEntry& entry = impl_->frames[frame];
  std::vector<std::byte> stored(entry.stored_bytes);
  GANTRY_CHECK(read_exactly(*impl_->file, entry.offset, stored, impl_->path));
  if (core::crc32c(stored) != entry.crc) {
    return damaged(impl_->path,
                   fmt::format("frame {} at byte {} fails its checksum", frame, entry.offset));
  }
  if (entry.stored_bytes == entry.raw_bytes) return stored;
  // A context is 150 KB and slow to make: one per thread that reads.
  thread_local const DecompressionContext decompression;
  std::vector<std::byte> raw(entry.raw_bytes);
  const std::size_t size = ZSTD_decompressDCtx(decompression.context, raw.data(), raw.size(),
                                               stored.data(), stored.size());
  if (ZSTD_isError(size) != 0U || size != raw.size()) {
    return damaged(impl_->path, fmt::format("frame {} does not decompress", frame));
  }
  return raw;
}

}  // namespace gantry::storage
