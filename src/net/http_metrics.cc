#include <utility>

#include "net/http_metrics_internal.h"

namespace gantry::net {
namespace {

std::string_view refusal_name(HttpRefusal reason) {
  switch (reason) {
    case HttpRefusal::Connections:
      return "connections";
    case HttpRefusal::TlsHandshake:
      return "tls_handshake";
    case HttpRefusal::BadRequest:
      return "bad_request";
    case HttpRefusal::HeaderTooLarge:
      return "header_too_large";
    case HttpRefusal::TargetTooLong:
      return "target_too_long";
    case HttpRefusal::HeaderTimeout:
      return "header_timeout";
    case HttpRefusal::BodyTooLarge:
      return "body_too_large";
    case HttpRefusal::BodyTimeout:
      return "body_timeout";
    case HttpRefusal::BodyMemory:
      return "body_memory";
    case HttpRefusal::WriteTimeout:
      return "write_timeout";
    case HttpRefusal::QueueFull:
      return "queue_full";
    case HttpRefusal::Streams:
      return "streams";
  }
  return "unknown";
}

}  // namespace

HandlerMetrics::HandlerMetrics(core::MetricRegistry& registry, std::string name)
    : registry_(registry),
      name_(std::move(name)),
      duration_(registry.histogram("gantry_http_request_duration_seconds",
                                   "Time from the end of the header to the end of the answer.",
                                   core::default_duration_bounds(), {{"handler", name_}})),
      in_flight_(registry.gauge("gantry_http_requests_in_flight", "Requests being answered.",
                                {{"handler", name_}})),
      body_bytes_(registry.counter("gantry_http_request_body_bytes_total",
                                   "Bytes of request bodies, as sent.", {{"handler", name_}})) {}

core::Counter& HandlerMetrics::requests(int status, Method method) {
  const core::Lock lock(mutex_);
  for (const StatusCounter& known : requests_) {
    if (known.status == status && known.method == method) return *known.counter;
  }
  core::Counter& made = registry_.counter("gantry_http_requests_total", "Requests answered.",
                                          {{"code", std::to_string(status)},
                                           {"handler", name_},
                                           {"method", std::string(method_text(method))}});
  requests_.push_back({.status = status, .method = method, .counter = &made});
  return made;
}

void HandlerMetrics::end(int status, Method method, double seconds,
                         std::uint64_t request_body_bytes) {
  in_flight_.add(-1);
  duration_.observe(seconds);
  body_bytes_.add(request_body_bytes);
  requests(status, method).add();
}

HttpMetrics::HttpMetrics(core::MetricRegistry& registry) : registry_(registry) {
  unrouted_ = &handler("none");
  streams_ = &registry.gauge("gantry_http_streams", "Answers that are being given over time.", {});
  for (std::size_t i = 0; i < kHttpRefusalCount; ++i) {
    const auto reason = static_cast<HttpRefusal>(i);
    refused_[i] = &registry.counter("gantry_http_rejected_total",
                                    "Connections and requests that the server itself refused.",
                                    {{"reason", std::string(refusal_name(reason))}});
  }
}

HandlerMetrics& HttpMetrics::handler(std::string_view name) {
  auto& slot = handlers_[std::string(name)];
  if (slot == nullptr) slot = std::make_unique<HandlerMetrics>(registry_, std::string(name));
  return *slot;
}

}  // namespace gantry::net
