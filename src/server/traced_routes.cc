#include "server/traced_routes.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/own_span.h"

namespace gantry::server {
namespace {

using core::annotate_own_span;

constexpr std::size_t kTextBytesMax = 200;

std::int64_t size_of(const std::string& body) {
  return static_cast<std::int64_t>(body.size());
}

/// A header is whatever the client sent.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, kTextBytesMax));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  return out;
}

net::Response record_http(const net::Handler& handler, const std::string& name,
                          const std::string& route, std::string_view method, net::Request& request,
                          collect::OwnTraces& traces) {
  const auto parent = collect::parse_traceparent(request.headers.find("traceparent"));
  if (!traces.wants(parent)) return handler(request);
  core::OwnSpanRecording recording(name);
  annotate_own_span("http.request.method", std::string(method));
  annotate_own_span("http.route", route);
  annotate_own_span("client.address", request.peer_address);
  if (const auto agent = request.headers.find("User-Agent"); !agent.empty())
    annotate_own_span("user_agent.original", printable(agent));
  annotate_own_span("http.request.body.size", size_of(request.body));
  annotate_own_span("gantry.request_id", request.request_id);

  net::Response response = handler(request);

  annotate_own_span("http.response.status_code", std::int64_t{response.status});
  annotate_own_span("http.response.body.size", size_of(response.body));
  if (response.status >= 500) core::fail_own_span(net::status_text(response.status));
  traces.add(recording.take(), {.kind = telemetry::SpanKind::Server, .parent = parent});
  return response;
}

}  // namespace

net::Router trace_requests(const net::Router& router, collect::OwnTraces& traces) {
  net::Router traced;
  traced.set_error_renderer(router.error_renderer());
  for (const auto& route : router.routes()) {
    const std::string method(net::method_text(route->method));
    traced.add(route->method, route->pattern, route->options,
               [&traces, method, name = method + " " + route->pattern, pattern = route->pattern,
                handler = route->handler](net::Request& request) {
                 return record_http(handler, name, pattern, method, request, traces);
               });
  }
  return traced;
}

net::GrpcHandler trace_requests(net::GrpcHandler handler, collect::OwnTraces& traces) {
  return [&traces, handler = std::move(handler)](net::GrpcRequest& request) {
    const auto parent = collect::parse_traceparent(request.metadata.find("traceparent"));
    if (!traces.wants(parent)) return handler(request);
    // Without the leading slash: the name that RPC spans have.
    core::OwnSpanRecording recording(request.method.substr(1));
    annotate_own_span("rpc.system", std::string("grpc"));
    annotate_own_span("client.address", request.peer_address);
    annotate_own_span("rpc.request.body.size", size_of(request.body));
    annotate_own_span("gantry.request_id", request.request_id);

    net::GrpcResponse response = handler(request);

    annotate_own_span("rpc.grpc.status_code", static_cast<std::int64_t>(response.code));
    if (response.code != net::RpcCode::Ok) core::fail_own_span(response.message);
    traces.add(recording.take(), {.kind = telemetry::SpanKind::Server, .parent = parent});
    return response;
  };
}

}  // namespace gantry::server
