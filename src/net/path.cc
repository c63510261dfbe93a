#include <string>
#include <string_view>

#include <fmt/format.h>

#include "core/utf8.h"
#include "net/router.h"

namespace gantry::net {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::unexpected<Error> refuse(std::string_view what) {
  return fail(Code::InvalidArgument, fmt::format("invalid request path: {}", what));
}

/// Whether a proxy and this server might take the byte for something else than a plain character.
bool is_ambiguous(unsigned char byte) {
  return byte < 0x20 || byte == 0x7f || byte == '\\' || byte == ';';
}

/// Appends the decoded segment to `out`.
Result<void> decode_segment(std::string_view raw, std::string& out) {
  const std::size_t start = out.size();
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
      const int low = i + 2 < raw.size() ? hex_digit(raw[i + 2]) : -1;
      if (high < 0 || low < 0) return refuse("broken percent escape");
      c = static_cast<char>(high * 16 + low);
      i += 2;
      if (c == '/') return refuse("encoded slash (%2F)");
    }
    if (is_ambiguous(static_cast<unsigned char>(c))) {
      return refuse(fmt::format("character 0x{:02x}", static_cast<unsigned char>(c)));
    }
    out.push_back(c);
  }
  const std::string_view decoded = std::string_view(out).substr(start);
  if (decoded == "." || decoded == "..") return refuse("dot segment");
  if (!core::is_valid_utf8(decoded)) return refuse("not UTF-8");
  return {};
}

}  // namespace

Result<std::string> normalise_path(std::string_view raw_path) {
  if (raw_path.empty() || raw_path.front() != '/') return refuse("it does not start with '/'");
  if (raw_path.contains('#')) return refuse("fragment (#)");
  std::string out;
  out.reserve(raw_path.size());
  std::string_view rest = raw_path;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the slash
    out.push_back('/');
    const std::size_t end = std::min(rest.find('/'), rest.size());
    if (end == 0 && !rest.empty()) return refuse("empty segment (//)");
    GANTRY_CHECK(decode_segment(rest.substr(0, end), out));
    rest.remove_prefix(end);
  }
  return out;
}

}  // namespace gantry::net
