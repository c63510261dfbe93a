#include "net/egress_url.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

namespace gantry::net {
namespace {

constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::size_t kHostBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;

std::unexpected<Error> refuse(std::string_view what) {
  return fail(Code::InvalidArgument, fmt::format("not a usable URL: {}", what));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_host_character(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

std::uint16_t default_port(std::string_view scheme) {
  return scheme == "https" ? 443 : scheme == "grpc" ? 4317 : 80;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

bool is_hexadecimal(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

/// What some resolvers read as an address, or as the last part of one.
bool is_number(std::string_view label) {
  return std::ranges::all_of(label, is_digit) ||
         (label.starts_with("0x") && is_hexadecimal(label.substr(2)));
}

Result<void> check_name(std::string_view host) {
  if (host.empty()) return refuse("no host");
  if (host.size() > kHostBytesMax) return refuse("the host name is too long");
  std::string_view rest = host;
  std::string_view label;
  while (true) {
    label = rest.substr(0, rest.find('.'));
    if (label.empty()) return refuse("the host name has an empty label");
    if (label.size() > kLabelBytesMax) return refuse("a label of the host name is too long");
    if (!std::ranges::all_of(label, is_host_character))
      return refuse(
          "the host name has a character that host names do not have; names that are not "
          "ASCII are written in their xn-- form");
    if (label.size() == rest.size()) break;
    rest.remove_prefix(label.size() + 1);
  }
  if (is_number(label))
    return refuse("the host ends in a number and is not an address such as 192.0.2.1");
  return {};
}

Result<void> read_host(EgressUrl& url, std::string_view host) {
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return refuse("the bracket of the IPv6 address is not closed");
    host = host.substr(1, host.size() - 2);
    url.address = host.contains(':') ? core::IpAddress::parse(host) : std::nullopt;
    if (!url.address) return refuse("not an IPv6 address (without a zone)");
    url.host = url.address->text();
    return {};
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  url.host = lower_case(host);
  url.address = core::IpAddress::parse(url.host);
  if (url.address) {
    if (url.address->text() != url.host) return refuse("the address is not written canonically");
    return {};
  }
  return check_name(url.host);
}

Result<void> read_authority(EgressUrl& url, std::string_view authority) {
  if (authority.contains('@')) return refuse("it has a user name or a password");
  if (authority.contains('%')) return refuse("the host is percent-encoded");
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  GANTRY_CHECK(read_host(url, authority.substr(0, colon)));
  url.port = default_port(url.scheme);
  if (colon == std::string_view::npos) return {};
  const std::string_view port = authority.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (error != std::errc() || end != port.data() + port.size() || url.port == 0)
    return refuse("the port is not a number from 1 to 65535");
  return {};
}

}  // namespace

std::string EgressUrl::origin() const {
  const bool is_v6 = address && !address->is_v4();
  const std::string name = is_v6 ? fmt::format("[{}]", host) : host;
  if (port == default_port(scheme)) return fmt::format("{}://{}", scheme, name);
  return fmt::format("{}://{}:{}", scheme, name, port);
}

std::string EgressUrl::text() const {
  return origin() + target;
}

Result<EgressUrl> parse_egress_url(std::string_view text) {
  if (text.size() > kUrlBytesMax) return refuse("longer than 2048 bytes");
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f || c == '\\')
      return refuse("it has white space, a control character or a backslash");
  }
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return refuse("no scheme such as https://");
  EgressUrl url{.scheme = lower_case(text.substr(0, scheme_end))};
  if (url.scheme != "https" && url.scheme != "http" && url.scheme != "grpc")
    return refuse("the scheme is not https, http or grpc");
  const std::string_view rest = text.substr(scheme_end + 3);
  if (rest.contains('#')) return refuse("it has a fragment (#)");
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  GANTRY_CHECK(read_authority(url, rest.substr(0, end)));
  url.target = rest.substr(end);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  const bool is_ascii =
      std::ranges::all_of(url.target, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!is_ascii) return refuse("the path is not percent-encoded");
  if (url.text().size() > kUrlBytesMax) return refuse("longer than 2048 bytes");
  return url;
}

}  // namespace gantry::net
