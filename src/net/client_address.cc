#include "net/client_address.h"

#include <algorithm>
#include <vector>

#include "net/tokens_internal.h"

namespace gantry::net {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// "10.0.0.1", "10.0.0.1:80", "[::1]", "[::1]:80" as the address alone: proxies write all four.
std::string_view strip_port(std::string_view text) {
  if (text.starts_with('[')) return text.substr(1, std::min(text.find(']'), text.size()) - 1);
  const std::size_t colon = text.find(':');
  const bool has_port = colon != std::string_view::npos && text.find(':', colon + 1) == text.npos;
  return has_port ? text.substr(0, colon) : text;
}

/// All X-Forwarded-For fields as one list, the nearest hop last.
std::vector<std::string_view> forwarded_hops(const Headers& headers) {
  std::vector<std::string_view> hops;
  for (const auto& [name, value] : headers.fields()) {
    if (!equals_without_case(name, "X-Forwarded-For")) continue;
    std::string_view rest = value;
    while (true) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      hops.push_back(trim(rest.substr(0, comma)));
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return hops;
}

}  // namespace

std::string client_address(std::string_view peer, const Headers& headers,
                           std::span<const core::IpNetwork> trusted_proxies) {
  if (trusted_proxies.empty()) return std::string(peer);
  const auto is_trusted = [&](const core::IpAddress& address) {
    return std::ranges::any_of(trusted_proxies,
                               [&](const auto& network) { return network.contains(address); });
  };
  auto client = core::IpAddress::parse(peer);
  if (!client) return std::string(peer);
  const std::vector<std::string_view> hops = forwarded_hops(headers);
  for (auto hop = hops.rbegin(); hop != hops.rend() && is_trusted(*client); ++hop) {
    const auto address = core::IpAddress::parse(strip_port(*hop));
    if (!address) break;
    client = address;
  }
  return client->text();
}

}  // namespace gantry::net
