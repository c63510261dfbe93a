#pragma once

// Where copies of a stack's data go, as OpenRouter's API has it:
// /api/v1/observability/destinations; and, of Gantry's own, how deliveries fare, and replays of
// past traces. Errors are {"error":{"code":<status>,"message":…}}; `error.metadata` says what the
// fixed messages do not: `reason`, `fields`, or the connection test that failed.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "access/control_plane.h"
#include "access/gate.h"
#include "access/secrets/stored_secrets.h"
#include "api/cloud.h"
#include "broadcast/delivery_desk.h"
#include "broadcast/destination.h"
#include "net/router.h"

namespace gantry::api {

/// How a test of a connection went.
struct ConnectionVerdict {
  bool is_ok = false;
  std::optional<int> status;  ///< Of the answer, if there was one.
  std::int64_t latency_ms = 0;
  std::string error_code;  ///< "unauthorized"; empty when all is well.
  std::string message;     ///< For people; names the field to change and holds no secret.
};

/// Sends what a test of `destination` sends, its secrets in clear, and waits for the answer.
/// Thread-safe.
using ConnectionTester = std::function<ConnectionVerdict(const broadcast::Destination&)>;

/// All referenced parts outlive the routes. Thread-safe to use.
struct DestinationServices {
  const access::Gate& gate;
  const access::ControlPlane& control;
  const access::StoredSecrets& secrets;
  RequestRate& rate;       ///< Of all requests.
  RequestRate& test_rate;  ///< Of those that test a connection.
  ConnectionTester test;
  broadcast::DeliveryDesk& deliveries;
  std::string replica = {};  ///< Whose stores replays read; "": there is only one.
};

/// Callers need destinations:read to look, destinations:write to change and to test, in both cases
/// for all data of the stack that `workspace_id` names (slug or instance id; may be left out when
/// the caller has one stack only). What is saved is tested first unless `verify=false`.
void add_destination_routes(net::Router& router, const DestinationServices& services);

}  // namespace gantry::api
