#pragma once

// Requests to destinations over net's clients, for HTTP and for gRPC: kept connections, and no
// address that egress.allow does not open.

#include <cstddef>
#include <memory>
#include <string>

#include "broadcast/transport.h"
#include "core/error.h"
#include "net/egress.h"

namespace gantry::broadcast {

/// Of an answer: what is longer is cut.
inline constexpr std::size_t kExportAnswerBytesMax = 64 << 10;

struct NetTransportOptions {
  const net::Egress& egress;  ///< Says where requests may go. Outlives the transport.
  std::string ca_file;        ///< PEM; the system's authorities when empty.
  std::size_t io_thread_count = 1;
};

/// Each `send` blocks its caller; all share the clients' threads and connections. No body that came
/// compressed is read: it was not asked for. When the transport goes, requests that are under way
/// have ended. Errors: InvalidArgument (ca_file).
[[nodiscard]] Result<std::unique_ptr<Transport>> make_net_transport(NetTransportOptions options);

}  // namespace gantry::broadcast
