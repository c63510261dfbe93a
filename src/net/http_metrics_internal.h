#pragma once

// The HTTP server's own metrics. Every family exists from the start, at 0.

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/metrics.h"
#include "core/mutex.h"
#include "net/http.h"

namespace gantry::net {

/// Why the server itself turned a connection or request away; `reason` of
/// gantry_http_rejected_total.
enum class HttpRefusal : std::uint8_t {
  Connections,     ///< http.connections_max
  TlsHandshake,    ///< Failed or too slow.
  BadRequest,      ///< Not HTTP, or ambiguous.
  HeaderTooLarge,  ///< http.header_bytes_max, http.header_fields_max
  TargetTooLong,   ///< http.target_bytes_max
  HeaderTimeout,   ///< http.header_timeout
  BodyTooLarge,    ///< The route's limit.
  BodyTimeout,     ///< http.body_idle_timeout, http.body_bytes_per_second_min
  BodyMemory,      ///< http.bodies_bytes_max
  WriteTimeout,    ///< http.write_timeout
  QueueFull,       ///< The worker pool's queue.
  Streams,         ///< http.streams_max
};
inline constexpr std::size_t kHttpRefusalCount = 12;

/// One handler's counters. Thread-safe.
class HandlerMetrics {
 public:
  HandlerMetrics(core::MetricRegistry& registry, std::string name);

  [[nodiscard]] const std::string& name() const { return name_; }

  void begin() { in_flight_.add(1); }

  void end(int status, Method method, double seconds, std::uint64_t request_body_bytes);

 private:
  struct StatusCounter {
    int status = 0;
    Method method = Method::Get;
    core::Counter* counter = nullptr;
  };

  core::Counter& requests(int status, Method method) GANTRY_EXCLUDES(mutex_);

  core::MetricRegistry& registry_;
  std::string name_;
  core::Histogram& duration_;
  core::Gauge& in_flight_;
  core::Counter& body_bytes_;
  core::Mutex mutex_;
  std::vector<StatusCounter> requests_ GANTRY_GUARDED_BY(mutex_);
};

/// Thread-safe after the handlers were made.
class HttpMetrics {
 public:
  explicit HttpMetrics(core::MetricRegistry& registry);

  /// Makes it on the first call for the name; before the server starts.
  HandlerMetrics& handler(std::string_view name);

  /// Requests that reached no handler.
  HandlerMetrics& unrouted() { return *unrouted_; }

  void refuse(HttpRefusal reason) { refused_[static_cast<std::size_t>(reason)]->add(); }

  /// Answers that are being given over time.
  core::Gauge& streams() { return *streams_; }

  [[nodiscard]] core::MetricRegistry& registry() { return registry_; }

 private:
  core::MetricRegistry& registry_;
  std::map<std::string, std::unique_ptr<HandlerMetrics>, std::less<>> handlers_;
  HandlerMetrics* unrouted_ = nullptr;
  core::Gauge* streams_ = nullptr;
  std::array<core::Counter*, kHttpRefusalCount> refused_{};
};

}  // namespace gantry::net
