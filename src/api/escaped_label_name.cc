#include "api/escaped_label_name.h"

#include <charconv>
#include <cstdint>
#include <optional>

#include "core/utf8.h"

namespace gantry::api {
namespace {

constexpr std::size_t kDigitsMax = 5;

/// The code point of hexadecimal digits; nothing for a surrogate, which no text has.
std::optional<char32_t> read_code_point(std::string_view digits) {
  if (digits.empty() || digits.size() > kDigitsMax) return std::nullopt;
  std::uint32_t code_point = 0;
  const char* const end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, code_point, 16);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  if (code_point >= 0xd800 && code_point <= 0xdfff) return std::nullopt;
  return static_cast<char32_t>(code_point);
}

}  // namespace

std::string unescape_label_name(std::string_view name) {
  constexpr std::string_view kPrefix = "U__";
  if (!name.starts_with(kPrefix)) return std::string(name);
  std::string out;
  std::string_view rest = name.substr(kPrefix.size());
  while (!rest.empty()) {
    if (rest.front() != '_') {
      out.push_back(rest.front());
      rest.remove_prefix(1);
      continue;
    }
    if (rest.starts_with("__")) {
      out.push_back('_');
      rest.remove_prefix(2);
      continue;
    }
    const std::size_t end = rest.find('_', 1);
    if (end == std::string_view::npos) return std::string(name);
    const std::optional<char32_t> code_point = read_code_point(rest.substr(1, end - 1));
    if (!code_point) return std::string(name);
    core::append_utf8(out, *code_point);
    rest.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace gantry::api
