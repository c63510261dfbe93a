#pragma once

// Ready or not: before the stores are open, and once the process is told to stop, nothing but the
// health checks is served.

#include <atomic>

#include "net/grpc_server.h"
#include "net/router.h"

namespace gantry::server {

/// Thread-safe. What happened before `set(true)` is visible to whoever sees it ready.
class Readiness {
 public:
  void set(bool is_ready) { is_ready_.store(is_ready, std::memory_order_release); }

  [[nodiscard]] bool is_ready() const { return is_ready_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> is_ready_ = false;
};

/// The same routes, each answering 503 with Retry-After in its API's own way until ready.
/// `readiness` must outlive the result.
[[nodiscard]] net::Router serve_when_ready(const net::Router& router, const Readiness& readiness);

/// The same for gRPC: UNAVAILABLE.
[[nodiscard]] net::GrpcHandler serve_when_ready(net::GrpcHandler handler,
                                                const Readiness& readiness);

/// /-/healthy (the process runs) and /-/ready (200 or 503), as in Prometheus.
void add_health_routes(net::Router& router, const Readiness& readiness);

}  // namespace gantry::server
