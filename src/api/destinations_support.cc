#include "access/ceiling.h"
#include "api/destinations_internal.h"
#include "broadcast/destination_json.h"

namespace gantry::api {

access::ControlResult<broadcast::StoredDestination> find_own_destination(
    const DestinationCall& call, state::Transaction& tx) {
  GANTRY_TRY(broadcast::StoredDestination stored,
             broadcast::read_destination(call.org, tx, call.id()));
  GANTRY_CHECK(access::require_whole_stack(call.who, call.org, StackId(stored.destination.stack)));
  return stored;
}

void add_destination_route(net::Router& router, const DestinationServices& services,
                           net::Method method, std::string_view pattern, access::Scope scope,
                           DestinationAct act) {
  add_management_route(
      router, {.gate = services.gate, .control = services.control, .rate = services.rate},
      {.method = method,
       .pattern = pattern,
       .scope = scope,
       .body_bytes_max = broadcast::kDestinationBodyBytesMax},
      [&services, act](const ManagementCall& call) { return act({call, services}); });
}

}  // namespace gantry::api
