#pragma once

// What all endpoints of destinations share.

#include <string>
#include <string_view>

#include "access/control_error.h"
#include "api/destinations.h"
#include "api/management_internal.h"
#include "broadcast/destination_rows.h"
#include "broadcast/replay_rows.h"
#include "net/http.h"
#include "net/router.h"
#include "state/db.h"

namespace gantry::api {

/// A request that has been let in.
struct DestinationCall : ManagementCall {
  const DestinationServices& services;

  [[nodiscard]] std::string id() const { return std::string(request.path_parameter("id")); }
};

using DestinationAct = access::ControlResult<net::Response> (*)(const DestinationCall&);

/// Adds a route below /api/v1/observability/destinations that lets in, counts and calls `act`.
void add_destination_route(net::Router& router, const DestinationServices& services,
                           net::Method method, std::string_view pattern, access::Scope scope,
                           DestinationAct act);

/// How deliveries fare, and their dead letters.
void add_destination_delivery_routes(net::Router& router, const DestinationServices& services);

/// Replays of past traces.
void add_destination_replay_routes(net::Router& router, const DestinationServices& services);

/// {"start","end"}: Unix seconds, also as text, or RFC 3339. Errors: InvalidArgument (with fields).
[[nodiscard]] access::ControlResult<broadcast::ReplayRange> parse_replay_body(
    std::string_view body);

/// The destination of the path, of a stack all of whose data is the caller's. Errors: NotFound,
/// PermissionDenied.
[[nodiscard]] access::ControlResult<broadcast::StoredDestination> find_own_destination(
    const DestinationCall& call, state::Transaction& tx);

}  // namespace gantry::api
