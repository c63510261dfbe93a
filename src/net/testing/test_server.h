#pragma once

// A server on port 0 with routes for each thing that a test wants to see.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/metrics.h"
#include "core/mutex.h"
#include "core/worker_pool.h"
#include "net/server.h"

namespace gantry::net::testing {

/// Polls with short pauses; fails the test after ten seconds.
void wait_until(const std::function<bool()>& condition);

/// Decodes a gzip, deflate or zstd body with the libraries themselves; "" when it is broken.
[[nodiscard]] std::string decode(std::string_view coding, std::string_view body);

class TestServer {
 public:
  struct Options {
    HttpLimits limits = {};
    std::size_t thread_count = 2;
    std::size_t queue_length_max = 64;
    std::string cors_origin = ".*";
    std::optional<TlsOptions> tls = std::nullopt;
    std::shared_ptr<IoThreads> io_threads = nullptr;
    std::function<void(Router&)> add_routes = nullptr;  ///< Besides those of every test.
  };

  TestServer() : TestServer(Options()) {}

  explicit TestServer(Options options);
  ~TestServer();

  [[nodiscard]] Server& server() { return *server_; }

  [[nodiscard]] std::uint16_t port() const { return server_->bound_port("main"); }

  [[nodiscard]] std::size_t queue_length() const { return pool_.queue_length(); }

  /// gantry_http_rejected_total of the reason.
  [[nodiscard]] double rejected(std::string_view reason) const;

  /// The sample whose label values, joined by '|' in name order, are these; -1 when there is none.
  [[nodiscard]] double metric(std::string_view name, std::string_view label_values) const;

  /// GET /block waits until release() or its cancellation, and answers which it was.
  void wait_for_blocked(int count);
  void release();
  /// Ends the wait of the first `count` requests.
  void release_first(int count);

  /// How many blocked handlers saw their token fire.
  [[nodiscard]] int cancelled_count();

 private:
  std::shared_ptr<Router> make_router();
  Response block(Request& request);

  core::Mutex mutex_;
  core::ConditionVariable changed_;
  int blocked_count_ GANTRY_GUARDED_BY(mutex_) = 0;
  int cancelled_count_ GANTRY_GUARDED_BY(mutex_) = 0;
  bool is_released_ GANTRY_GUARDED_BY(mutex_) = false;
  int released_first_ GANTRY_GUARDED_BY(mutex_) = 0;

  core::MetricRegistry metrics_;
  core::WorkerPool pool_;
  std::unique_ptr<Server> server_;
};

}  // namespace gantry::net::testing
