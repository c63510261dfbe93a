#pragma once

// The life cycle of what a store keeps on disk: small files replaced atomically, directories
// published atomically, damaged things set aside. Nothing here deletes what might be data.

#include <cstddef>
#include <cstdint>
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

/// Whether the caller has synced the files of a directory (not the directory) already.
enum class FilesSynced : bool { No, Yes };

/// Syncs every file in `temporary`, unless that is done, then the directory itself, renames it to
/// `path`, where there is nothing yet, and syncs the parent.
Result<void> publish_directory(FileSystem& files, const Path& temporary, const Path& path,
                               FilesSynced files_are_synced);

/// Removes every entry of `directory` whose name ends in kTemporarySuffix.
Result<void> remove_temporaries(FileSystem& files, const Path& directory);

/// Moves `path` (file or directory) into `quarantine_directory` under its own name, numbered if
/// that is taken, and returns where it is now. Both directories are synced.
Result<Path> move_to_quarantine(FileSystem& files, const Path& path,
                                const Path& quarantine_directory);

/// Copies `length_bytes` of `source` from `offset_bytes` (fewer if it ends before) to a new, synced
/// file in `quarantine_directory` called `name`, numbered if taken.
Result<Path> copy_to_quarantine(FileSystem& files, const File& source, std::uint64_t offset_bytes,
                                std::uint64_t length_bytes, const Path& quarantine_directory,
                                std::string_view name);

/// Makes `path` and its missing parents, each synced into the one above it.
Result<void> make_directories(FileSystem& files, const Path& path);

/// Makes `directory` if needed and takes its lock (a file named "lock"). Errors: FailedPrecondition
/// ("data directory … is in use: … is held by pid 1234").
Result<std::unique_ptr<FileLock>> lock_directory(FileSystem& files, const Path& directory);

}  // namespace gantry::storage
