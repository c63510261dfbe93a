#pragma once

// The whole program as one object: from a Config to running listeners, and back down.
//
//   GANTRY_TRY(auto server, Server::start(config, [&] { return load_again(); }));
//   …
//   server->reload();        // SIGHUP
//   return server->stop();   // SIGTERM

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "access/first_start.h"
#include "core/error.h"
#include "net/router.h"
#include "server/config.h"

namespace gantry::server {

class Server {
 public:
  /// Where SIGHUP gets the configuration from.
  using ConfigSource = std::function<Result<Config>()>;

  /// Returns when the stores are open and requests are served. The listeners are there earlier and
  /// answer 503 while the log is replayed. `config` is validated. Errors: FailedPrecondition (the
  /// data directory is in use: the message says by whom; newer files), Unavailable (address in
  /// use), and what the parts report; nothing keeps running then.
  static Result<std::unique_ptr<Server>> start(Config config, ConfigSource source);

  /// stop()
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Reads the configuration and the certificate again and applies what can change while running;
  /// other changes are logged. With an error everything stays as it was. Not beside `stop`.
  Result<void> reload();

  /// Lets requests in flight finish (server.shutdown_timeout), then closes the stores so that the
  /// next start replays nothing. The first error, after everything was tried. A second call does
  /// nothing.
  Result<void> stop();

  /// The URL that clients are told to use.
  [[nodiscard]] const std::string& url() const;

  /// Of what was created on an empty data directory; absent at later starts.
  [[nodiscard]] const std::optional<access::FirstStart>& first_start() const;

  /// What is served at `server.listen`.
  [[nodiscard]] const net::Router& router() const;

  /// Ports that were bound; 0 for a listener that is off.
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::uint16_t otlp_http_port() const;
  [[nodiscard]] std::uint16_t otlp_grpc_port() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::server
