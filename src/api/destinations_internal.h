#pragma once

// What all endpoints of destinations share: letting in, parameters, errors.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "access/control_error.h"
#include "access/control_plane.h"
#include "api/destinations.h"
#include "broadcast/destination_rows.h"
#include "net/http.h"
#include "net/router.h"
#include "state/db.h"

namespace gantry::api {

/// A request that has been let in.
struct DestinationCall {
  const DestinationServices& services;
  const net::Request& request;
  const net::Parameters& query;
  const access::ControlPrincipal& who;
  access::OrgId org;

  [[nodiscard]] std::string id() const { return std::string(request.path_parameter("id")); }
};

using DestinationAct = access::ControlResult<net::Response> (*)(const DestinationCall&);

/// Adds a route below /api/v1/observability/destinations that lets in, counts and calls `act`.
void add_destination_route(net::Router& router, const DestinationServices& services,
                           net::Method method, std::string_view pattern, access::Scope scope,
                           DestinationAct act);

/// How deliveries fare, and their dead letters.
void add_destination_delivery_routes(net::Router& router, const DestinationServices& services);

/// {"error":{"code","message"}}, with `metadata`, a JSON object, unless that is "".
[[nodiscard]] net::Response destination_error(int status, std::string_view message,
                                              std::string_view metadata = {});

/// The text that clients of the original know for this status; "" for others.
[[nodiscard]] std::string_view fixed_destination_message(int status);

/// 429 with Retry-After.
[[nodiscard]] net::Response too_many_destination_requests(std::int64_t wait_seconds,
                                                          std::string_view what);

/// A whole number from `min` to `max`; `absent` when it is not given. Errors: InvalidArgument.
[[nodiscard]] access::ControlResult<std::size_t> number_parameter(const DestinationCall& call,
                                                                  std::string_view name,
                                                                  std::size_t absent,
                                                                  std::size_t min, std::size_t max);

/// The destination of the path, of a stack all of whose data is the caller's. Errors: NotFound,
/// PermissionDenied.
[[nodiscard]] access::ControlResult<broadcast::StoredDestination> find_own_destination(
    const DestinationCall& call, state::Transaction& tx);

}  // namespace gantry::api
