#pragma once

#include <vector>

#include <simdjson.h>

#include "access/control_error.h"
#include "broadcast/destination_config.h"

namespace gantry::broadcast {

/// `before` with what the body's `config` sets; null takes a field back to its default. Secrets
/// given as their own masks stay; those that would go to another scheme, host or port than before
/// without having been entered again are problems. `before` has its secrets in clear; it is
/// default_config for a new destination. Adds to `problems`.
[[nodiscard]] DestinationConfig change_config(simdjson::dom::element element, DestinationType type,
                                              const DestinationConfig& before,
                                              std::vector<access::FieldProblem>& problems);

}  // namespace gantry::broadcast
