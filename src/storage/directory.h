#pragma once

// The life cycle of what a store keeps on disk: small files replaced atomically, directories
// published atomically, damaged things set aside. Nothing here deletes what might be data.

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "core/error.h"
#include "storage/file.h"

namespace gantry::storage {

/// Names that end in this are leftovers of a crash: nothing refers to them.
inline constexpr std::string_view kTemporarySuffix = ".tmp";

/// Replaces `path` by a file with `bytes`: written beside it, synced, renamed, directory synced. A
/// crash leaves the old or the new content, never a mix.
Result<void> write_file_atomically(FileSystem& files, const Path& path,
                                   std::span<const std::byte> bytes);

/// The name under which the directory that is to become `path` is filled: path + ".tmp". Removes a
/// leftover of that name and creates it empty.
Result<Path> prepare_directory(FileSystem& files, const Path& path);

/// Syncs every file in `temporary`, then the directory itself, renames it to `path` and syncs the
/// parent. `files_are_synced`: the caller has synced the files (not the directory) already.
enum class FilesSynced : bool { No, Yes };
Result<void> publish_directory(FileSystem& files, const Path& temporary, const Path& path,
                               FilesSynced files_are_synced);

/// Removes every entry of `directory` whose name ends in kTemporarySuffix.
Result<void> remove_temporaries(FileSystem& files, const Path& directory);

/// Moves `path` (file or directory) into `quarantine_directory` under its own name, numbered if
/// that is taken, and returns where it is now. Both directories are synced.
Result<Path> move_to_quarantine(FileSystem& files, const Path& path,
                                const Path& quarantine_directory);

/// Writes `bytes` as a new file in `quarantine_directory` named after `name`, numbered if taken.
Result<Path> copy_to_quarantine(FileSystem& files, std::span<const std::byte> bytes,
                                std::string_view name, const Path& quarantine_directory);

/// Makes `directory` if needed and takes its lock (a file named "lock"). Errors: FailedPrecondition
/// ("data directory … is in use: … is held by pid 1234").
Result<std::unique_ptr<FileLock>> lock_directory(FileSystem& files, const Path& directory);

}  // namespace gantry::storage
