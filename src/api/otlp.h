#pragma once

#include <vector>

#include "api/services.h"
#include "net/grpc_server.h"
#include "net/router.h"

namespace gantry::api {

/// OTLP/HTTP metrics and traces, protobuf and JSON, at /v1/{metrics,traces},
/// /otlp/v1/{metrics,traces} and /api/v1/otlp/v1/{metrics,traces}.
void add_otlp_routes(net::Router& router, const Services& services);

/// OTLP/gRPC: opentelemetry.proto.collector.metrics.v1.MetricsService/Export and
/// opentelemetry.proto.collector.trace.v1.TraceService/Export.
[[nodiscard]] std::vector<net::GrpcMethod> otlp_grpc_methods(const Services& services);

}  // namespace gantry::api
