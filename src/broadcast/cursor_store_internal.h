#pragma once

// The cursor files of the queue: cursors/<destination>.cursor, each replaced atomically.

#include <string>
#include <utility>
#include <vector>

#include "broadcast/queue_format_internal.h"
#include "core/error.h"
#include "core/mutex.h"
#include "storage/file.h"

namespace gantry::broadcast {

/// Thread-safe; of one destination one call at a time.
///
/// On a full disk cursors must still be written, or no segment could ever be removed: a file that
/// holds some space in reserve is given up for them then.
class CursorStore {
 public:
  CursorStore(storage::FileSystem& files, storage::Path directory)
      : files_(files), directory_(std::move(directory)) {}

  /// Makes the directory and reads what is in it. A damaged file is moved to its quarantine; the
  /// destination is there with the least of positions. Errors: FailedPrecondition (a newer format),
  /// those of File.
  Result<std::vector<CursorState>> open();

  /// On disk when it returns.
  Result<void> write(const CursorState& cursor);

  /// NotFound is no error.
  Result<void> remove(const DestinationId& id);

  /// Takes the reserve again if it was given up and there is room.
  void restore_reserve();

 private:
  [[nodiscard]] storage::Path path_of(const DestinationId& id) const;
  Result<void> make_reserve() GANTRY_REQUIRES(mutex_);
  Result<CursorState> read(const std::string& name, const DestinationId& id);

  storage::FileSystem& files_;
  const storage::Path directory_;
  core::Mutex mutex_;
  bool has_reserve_ GANTRY_GUARDED_BY(mutex_) = false;
};

}  // namespace gantry::broadcast
