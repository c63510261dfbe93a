#pragma once

// Connections of the streaming client: one, and those that wait for their next call.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "core/mutex.h"
#include "core/time.h"
#include "net/coroutine_internal.h"

namespace gantry::net {

/// Used by one call at a time, on that call's strand.
class ClientConnection {
 public:
  explicit ClientConnection(asio::io_context& io) : socket(io) {}

  Tcp::socket socket;
  std::optional<asio::ssl::stream<Tcp::socket&>> tls;
  boost::beast::flat_buffer buffer;  ///< Read and not parsed.
  bool is_reused = false;
  bool is_writing = false;
  bool has_write_failed = false;
  std::int64_t idle_since_ns = 0;

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return tls ? tls->async_read_some(buffers, std::forward<Token>(token))
               : socket.async_read_some(buffers, std::forward<Token>(token));
  }

  void close();

  /// The peer has neither closed it nor said anything. When nothing is under way.
  [[nodiscard]] bool is_quiet();

  /// Nothing that was received waits here: it would be taken for the next answer.
  [[nodiscard]] bool is_empty();
};

/// Open connections without a call, by origin. Thread-safe.
class IdleConnections {
 public:
  struct Limits {
    std::size_t per_origin_max = 0;
    std::size_t count_max = 0;
    DurationMs timeout{0};
  };

  explicit IdleConnections(Limits limits) : limits_(limits) {}

  /// The one that was used last; nullptr when there is none that still works.
  [[nodiscard]] std::shared_ptr<ClientConnection> take(const std::string& origin);

  /// Closes it when there are too many.
  void put(const std::string& origin, std::shared_ptr<ClientConnection> connection);

  /// Closes those that waited too long or that the peer closed.
  void sweep();

  void close_all();

  [[nodiscard]] std::size_t count() const;

 private:
  [[nodiscard]] bool is_usable(ClientConnection& connection, std::int64_t now_ns) const;

  const Limits limits_;
  mutable core::Mutex mutex_;
  std::unordered_map<std::string, std::vector<std::shared_ptr<ClientConnection>>> by_origin_
      GANTRY_GUARDED_BY(mutex_);
  std::size_t count_ GANTRY_GUARDED_BY(mutex_) = 0;
};

}  // namespace gantry::net
