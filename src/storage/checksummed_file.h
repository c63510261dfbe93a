#pragma once

// An immutable file of frames: pieces of some 64 KiB that are read, verified and cached one by one.
// Each has a CRC-32C and is compressed where that gains a tenth. A footer lists the frames and
// carries the owner's own bytes.
//
//   GANTRY_TRY(auto writer, FrameWriter::create(files, path, kFormat));
//   GANTRY_TRY(const std::uint32_t frame, writer->add(bytes, 1));
//   GANTRY_CHECK(writer->finish(footer));                   // everything is synced
//
//   GANTRY_TRY(auto reader, FrameReader::open(files, path, kFormat));   // verifies the footer
//   GANTRY_TRY(const auto bytes, reader->read(frame));                  // verifies the frame
//
// Format: docs/formats.md, "Checksummed files".

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "storage/file.h"

namespace gantry::storage {

/// Which kind of file this is.
struct FileFormat {
  std::string_view magic;  ///< Eight bytes.
  std::uint32_t version = 1;
};

inline constexpr std::size_t kFrameBytesTarget = 64 << 10;  ///< Where owners cut their frames.
inline constexpr std::size_t kFrameBytesMax = 256 << 20;

/// One thread. Errors of every call: those of File; then the file is lost.
class FrameWriter {
 public:
  static Result<std::unique_ptr<FrameWriter>> create(FileSystem& files, const Path& path,
                                                     const FileFormat& format);
  ~FrameWriter();
  FrameWriter(const FrameWriter&) = delete;
  FrameWriter& operator=(const FrameWriter&) = delete;

  /// A frame's number before its bytes are known. Each must be written before `finish`.
  [[nodiscard]] std::uint32_t reserve();

  /// `compression_level`: zstd's, 0 for none. At most kFrameBytesMax bytes.
  Result<void> write(std::uint32_t frame, std::span<const std::byte> bytes, int compression_level);

  /// reserve and write.
  Result<std::uint32_t> add(std::span<const std::byte> bytes, int compression_level);

  /// Bytes of the file so far.
  [[nodiscard]] std::uint64_t size_bytes() const;

  /// Writes the footer and syncs the file. Nothing may be called after it.
  Result<void> finish(std::span<const std::byte> footer);

 private:
  struct Impl;
  explicit FrameWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Thread-safe.
class FrameReader {
 public:
  /// Errors: DataLoss (header or footer), FailedPrecondition (a newer format), those of File.
  static Result<std::unique_ptr<FrameReader>> open(FileSystem& files, const Path& path,
                                                   const FileFormat& format);
  ~FrameReader();
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  [[nodiscard]] std::uint32_t version() const;
  [[nodiscard]] std::uint32_t frame_count() const;
  [[nodiscard]] std::uint64_t size_bytes() const;

  /// What the writer gave to `finish`. Valid as long as the reader.
  [[nodiscard]] std::span<const std::byte> footer() const;

  /// The frame's bytes as they were added. Errors: DataLoss (no such frame, bad checksum, does not
  /// decompress), those of File. Reads the disk each time.
  Result<std::vector<std::byte>> read(std::uint32_t frame) const;

 private:
  struct Impl;
  explicit FrameReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::storage
