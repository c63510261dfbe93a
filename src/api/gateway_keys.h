#pragma once

// Keys of the LLM gateway, as OpenRouter's API has them: /api/v1/keys. Errors are
// {"error":{"code":<status>,"message":…}}; `error.metadata` says what the fixed messages do not:
// `reason` and `fields`.

#include "access/control_plane.h"
#include "access/gate.h"
#include "api/cloud.h"
#include "gateway/budget.h"
#include "net/router.h"

namespace gantry::api {

/// All referenced parts outlive the routes. Thread-safe to use.
struct GatewayKeyServices {
  const access::Gate& gate;
  const access::ControlPlane& control;
  RequestRate& rate;             ///< Of all requests.
  gateway::KeyBudgets& budgets;  ///< Knows what keys have spent.
};

/// Keys are tokens, and guarded as those are: callers need accesspolicies:read to look, :write to
/// make and change, :delete to delete, and all data of the stack; who makes, changes or deletes
/// also has llm:invoke there, since nobody hands on more than they have.
void add_gateway_key_routes(net::Router& router, const GatewayKeyServices& services);

}  // namespace gantry::api
