#include "access/secret_key.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>

#include <fcntl.h>
#include <fmt/core.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/log.h"

namespace gantry::access {
namespace {

constexpr std::string_view kMagic = "gantry-secret-key ";
constexpr std::string_view kVersion = "1";

Error system_error(std::string_view doing, const std::filesystem::path& path) {
  const int number = errno;
  const Code code = number == EEXIST                       ? Code::AlreadyExists
                    : number == ENOENT                     ? Code::NotFound
                    : number == ENOSPC || number == EDQUOT ? Code::ResourceExhausted
                                                           : Code::Internal;
  return Error{.code = code,
               .message = fmt::format("{} {}: {}", doing, path.string(), std::strerror(number))};
}

/// Takes the next line off `text`.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

std::optional<Pepper> parse_pepper(std::string_view line) {
  Pepper pepper;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), pepper.id);
  if (error != std::errc() || end == line.data() + line.size() || *end != ' ') return std::nullopt;
  const std::string_view hex = line.substr(static_cast<std::size_t>(end - line.data()) + 1);
  std::size_t length = 0;
  if (hex.size() != 2 * pepper.bytes.size() ||
      sodium_hex2bin(pepper.bytes.data(), pepper.bytes.size(), hex.data(), hex.size(), nullptr,
                     &length, nullptr) != 0 ||
      length != pepper.bytes.size())
    return std::nullopt;
  return pepper;
}

std::string checksum_line(std::string_view body) {
  return fmt::format("crc32c {:08x}", core::crc32c(core::as_bytes(body)));
}

Result<void> write_all(int fd, std::string_view content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return std::unexpected(system_error("writing", path));
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(fd) != 0) return std::unexpected(system_error("syncing", path));
  return {};
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(system_error("opening", directory));
  const int synced = ::fsync(fd);
  Error error = system_error("syncing", directory);
  ::close(fd);
  if (synced != 0) return std::unexpected(std::move(error));
  return {};
}

}  // namespace

Result<void> prepare_cryptography() {
  if (sodium_init() < 0) return fail(Code::Internal, "libsodium could not be initialised");
  return {};
}

Result<void> write_private_file(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return std::unexpected(system_error("creating", temporary));
  auto written = write_all(fd, content, temporary);
  ::close(fd);
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  // link, not rename: an existing file is never replaced.
  const int linked = ::link(temporary.c_str(), path.c_str());
  Error error = system_error("creating", path);
  ::unlink(temporary.c_str());
  if (linked != 0) return std::unexpected(std::move(error));
  return sync_parent_directory(path);
}

Result<void> sync_parent_directory(const std::filesystem::path& path) {
  return sync_directory(path.parent_path().empty() ? "." : path.parent_path());
}

std::string format_secret_key(const SecretKey& key) {
  std::string text = fmt::format("{}{}\n", kMagic, kVersion);
  for (const Pepper& pepper : key.peppers) {
    std::array<char, 2 * sizeof(pepper.bytes) + 1> hex{};
    sodium_bin2hex(hex.data(), hex.size(), pepper.bytes.data(), pepper.bytes.size());
    text += fmt::format("pepper {} {}\n", pepper.id, hex.data());
  }
  return text + checksum_line(text) + "\n";
}

Result<SecretKey> parse_secret_key(std::string_view text) {
  std::string_view rest = text;
  const std::string_view first = take_line(rest);
  if (!first.starts_with(kMagic)) return fail(Code::DataLoss, "not a gantry secret key");
  if (first.substr(kMagic.size()) != kVersion)
    return fail(Code::FailedPrecondition,
                fmt::format("written by a newer gantry: secret key version {}, this program knows "
                            "version {}",
                            first.substr(kMagic.size()), kVersion));
  SecretKey key;
  while (rest.starts_with("pepper ")) {
    const auto pepper = parse_pepper(take_line(rest).substr(7));
    if (!pepper) return fail(Code::DataLoss, "damaged secret key: bad pepper line");
    key.peppers.push_back(*pepper);
  }
  const std::string_view body = text.substr(0, text.size() - rest.size());
  if (take_line(rest) != checksum_line(body) || !rest.empty() || !text.ends_with('\n') ||
      key.peppers.empty())
    return fail(Code::DataLoss, "damaged secret key: the checksum does not match");
  return key;
}

Result<SecretKey> read_secret_key(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::unexpected(system_error("reading", path));
  if ((status.st_mode & 077U) != 0)
    log::warn("secret key readable by others", {{"path", path.string()}, {"want_mode", "0600"}});
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return std::unexpected(system_error("reading", path));
  auto key = parse_secret_key(text);
  if (!key) key.error().message = fmt::format("{}: {}", path.string(), key.error().message);
  return key;
}

Result<SecretKey> create_secret_key(const std::filesystem::path& path) {
  GANTRY_CHECK(prepare_cryptography());
  SecretKey key;
  Pepper& pepper = key.peppers.emplace_back();
  pepper.id = 1;
  randombytes_buf(pepper.bytes.data(), pepper.bytes.size());
  GANTRY_CHECK(write_private_file(path, format_secret_key(key)));
  return key;
}

}  // namespace gantry::access
