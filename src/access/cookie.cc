#include "access/cookie.h"

#include <algorithm>

#include <fmt/core.h>

#include "core/error.h"

namespace gantry::access {
namespace {

constexpr std::size_t kCookieBytesMax = 4096;  // browsers keep no more, name included

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool equals_without_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool is_cookie_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

}  // namespace

std::optional<std::string> find_cookie(const net::Headers& headers, std::string_view name) {
  std::optional<std::string> found;
  for (const auto& [field, line] : headers.fields()) {
    if (!equals_without_case(field, "Cookie")) continue;
    std::string_view rest = line;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(';'), rest.size());
      const std::string_view pair = trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
      const std::string_view value = pair.substr(equals + 1);
      if (found && *found != value) return std::nullopt;
      found = value;
    }
  }
  return found;
}

std::string format_cookie(const Cookie& cookie) {
  GANTRY_ASSERT(std::ranges::all_of(cookie.value, is_cookie_character),
                "cookie values are made here, of characters that need no quoting");
  GANTRY_ASSERT(cookie.name.size() + cookie.value.size() <= kCookieBytesMax,
                "browsers keep no larger cookie");
  std::string text =
      fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax", cookie.name, cookie.value);
  if (cookie.transport == CookieTransport::Secure) text += "; Secure";
  if (cookie.max_age_seconds) text += fmt::format("; Max-Age={}", *cookie.max_age_seconds);
  return text;
}

std::string format_expired_cookie(std::string_view name, CookieTransport transport) {
  return format_cookie({.name = name, .value = "", .transport = transport, .max_age_seconds = 0});
}

}  // namespace gantry::access
