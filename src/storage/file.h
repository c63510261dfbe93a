#pragma once

// Files as Gantry's stores need them: positioned reads and writes, explicit syncs of data and of
// directories. Everything durable goes through a FileSystem, so that tests can break it
// (faulty_file_system.h).

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"

namespace gantry::storage {

using Path = std::filesystem::path;

/// An open file. Positioned, without a cursor: reads may run beside each other and beside writes to
/// other offsets; one thread writes. Closes without syncing.
///
/// Errors of every call, with the path and the system's words: ResourceExhausted (disk or quota
/// full), NotFound, AlreadyExists, PermissionDenied, Internal (the device failed).
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  /// Fills `into` from `offset`; returns how many bytes there were, less only at the end of file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const = 0;

  /// Writes all of `bytes`. After an error some of them may be in the file.
  virtual Result<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;

  /// Data and size are on disk when this returns. After an error nothing may be assumed about what
  /// was written since the last success, and a retry would wrongly succeed (the kernel drops the
  /// dirty mark): give the file up.
  virtual Result<void> sync_data() = 0;

  /// Also releases what was preallocated beyond `size_bytes`.
  virtual Result<void> truncate(std::uint64_t size_bytes) = 0;

  /// Reserves disk space up to `size_bytes` without changing the file's size. Best effort: a file
  /// system that cannot is no error, a full disk is.
  virtual Result<void> preallocate(std::uint64_t size_bytes) = 0;

  virtual Result<std::uint64_t> size() const = 0;
};

/// Held for as long as it lives; the kernel releases it when the process dies.
class FileLock {
 public:
  FileLock() = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  virtual ~FileLock() = default;
};

enum class OpenMode : std::uint8_t {
  Read,       ///< Must exist.
  ReadWrite,  ///< Must exist.
  Create,     ///< Must not exist; opened for reading and writing.
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  std::uint64_t size_bytes = 0;  ///< 0 for directories.
};

/// Thread-safe.
class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) = 0;

  /// Atomic; replaces a file that `to` names. Durable after sync_directory of both parents.
  virtual Result<void> rename(const Path& from, const Path& to) = 0;

  /// A file or an empty directory. NotFound if there is none.
  virtual Result<void> remove(const Path& path) = 0;

  /// With everything below it. What is not there is no error.
  virtual Result<void> remove_all(const Path& path) = 0;

  /// Makes missing parents too; one that exists is no error. Durable after sync_directory of the
  /// parent.
  virtual Result<void> create_directories(const Path& path) = 0;

  /// Sorted by name.
  virtual Result<std::vector<DirectoryEntry>> list(const Path& directory) = 0;

  virtual Result<bool> exists(const Path& path) = 0;

  /// The entries (creations, renames, removals) of `directory` are on disk.
  virtual Result<void> sync_directory(const Path& directory) = 0;

  /// What an unprivileged process may still write on the file system that holds `path`.
  virtual Result<std::uint64_t> available_bytes(const Path& path) = 0;

  /// Creates `path`, locks it and writes this process's id into it. Errors: FailedPrecondition
  /// ("… is held by pid 1234").
  virtual Result<std::unique_ptr<FileLock>> lock(const Path& path) = 0;
};

/// The operating system's.
class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Result<void> rename(const Path& from, const Path& to) override;
  Result<void> remove(const Path& path) override;
  Result<void> remove_all(const Path& path) override;
  Result<void> create_directories(const Path& path) override;
  Result<std::vector<DirectoryEntry>> list(const Path& directory) override;
  Result<bool> exists(const Path& path) override;
  Result<void> sync_directory(const Path& directory) override;
  Result<std::uint64_t> available_bytes(const Path& path) override;
  Result<std::unique_ptr<FileLock>> lock(const Path& path) override;
};

/// The whole file. Errors: as File; TooLarge when it is larger than `bytes_max`.
Result<std::vector<std::byte>> read_file(FileSystem& files, const Path& path,
                                         std::uint64_t bytes_max);

/// Exactly `into.size()` bytes. DataLoss when the file ends before.
Result<void> read_exactly(const File& file, std::uint64_t offset, std::span<std::byte> into,
                          const Path& path_for_message);

}  // namespace gantry::storage
