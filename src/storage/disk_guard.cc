#include "storage/disk_guard.h"

#include <utility>

#include "fmt/core.h"

#include "core/log.h"

namespace gantry::storage {

DiskGuard::DiskGuard(FileSystem& files, const Clock& clock, Path path, Options options)
    : files_(files), clock_(clock), path_(std::move(path)), options_(options) {
  GANTRY_ASSERT(options.resume_bytes >= options.floor_bytes,
                "configuration is validated: the resume mark is not below the floor");
}

void DiskGuard::reconfigure(Options options) {
  GANTRY_ASSERT(options.resume_bytes >= options.floor_bytes,
                "configuration is validated: the resume mark is not below the floor");
  const core::Lock lock(mutex_);
  options_ = options;
  is_checked_ = false;
}

void DiskGuard::refresh() {
  const TimestampMs now = clock_.now();
  // A clock that was set back must not switch the guard off until it has caught up.
  const bool is_fresh =
      is_checked_ && now >= checked_at_ && now - checked_at_ < options_.check_interval;
  if (is_fresh) return;
  checked_at_ = now;
  is_checked_ = true;
  const Result<std::uint64_t> available = files_.available_bytes(path_);
  if (!available) {
    log::warn("free disk space could not be read", {{"error", available.error().message}});
    return;
  }
  available_bytes_ = *available;
  const bool was_stopped = is_stopped_;
  is_stopped_ = available_bytes_ < (was_stopped ? options_.resume_bytes : options_.floor_bytes);
  if (is_stopped_ == was_stopped) return;
  if (is_stopped_) {
    log::error("writes stopped, disk nearly full", {{"path", path_.native()},
                                                    {"available_bytes", available_bytes_},
                                                    {"floor_bytes", options_.floor_bytes}});
  } else {
    log::info("writes resumed", {{"path", path_.native()}, {"available_bytes", available_bytes_}});
  }
}

Result<void> DiskGuard::check() {
  const core::Lock lock(mutex_);
  refresh();
  if (!is_stopped_) return {};
  return fail(
      Code::Unavailable,
      fmt::format("disk nearly full: \"{}\" has {} bytes free, writes stopped below {} "
                  "(storage.disk_free_min) and resume at {} (storage.disk_free_resume)",
                  path_.native(), available_bytes_, options_.floor_bytes, options_.resume_bytes));
}

bool DiskGuard::accepts_writes() {
  const core::Lock lock(mutex_);
  refresh();
  return !is_stopped_;
}

void DiskGuard::note_disk_full() {
  const core::Lock lock(mutex_);
  if (is_stopped_) return;
  log::error("writes stopped, disk full", {{"path", path_.native()}});
  is_stopped_ = true;
  // The look that is due next decides; one made just before the write failed says nothing.
  checked_at_ = clock_.now();
  is_checked_ = true;
}

std::uint64_t DiskGuard::available_bytes() const {
  const core::Lock lock(mutex_);
  return available_bytes_;
}

}  // namespace gantry::storage
