#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>

#include "fmt/core.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "storage/file.h"

namespace gantry::storage {
namespace {

Code code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return Code::ResourceExhausted;
    case ENOENT:
      return Code::NotFound;
    case EEXIST:
      return Code::AlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::PermissionDenied;
    default:
      return Code::Internal;
  }
}

std::unexpected<Error> system_failure(std::string_view what, const Path& path, int error) {
  return fail(code_of(error), fmt::format("cannot {} \"{}\": {}", what, path.native(),
                                          std::generic_category().message(error)));
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}

  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}

  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;

  ~Descriptor() {
    // Whatever close says, the descriptor is gone, and what matters was synced before.
    if (value_ >= 0) static_cast<void>(::close(value_));
  }

  [[nodiscard]] int value() const { return value_; }

 private:
  int value_;
};

/// Retries a system call that a signal has interrupted.
template <class Call>
auto uninterrupted(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

Result<Descriptor> open_descriptor(const Path& path, int flags) {
  const int descriptor =
      uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0640); });
  if (descriptor < 0) return system_failure("open", path, errno);
  return Descriptor(descriptor);
}

class PosixFile final : public File {
 public:
  PosixFile(Path path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t count = uninterrupted([&] {
        return ::pread(descriptor_.value(), into.data() + done, into.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (count < 0) return system_failure("read", path_, errno);
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return done;
  }

  Result<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = uninterrupted([&] {
        return ::pwrite(descriptor_.value(), bytes.data() + done, bytes.size() - done,
                        static_cast<off_t>(offset + done));
      });
      if (count < 0) return system_failure("write to", path_, errno);
      if (count == 0) return system_failure("write to", path_, ENOSPC);
      done += static_cast<std::size_t>(count);
    }
    return {};
  }

  Result<void> sync_data() override {
    // Not repeated after EINTR: whether the dirty mark is gone by then is not specified.
    if (::fdatasync(descriptor_.value()) != 0) return system_failure("sync", path_, errno);
    return {};
  }

  Result<void> truncate(std::uint64_t size_bytes) override {
    const int result = uninterrupted(
        [&] { return ::ftruncate(descriptor_.value(), static_cast<off_t>(size_bytes)); });
    if (result != 0) return system_failure("truncate", path_, errno);
    return {};
  }

  Result<void> preallocate(std::uint64_t size_bytes) override {
    const int result = uninterrupted([&] {
      return ::fallocate(descriptor_.value(), FALLOC_FL_KEEP_SIZE, 0,
                         static_cast<off_t>(size_bytes));
    });
    if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return {};
    return system_failure("reserve space for", path_, errno);
  }

  Result<std::uint64_t> size() const override {
    struct stat status{};
    if (::fstat(descriptor_.value(), &status) != 0) return system_failure("stat", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  const Path path_;
  const Descriptor descriptor_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  const Descriptor descriptor_;
};

/// What the holder wrote: its process id. Empty when it has not come to that yet.
std::string read_holder(const Descriptor& descriptor) {
  std::array<char, 32> text{};
  const ssize_t count = ::pread(descriptor.value(), text.data(), text.size(), 0);
  if (count <= 0) return {};
  const std::string_view view(text.data(), static_cast<std::size_t>(count));
  const std::size_t end = view.find_first_not_of("0123456789");
  return std::string(view.substr(0, end));
}

}  // namespace

Result<std::unique_ptr<File>> PosixFileSystem::open(const Path& path, OpenMode mode) {
  int flags = O_RDONLY;
  if (mode == OpenMode::ReadWrite) flags = O_RDWR;
  if (mode == OpenMode::Create) flags = O_RDWR | O_CREAT | O_EXCL;
  GANTRY_TRY(Descriptor descriptor, open_descriptor(path, flags));
  return std::make_unique<PosixFile>(path, std::move(descriptor));
}

Result<void> PosixFileSystem::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return system_failure("rename", from, errno);
  return {};
}

Result<void> PosixFileSystem::remove(const Path& path) {
  if (::remove(path.c_str()) != 0) return system_failure("remove", path, errno);
  return {};
}

Result<void> PosixFileSystem::remove_all(const Path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return system_failure("remove", path, error.value());
  return {};
}

Result<void> PosixFileSystem::create_directories(const Path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return system_failure("create directory", path, error.value());
  return {};
}

Result<std::vector<DirectoryEntry>> PosixFileSystem::list(const Path& directory) {
  std::error_code error;
  std::filesystem::directory_iterator iterator(directory, error);
  if (error) return system_failure("list", directory, error.value());
  std::vector<DirectoryEntry> entries;
  const std::filesystem::directory_iterator end;
  while (iterator != end) {
    DirectoryEntry entry{.name = iterator->path().filename().native()};
    // An entry may vanish between the listing and the look at it: then it was never there.
    std::error_code ignored;
    entry.is_directory = iterator->is_directory(ignored);
    if (!entry.is_directory) {
      const auto size = iterator->file_size(ignored);
      entry.size_bytes = ignored ? 0 : size;
    }
    entries.push_back(std::move(entry));
    iterator.increment(error);
    if (error) return system_failure("list", directory, error.value());
  }
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

Result<bool> PosixFileSystem::exists(const Path& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return system_failure("stat", path, errno);
}

Result<void> PosixFileSystem::sync_directory(const Path& directory) {
  GANTRY_TRY(const Descriptor descriptor, open_descriptor(directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(descriptor.value()) != 0) return system_failure("sync directory", directory, errno);
  return {};
}

Result<std::uint64_t> PosixFileSystem::available_bytes(const Path& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0) return system_failure("ask for space of", path, errno);
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::lock(const Path& path) {
  GANTRY_TRY(Descriptor descriptor, open_descriptor(path, O_RDWR | O_CREAT));
  if (uninterrupted([&] { return ::flock(descriptor.value(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return system_failure("lock", path, errno);
    const std::string holder = read_holder(descriptor);
    return fail(Code::FailedPrecondition,
                fmt::format("\"{}\" is held by {}", path.native(),
                            holder.empty() ? "another process" : "pid " + holder));
  }
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor.value(), 0) != 0 ||
      ::pwrite(descriptor.value(), text.data(), text.size(), 0) < 0) {
    return system_failure("write to", path, errno);
  }
  return std::make_unique<PosixFileLock>(std::move(descriptor));
}

}  // namespace gantry::storage
