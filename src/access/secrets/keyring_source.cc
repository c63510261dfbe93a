#include "access/secrets/keyring_source.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/secret_key.h"

namespace gantry::access {
namespace {

constexpr std::string_view kCredentialsVariable = "CREDENTIALS_DIRECTORY";
constexpr std::size_t kFileBytesMax = 64 * 1024;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}

  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int value() const { return fd_; }

 private:
  int fd_;
};

std::unexpected<Error> system_failure(const std::filesystem::path& path) {
  const int number = errno;
  return fail(number == ENOENT ? Code::NotFound : Code::Internal,
              fmt::format("{}: {}", path.string(), std::strerror(number)));
}

/// Root works on the files of the user that the server runs as.
bool is_owner_of_directory(uid_t user, const std::filesystem::path& path) {
  const auto directory = path.parent_path();
  struct stat status{};
  return ::stat(directory.empty() ? "." : directory.c_str(), &status) == 0 && status.st_uid == user;
}

/// Of the open file, so that it is the one that is read.
Result<void> check_mode(int fd, const std::filesystem::path& path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return system_failure(path);
  if ((status.st_mode & 077U) != 0)
    return fail(Code::PermissionDenied,
                fmt::format("{} has mode {:04o}, others than its owner may use it: chmod 600",
                            path.string(), status.st_mode & 07777U));
  const bool is_trusted = status.st_uid == ::geteuid() || status.st_uid == 0 ||
                          (::geteuid() == 0 && is_owner_of_directory(status.st_uid, path));
  if (!is_trusted)
    return fail(Code::PermissionDenied,
                fmt::format("{} belongs to user {}, this process is user {}: chown it",
                            path.string(), status.st_uid, ::geteuid()));
  return {};
}

Result<Secret> read_private(const KeyringSource& source) {
  const Descriptor file(::open(source.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.value() < 0) return system_failure(source.path);
  // systemd's own credentials have modes and access lists that let the service in, and nobody else.
  if (source.kind == KeyringSource::Kind::File) GANTRY_CHECK(check_mode(file.value(), source.path));
  Secret buffer(kFileBytesMax + 1);
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t got =
        ::read(file.value(), buffer.bytes().data() + filled, buffer.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure(source.path);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return Secret::copy_of(buffer.view().substr(0, filled));
}

Result<Keyring> parse_text(const KeyringSource& source, std::string_view text) {
  const bool is_one_key = source.kind == KeyringSource::Kind::Environment && !text.starts_with('{');
  auto keyring = is_one_key ? Keyring::of_one_key(text) : Keyring::parse(text);
  if (!keyring)
    return fail(keyring.error().code,
                fmt::format("{}: {}", source.name(), keyring.error().message));
  return keyring;
}

Result<void> check_is_file(const KeyringSource& source) {
  if (source.kind == KeyringSource::Kind::File) return {};
  return fail(
      Code::FailedPrecondition,
      fmt::format("the keyring comes from {}, which is changed where it is made", source.name()));
}

/// A file that root makes must be readable by the user that the server runs as.
Result<void> give_to_owner_of(const std::filesystem::path& like,
                              const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(like.c_str(), &status) != 0) return system_failure(like);
  if (::geteuid() == 0 && ::chown(path.c_str(), status.st_uid, status.st_gid) != 0)
    return system_failure(path);
  return {};
}

}  // namespace

std::string KeyringSource::name() const {
  return kind == Kind::Environment ? std::string(kMasterKeyVariable) : path.string();
}

KeyringSource find_keyring(const std::filesystem::path& data_directory,
                           std::span<const std::pair<std::string, std::string>> environment) {
  const auto value_of = [&](std::string_view name) -> std::string_view {
    const auto found =
        std::ranges::find(environment, name, &std::pair<std::string, std::string>::first);
    return found == environment.end() ? std::string_view() : found->second;
  };
  using Kind = KeyringSource::Kind;
  if (const auto text = value_of(kMasterKeyVariable); !text.empty())
    return {.kind = Kind::Environment, .path = {}, .text = std::string(text)};
  if (const auto directory = value_of(kCredentialsVariable); !directory.empty()) {
    const auto path = std::filesystem::path(directory) / kKeyringFile;
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored))
      return {.kind = Kind::Credential, .path = path, .text = {}};
  }
  return {.kind = Kind::File, .path = data_directory / kKeyringFile, .text = {}};
}

Result<Keyring> read_keyring(const KeyringSource& source) {
  GANTRY_CHECK(prepare_cryptography());
  if (source.kind == KeyringSource::Kind::Environment) return parse_text(source, source.text);
  GANTRY_TRY(const Secret text, read_private(source));
  return parse_text(source, text.view());
}

Result<void> create_keyring(const KeyringSource& source, const Keyring& keyring) {
  GANTRY_CHECK(check_is_file(source));
  GANTRY_CHECK(write_private_file(source.path, keyring.format().view()));
  const auto directory = source.path.parent_path();
  return give_to_owner_of(directory.empty() ? "." : directory, source.path);
}

Result<void> replace_keyring(const KeyringSource& source, const Keyring& keyring) {
  GANTRY_CHECK(check_is_file(source));
  std::filesystem::path next = source.path;
  next += ".next";
  std::error_code ignored;  // what an interrupted one has left
  std::filesystem::remove(next, ignored);
  GANTRY_CHECK(write_private_file(next, keyring.format().view()));
  GANTRY_CHECK(give_to_owner_of(source.path, next));
  if (::rename(next.c_str(), source.path.c_str()) != 0) return system_failure(source.path);
  return sync_parent_directory(source.path);
}

LiveKeyring::LiveKeyring(KeyringSource source, std::optional<Keyring> first)
    : source_(std::move(source)) {
  if (first) current_ = std::make_shared<const Keyring>(*std::move(first));
}

std::shared_ptr<const Keyring> LiveKeyring::current() const {
  const core::Lock lock(mutex_);
  return current_;
}

Result<std::shared_ptr<const Keyring>> LiveKeyring::read_again() {
  auto read = read_keyring(source_);
  if (!read && read.error().code == Code::NotFound)
    return fail(
        Code::FailedPrecondition,
        fmt::format("there is no {} to seal secrets with: gantry keyring init makes one, or "
                    "copy it from another replica",
                    source_.name()));
  if (!read) return std::unexpected(std::move(read).error());
  auto fresh = std::make_shared<const Keyring>(*std::move(read));
  const core::Lock lock(mutex_);
  current_ = fresh;
  return fresh;
}

Result<std::shared_ptr<const Secret>> LiveKeyring::find(std::string_view id) {
  std::shared_ptr<const Keyring> keyring = current();
  const KeyringKey* key = keyring ? keyring->find(id) : nullptr;
  if (key == nullptr) {
    GANTRY_TRY(keyring, read_again());
    key = keyring->find(id);
  }
  if (key == nullptr)
    return fail(Code::FailedPrecondition,
                fmt::format("sealed with key \"{}\", which is not in {}: restore it from a backup "
                            "or copy it from another replica",
                            id, source_.name()));
  return std::shared_ptr<const Secret>(keyring, &key->bytes);
}

}  // namespace gantry::access
