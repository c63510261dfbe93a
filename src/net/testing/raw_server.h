#pragma once

// A server that sends exactly the bytes it is told to, for tests of clients.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/testing/raw_client.h"

namespace gantry::net::testing {

/// Listens on 127.0.0.1 and runs the script for each connection, on a thread of its own. The
/// connection closes when the script returns. The destructor cuts what is open and waits.
class RawServer {
 public:
  class Connection {
   public:
    /// Header and body (by Content-Length); "" at the end of the connection.
    std::string read_request();

    /// False when the peer has closed.
    bool send(std::string_view bytes);

    /// As much as the peer takes in without reading: returns when nothing went out for 100 ms, or
    /// after `bytes_max`. How much that was.
    std::size_t send_until_stuck(std::size_t bytes_max);

    /// Returns when the peer has closed.
    void wait_for_end();

    /// Closes with a reset when the script returns.
    void reset();

   private:
    friend class RawServer;
    struct Impl;

    explicit Connection(Impl& impl) : impl_(impl) {}

    Impl& impl_;
  };

  /// `ordinal` counts connections from 0.
  using Script = std::function<void(Connection&, int ordinal)>;

  explicit RawServer(Script script, std::optional<CertificateFiles> tls = std::nullopt);
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  [[nodiscard]] int connection_count() const;

  /// Of those, whose end has not been sent.
  [[nodiscard]] int open_count() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::net::testing
