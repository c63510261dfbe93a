#include <charconv>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "net/server.h"

namespace gantry::net {
namespace {

bool is_ip(int family, const std::string& text) {
  in6_addr address{};
  return inet_pton(family, text.c_str(), &address) == 1;
}

}  // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::InvalidArgument,
                fmt::format("listen address \"{}\": {}; expected ADDR:PORT such as \":9490\", "
                            "\"127.0.0.1:9490\" or \"[::1]:9490\"",
                            text, why));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse("no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);

  ListenAddress address;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), address.port);
  if (error != std::errc() || end != port_text.data() + port_text.size()) {
    return refuse("the port is not a number from 0 to 65535");
  }
  if (host == "localhost") host = "127.0.0.1";
  const bool is_bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  address.host = is_bracketed ? host.substr(1, host.size() - 2) : host;
  if (is_bracketed && !is_ip(AF_INET6, address.host)) return refuse("not an IPv6 address");
  if (!is_bracketed && !address.host.empty() && !is_ip(AF_INET, address.host)) {
    return refuse("not an IPv4 address (IPv6 goes in brackets)");
  }
  return address;
}

}  // namespace gantry::net
