#pragma once

#include <memory>

#include "broadcast/net_transport.h"

namespace gantry::broadcast {

/// Takes the requests that have an rpc_method. gRPC's threads begin with the first of them.
[[nodiscard]] std::unique_ptr<Transport> make_rpc_transport(const NetTransportOptions& options);

}  // namespace gantry::broadcast
