#pragma once

#include <cstdint>
#include <memory>

#include <boost/asio/ssl/context.hpp>

#include "core/error.h"
#include "net/server.h"

namespace gantry::net {

/// A server's side of TLS 1.2 and newer.
struct TlsIdentity {
  boost::asio::ssl::context context{boost::asio::ssl::context::tls_server};
  std::int64_t expires_unix_seconds = 0;  ///< Of the leaf certificate.
};

/// Errors: InvalidArgument naming the file: unreadable, not PEM, or the key is another's.
[[nodiscard]] Result<std::shared_ptr<TlsIdentity>> load_tls_identity(const TlsOptions& options);

}  // namespace gantry::net
