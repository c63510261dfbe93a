#include "storage/directory.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "fmt/core.h"

namespace gantry::storage {
namespace {

constexpr std::uint64_t kCopyBufferBytes = 1 << 20;

Path with_suffix(const Path& path) {
  Path temporary = path;
  temporary += kTemporarySuffix;
  return temporary;
}

Result<void> sync_parent(FileSystem& files, const Path& path) {
  // A path of one step lies in the working directory.
  const Path parent = path.parent_path();
  return files.sync_directory(parent.empty() ? Path(".") : parent);
}

/// A name in `directory` that nothing has: `name`, else name.1, name.2, …
Result<Path> find_free_name(FileSystem& files, const Path& directory, std::string_view name) {
  Path candidate = directory / name;
  for (std::uint32_t number = 1;; ++number) {
    GANTRY_TRY(const bool is_taken, files.exists(candidate));
    if (!is_taken) return candidate;
    candidate = directory / fmt::format("{}.{}", name, number);
  }
}

Result<void> write_new_file(FileSystem& files, const Path& path, std::span<const std::byte> bytes) {
  GANTRY_TRY(const std::unique_ptr<File> file, files.open(path, OpenMode::Create));
  GANTRY_CHECK(file->write_at(0, bytes));
  return file->sync_data();
}

Result<void> remove_if_exists(FileSystem& files, const Path& path) {
  if (auto removed = files.remove(path); !removed && removed.error().code != Code::NotFound) {
    return removed;
  }
  return {};
}

}  // namespace

Result<void> write_file_atomically(FileSystem& files, const Path& path,
                                   std::span<const std::byte> bytes) {
  const Path temporary = with_suffix(path);
  GANTRY_CHECK(remove_if_exists(files, temporary));
  if (auto written = write_new_file(files, temporary, bytes); !written) {
    // The error that matters is the first one; a leftover is removed at the next start.
    static_cast<void>(files.remove(temporary));
    return written;
  }
  GANTRY_CHECK(files.rename(temporary, path));
  return sync_parent(files, path);
}

Result<Path> prepare_directory(FileSystem& files, const Path& path) {
  Path temporary = with_suffix(path);
  GANTRY_CHECK(files.remove_all(temporary));
  GANTRY_CHECK(files.create_directories(temporary));
  return temporary;
}

Result<void> publish_directory(FileSystem& files, const Path& temporary, const Path& path,
                               FilesSynced files_are_synced) {
  if (files_are_synced == FilesSynced::No) {
    GANTRY_TRY(const std::vector<DirectoryEntry> entries, files.list(temporary));
    for (const DirectoryEntry& entry : entries) {
      if (entry.is_directory) continue;
      GANTRY_TRY(const std::unique_ptr<File> file,
                 files.open(temporary / entry.name, OpenMode::ReadWrite));
      GANTRY_CHECK(file->sync_data());
    }
  }
  GANTRY_CHECK(files.sync_directory(temporary));
  GANTRY_CHECK(files.rename(temporary, path));
  return sync_parent(files, path);
}

Result<void> remove_temporaries(FileSystem& files, const Path& directory) {
  GANTRY_TRY(const std::vector<DirectoryEntry> entries, files.list(directory));
  for (const DirectoryEntry& entry : entries) {
    if (entry.name.ends_with(kTemporarySuffix)) {
      GANTRY_CHECK(files.remove_all(directory / entry.name));
    }
  }
  return {};
}

Result<Path> move_to_quarantine(FileSystem& files, const Path& path,
                                const Path& quarantine_directory) {
  GANTRY_CHECK(make_directories(files, quarantine_directory));
  GANTRY_TRY(Path target, find_free_name(files, quarantine_directory, path.filename().native()));
  GANTRY_CHECK(files.rename(path, target));
  GANTRY_CHECK(files.sync_directory(quarantine_directory));
  GANTRY_CHECK(sync_parent(files, path));
  return target;
}

Result<Path> copy_to_quarantine(FileSystem& files, const File& source, std::uint64_t offset_bytes,
                                std::uint64_t length_bytes, const Path& quarantine_directory,
                                std::string_view name) {
  GANTRY_CHECK(make_directories(files, quarantine_directory));
  GANTRY_TRY(Path target, find_free_name(files, quarantine_directory, name));
  GANTRY_TRY(const std::unique_ptr<File> copy, files.open(target, OpenMode::Create));
  std::vector<std::byte> buffer(std::min(length_bytes, kCopyBufferBytes));
  std::uint64_t done = 0;
  while (done < length_bytes) {
    const std::span<std::byte> piece =
        std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), length_bytes - done));
    GANTRY_TRY(const std::size_t count, source.read_at(offset_bytes + done, piece));
    GANTRY_CHECK(copy->write_at(done, piece.first(count)));
    done += count;
    if (count < piece.size()) break;
  }
  GANTRY_CHECK(copy->sync_data());
  GANTRY_CHECK(files.sync_directory(quarantine_directory));
  return target;
}

Result<void> make_directories(FileSystem& files, const Path& path) {
  std::vector<Path> missing;
  for (Path step = path; !step.empty(); step = step.parent_path()) {
    GANTRY_TRY(const bool exists, files.exists(step));
    if (exists || step == step.parent_path()) break;
    missing.push_back(step);
  }
  for (auto step = missing.rbegin(); step != missing.rend(); ++step) {
    GANTRY_CHECK(files.create_directories(*step));
    GANTRY_CHECK(sync_parent(files, *step));
  }
  return {};
}

Result<std::unique_ptr<FileLock>> lock_directory(FileSystem& files, const Path& directory) {
  GANTRY_CHECK(make_directories(files, directory));
  auto lock = files.lock(directory / "lock");
  if (!lock && lock.error().code == Code::FailedPrecondition) {
    return fail(Code::FailedPrecondition, fmt::format("data directory \"{}\" is in use: {}",
                                                      directory.native(), lock.error().message));
  }
  return lock;
}

}  // namespace gantry::storage
