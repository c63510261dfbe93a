#include "storage/file.h"

#include "fmt/core.h"

namespace gantry::storage {

Result<std::vector<std::byte>> read_file(FileSystem& files, const Path& path,
                                         std::uint64_t bytes_max) {
  GANTRY_TRY(const std::unique_ptr<File> file, files.open(path, OpenMode::Read));
  GANTRY_TRY(const std::uint64_t size, file->size());
  if (size > bytes_max) {
    return fail(Code::TooLarge, fmt::format("\"{}\" has {} bytes, the limit is {}", path.native(),
                                            size, bytes_max));
  }
  std::vector<std::byte> bytes(size);
  GANTRY_CHECK(read_exactly(*file, 0, bytes, path));
  return bytes;
}

Result<void> read_exactly(const File& file, std::uint64_t offset, std::span<std::byte> into,
                          const Path& path_for_message) {
  GANTRY_TRY(const std::size_t count, file.read_at(offset, into));
  if (count != into.size()) {
    return fail(Code::DataLoss,
                fmt::format("\"{}\" ends at byte {}, {} bytes at offset {} were expected",
                            path_for_message.native(), offset + count, into.size(), offset));
  }
  return {};
}

}  // namespace gantry::storage
