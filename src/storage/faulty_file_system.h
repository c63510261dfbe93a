#pragma once

// A file system for tests, wholly in memory, that fails when told to and forgets what was not
// synced when the power is cut.
//
//   FaultyFileSystem files;
//   files.inject({.operation = Operation::Sync, .skip_count = 2, .fault = Fault::IoError});
//   …                    // the third sync fails
//   files.cut_power();   // only synced bytes and synced directory entries are left

#include <cstdint>
#include <memory>
#include <vector>

#include "core/mutex.h"
#include "storage/file.h"

namespace gantry::storage {

/// Thread-safe. Paths are absolute; the root "/" exists.
class FaultyFileSystem final : public FileSystem {
 public:
  enum class Operation : std::uint8_t {
    Any,
    Open,
    Read,
    Write,
    Sync,
    Truncate,
    Preallocate,
    Rename,
    Remove,
    CreateDirectory,
    List,
    SyncDirectory,
    AvailableBytes,
  };

  enum class Fault : std::uint8_t {
    IoError,     ///< EIO: Code::Internal. A write or sync has no effect.
    DiskFull,    ///< ENOSPC: Code::ResourceExhausted; a write has no effect.
    ShortWrite,  ///< Half of the bytes are written, then ENOSPC.
    LostSync,    ///< The sync reports success and makes nothing durable.
    BitFlip,     ///< A read succeeds with one bit wrong.
  };

  struct Injection {
    Operation operation = Operation::Any;
    Fault fault = Fault::IoError;
    std::uint64_t skip_count = 0;  ///< Operations of this kind that still work.
    std::uint64_t hit_count = 1;   ///< How many fail after that.
  };

  /// What survives of the bytes that were written but not synced.
  enum class Unsynced : std::uint8_t { Lost, RandomPrefix, RandomPages };

  FaultyFileSystem();
  ~FaultyFileSystem() override;

  void inject(Injection injection);
  void clear_injections();

  /// Operations seen so far, to choose a skip_count from.
  [[nodiscard]] std::uint64_t operation_count(Operation operation) const;

  /// Goes back to what is durable. Open files see it too; locks are released. `seed` drives the
  /// random choices.
  void cut_power(Unsynced unsynced = Unsynced::Lost, std::uint64_t seed = 0);

  /// Limits what can be written in all (ENOSPC beyond) and what available_bytes says.
  void set_capacity(std::uint64_t bytes);

  /// Flips one bit of what is stored.
  Result<void> corrupt(const Path& path, std::uint64_t offset, std::uint8_t bit);

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

  struct State;  ///< Shared with the open files.

 private:
  std::shared_ptr<State> state_;
};

}  // namespace gantry::storage
