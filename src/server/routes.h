#pragma once

// Which surface is found under which path of which listener.

#include <memory>
#include <vector>

#include "api/services.h"
#include "collect/own_traces.h"
#include "net/grpc_server.h"
#include "net/router.h"
#include "server/readiness.h"

namespace gantry::server {

/// Everything, at `server.listen`. `administration`: routes of people and of the control API.
/// `read_only`: the services behind the read-only door. Here and below, `traces`: where requests
/// are recorded, null for nowhere.
[[nodiscard]] std::shared_ptr<const net::Router> make_main_router(const api::Services& services,
                                                                  const net::Router& administration,
                                                                  const api::Services& read_only,
                                                                  const Readiness& readiness,
                                                                  collect::OwnTraces* traces);

/// OTLP alone, at `otlp.http_listen`.
[[nodiscard]] std::shared_ptr<const net::Router> make_otlp_router(const api::Services& services,
                                                                  const Readiness& readiness,
                                                                  collect::OwnTraces* traces);

[[nodiscard]] std::vector<net::GrpcMethod> make_grpc_methods(const api::Services& services,
                                                             const Readiness& readiness,
                                                             collect::OwnTraces* traces);

}  // namespace gantry::server
