#pragma once

// The HTTP/1.1 server: several listeners, each with its router, on one set of I/O threads.
// Handlers run on worker pools and may block.
//
//   GANTRY_TRY(auto server, Server::start(options, {{.name = "main", .address = ":9490",
//                                                    .router = router}}));
//   server->bound_port("main");
//   …
//   server->stop({.count = 10'000});

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/ip_network.h"
#include "core/metrics.h"
#include "core/time.h"
#include "core/worker_pool.h"
#include "net/io_threads.h"
#include "net/router.h"

namespace gantry::net {

/// PEM files. TLS 1.2 and newer.
struct TlsOptions {
  std::string certificate_file;  ///< The chain, leaf first.
  std::string private_key_file;
};

/// Each limit is named in the answer or the counter that it causes by its setting, `http.` and the
/// field's name.
struct HttpLimits {
  std::size_t connections_max = 4096;       ///< One more is answered 503 and closed.
  std::size_t header_bytes_max = 32 << 10;  ///< Request line and fields; 431.
  std::size_t header_fields_max = 100;      ///< 431.
  std::size_t target_bytes_max = 16 << 10;  ///< 414.
  DurationMs tls_handshake_timeout{10'000};
  DurationMs header_timeout{10'000};     ///< From the first byte (or connection) to the end of the
                                         ///< header; 408.
  DurationMs body_idle_timeout{30'000};  ///< Between two pieces of a body; 408.
  std::uint64_t bodies_bytes_max = 1ULL << 30;     ///< Of all requests that are held at once; 503.
  std::uint64_t body_bytes_per_second_min = 1024;  ///< Slower on average, after body_idle_timeout:
                                                   ///< 408.
  DurationMs write_timeout{30'000};        ///< For each 256 KiB of an answer; then it is cut.
  DurationMs keep_alive_timeout{120'000};  ///< Between two requests.
  std::size_t streams_max = 3072;          ///< Answers that are given over time (answer_stream.h),
                                           ///< at once; one more is answered 503.
};

struct ServerOptions {
  core::WorkerPool& query_pool;
  core::WorkerPool& ingest_pool;
  core::MetricRegistry& metrics;
  HttpLimits limits;
  std::shared_ptr<IoThreads> io_threads;  ///< Null: two of its own.
  std::string cors_origin = ".*";  ///< RE2, matched against the whole Origin. ".*" answers "*".
  std::vector<core::IpNetwork> trusted_proxies = {};  ///< Whose X-Forwarded-For is believed.
};

struct ListenerOptions {
  std::string name;     ///< "main", "otlp": in metrics, logs and bound_port().
  std::string address;  ///< See parse_listen_address.
  std::shared_ptr<const Router> router;
  std::optional<TlsOptions> tls;
};

/// Thread-safe. The pools, the registry and everything that handlers refer to must outlive it.
class Server {
 public:
  /// Binds every listener, then accepts. Errors: InvalidArgument (address, certificate, pattern),
  /// Unavailable (address in use), PermissionDenied; nothing is bound then.
  static Result<std::unique_ptr<Server>> start(ServerOptions options,
                                               std::vector<ListenerOptions> listeners);

  /// stop() without grace.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The port of the listener, also when port 0 was asked for; 0 when there is none of that name.
  [[nodiscard]] std::uint16_t bound_port(std::string_view listener) const;

  /// Reads the certificate files again; later connections use them. On an error every listener
  /// keeps what it had.
  Result<void> reload_tls();

  /// Stops accepting, closes idle connections, lets requests in flight finish for `grace`, then
  /// fires their cancel tokens and cuts their connections. Returns when every handler has returned.
  /// A second call returns once the first has.
  void stop(DurationMs grace);

  [[nodiscard]] std::size_t connection_count() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

struct ListenAddress {
  std::string host;  ///< A literal IP without brackets; "" is every interface, IPv4 and IPv6.
  std::uint16_t port = 0;
};

/// ":9490", "127.0.0.1:0", "[::1]:4318", "localhost:9490" (as 127.0.0.1). Errors: InvalidArgument.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace gantry::net
