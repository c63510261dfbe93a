#pragma once

// What the management endpoints in OpenRouter's style share: letting in, counting, which stack is
// meant, and errors, {"error":{"code","message","metadata"}}.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "access/control_error.h"
#include "access/control_plane.h"
#include "access/gate.h"
#include "api/cloud.h"
#include "core/ids.h"
#include "net/http.h"
#include "net/router.h"
#include "state/db.h"

namespace gantry::api {

/// All that is referred to outlives the routes.
struct ManagementSurface {
  const access::Gate& gate;
  const access::ControlPlane& control;
  RequestRate& rate;  ///< Of all requests.
};

/// A request that has been let in.
struct ManagementCall {
  const access::ControlPlane& control;
  const net::Request& request;
  const net::Parameters& query;
  const access::ControlPrincipal& who;
  access::OrgId org;
};

using ManagementAct = std::function<access::ControlResult<net::Response>(const ManagementCall&)>;

struct ManagementRule {
  net::Method method = net::Method::Get;
  std::string_view pattern;
  access::Scope scope;
  std::size_t body_bytes_max = 0;
};

/// Adds a route that lets in, counts and calls `act`.
void add_management_route(net::Router& router, const ManagementSurface& surface,
                          const ManagementRule& rule, ManagementAct act);

/// {"error":{"code","message"}}, with `metadata`, a JSON object, unless that is "".
[[nodiscard]] net::Response management_error(int status, std::string_view message,
                                             std::string_view metadata = {});

/// The text that clients of the original know for this status; "" for others.
[[nodiscard]] std::string_view fixed_management_message(int status);

/// 429 with Retry-After.
[[nodiscard]] net::Response too_many_management_requests(std::int64_t wait_seconds,
                                                         std::string_view what);

/// A whole number from `min` to `max`; `absent` when it is not given. Errors: InvalidArgument.
[[nodiscard]] access::ControlResult<std::size_t> number_parameter(const ManagementCall& call,
                                                                  std::string_view name,
                                                                  std::size_t absent,
                                                                  std::size_t min, std::size_t max);

/// "true" or "false"; `absent` when it is not given. Errors: InvalidArgument.
[[nodiscard]] access::ControlResult<bool> bool_parameter(const ManagementCall& call,
                                                         std::string_view name, bool absent);

/// The parameter `workspace_id`.
[[nodiscard]] std::optional<std::string> workspace_parameter(const ManagementCall& call);

/// The stack that is meant, all of whose data the caller has: the one with this id or slug, else
/// the caller's only one. Errors: InvalidArgument, PermissionDenied.
[[nodiscard]] access::ControlResult<StackId> read_workspace(
    const ManagementCall& call, state::Transaction& tx,
    const std::optional<std::string>& workspace_id);

}  // namespace gantry::api
