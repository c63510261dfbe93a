#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "collect/proc_text_internal.h"

namespace gantry::collect {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

struct Descriptor {
  explicit Descriptor(const std::string& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}

  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }

  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd;
};

std::unexpected<Error> read_failed(const std::string& path) {
  const int error = errno;
  return fail(error == ENOENT ? Code::NotFound : Code::Internal,
              fmt::format("reading {}: {}", path, std::strerror(error)));
}

}  // namespace

Result<std::string> read_proc_file(const std::string& path) {
  const Descriptor file(path);
  if (file.fd < 0) return read_failed(path);
  std::string text;
  std::array<char, 16384> piece;
  for (;;) {
    const ssize_t count = ::read(file.fd, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return read_failed(path);
    if (count == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
    if (text.size() > kFileBytesMax) {
      return fail(Code::TooLarge, fmt::format("{} is larger than {} bytes", path, kFileBytesMax));
    }
  }
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string_view> split_words(std::string_view line) {
  constexpr std::string_view kSpace = " \t";
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t start = line.find_first_not_of(kSpace);
    if (start == std::string_view::npos) return words;
    line.remove_prefix(start);
    const std::size_t end = std::min(line.find_first_of(kSpace), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::optional<double> parse_number(std::string_view word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t start = text.find_first_not_of(kSpace);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kSpace) - start + 1);
}

}  // namespace gantry::collect
