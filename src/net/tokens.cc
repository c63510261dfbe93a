#include <algorithm>
#include <array>
#include <ctime>
#include <random>

#include <fmt/format.h>

#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string random_id() {
  // An id for finding log lines, not a secret.
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return fmt::format("{:016x}{:016x}", random(), random());
}

}  // namespace

bool equals_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string request_id_from(std::string_view given) {
  constexpr std::size_t kLengthMax = 128;
  const bool is_usable = !given.empty() && given.size() <= kLengthMax &&
                         std::all_of(given.begin(), given.end(), is_id_character);
  return is_usable ? std::string(given) : random_id();
}

std::string_view http_date() {
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  thread_local std::time_t cached_second = 0;
  thread_local std::string cached;
  const std::time_t now = std::time(nullptr);
  if (now != cached_second || cached.empty()) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    cached_second = now;
    cached = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                         kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                         kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900,
                         utc.tm_hour, utc.tm_min, utc.tm_sec);
  }
  return cached;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  const auto append_clean = [&](std::string_view text) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back((byte < 0x20 && c != '\t') || byte == 0x7f ? ' ' : c);
    }
  };
  append_clean(name);
  out += ": ";
  append_clean(value);
  out += "\r\n";
}

}  // namespace gantry::net
