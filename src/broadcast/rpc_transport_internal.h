#pragma once

#include <memory>

#include "broadcast/net_transport.h"

namespace gantry::broadcast {

/// Takes the requests that have an rpc_method. Errors: InvalidArgument (ca_file).
[[nodiscard]] Result<std::unique_ptr<Transport>> make_rpc_transport(
    const NetTransportOptions& options);

}  // namespace gantry::broadcast
