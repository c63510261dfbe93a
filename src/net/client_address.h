#pragma once

// Who the client is when reverse proxies stand before the server.

#include <span>
#include <string>
#include <string_view>

#include "core/ip_network.h"
#include "net/http.h"

namespace gantry::net {

/// The IP of the client: the socket's peer, unless that is a trusted proxy. Then the last address
/// of X-Forwarded-For that is not a trusted proxy, as each proxy appends whom it heard. When the
/// header ends in something that is no address, the proxy that sent it is all that is known.
[[nodiscard]] std::string client_address(std::string_view peer, const Headers& headers,
                                         std::span<const core::IpNetwork> trusted_proxies);

}  // namespace gantry::net
