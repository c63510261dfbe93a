#include <string_view>
#include <vector>

#include "broadcast/cursor_store_internal.h"
#include "core/log.h"
#include "storage/directory.h"

namespace gantry::broadcast {
namespace {

constexpr std::string_view kSuffix = ".cursor";
constexpr std::string_view kReserveName = "reserve";
// The cursors of a hundred destinations with some hundred items in flight each.
constexpr std::size_t kReserveBytes = 256 << 10;
constexpr std::uint64_t kCursorBytesMax = 64 << 20;

}  // namespace

storage::Path CursorStore::path_of(const DestinationId& id) const {
  return directory_ / (id + std::string(kSuffix));
}

Result<CursorState> CursorStore::read(const std::string& name, const DestinationId& id) {
  const storage::Path path = directory_ / name;
  GANTRY_TRY(const std::vector<std::byte> bytes, read_file(files_, path, kCursorBytesMax));
  auto cursor = decode_cursor(bytes);
  if (cursor && cursor->destination == id) return cursor;
  if (!cursor && cursor.error().code == Code::FailedPrecondition) return cursor;
  GANTRY_TRY(const storage::Path kept_as,
             move_to_quarantine(files_, path, directory_ / "quarantine"));
  log::error("broadcast cursor damaged",
             {{"destination", id},
              {"reason", cursor ? "it belongs to another destination" : cursor.error().message},
              {"kept_as", kept_as.native()}});
  CursorState oldest{.destination = id, .resume = {}, .unfinished = {}};
  // Its file is gone now: a crash must not make it a new destination that begins at the end.
  GANTRY_CHECK(write(oldest));
  return oldest;
}

Result<std::vector<CursorState>> CursorStore::open() {
  GANTRY_CHECK(make_directories(files_, directory_));
  GANTRY_CHECK(remove_temporaries(files_, directory_));
  GANTRY_TRY(const std::vector<storage::DirectoryEntry> entries, files_.list(directory_));
  std::vector<CursorState> cursors;
  for (const storage::DirectoryEntry& entry : entries) {
    if (entry.name == kReserveName) {
      const core::Lock lock(mutex_);
      has_reserve_ = true;
    }
    if (entry.is_directory || !entry.name.ends_with(kSuffix)) continue;
    const DestinationId id = entry.name.substr(0, entry.name.size() - kSuffix.size());
    if (!is_destination_id(id)) continue;
    GANTRY_TRY(CursorState cursor, read(entry.name, id));
    cursors.push_back(std::move(cursor));
  }
  restore_reserve();
  return cursors;
}

Result<void> CursorStore::write(const CursorState& cursor) {
  std::vector<std::byte> bytes;
  encode_cursor(cursor, bytes);
  const storage::Path path = path_of(cursor.destination);
  auto written = write_file_atomically(files_, path, bytes);
  if (written || written.error().code != Code::ResourceExhausted) return written;
  {
    const core::Lock lock(mutex_);
    if (!has_reserve_) return written;
    GANTRY_CHECK(files_.remove(directory_ / kReserveName));
    has_reserve_ = false;
  }
  log::warn("broadcast cursor reserve given up", {{"directory", directory_.native()}});
  return write_file_atomically(files_, path, bytes);
}

Result<void> CursorStore::remove(const DestinationId& id) {
  if (auto removed = files_.remove(path_of(id)); !removed) {
    if (removed.error().code == Code::NotFound) return {};
    return removed;
  }
  return files_.sync_directory(directory_);
}

Result<void> CursorStore::make_reserve() {
  // Zeros would do, but a file system that compresses would keep no room for them.
  std::vector<std::byte> bytes(kReserveBytes);
  std::uint64_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::byte>(state >> 56);
  }
  return write_file_atomically(files_, directory_ / kReserveName, bytes);
}

void CursorStore::restore_reserve() {
  const core::Lock lock(mutex_);
  if (has_reserve_) return;
  // Without it a full disk is harder to get out of, and nothing else is worse.
  has_reserve_ = make_reserve().has_value();
}

}  // namespace gantry::broadcast
